# %% [markdown]
# # Write your own memory
#
# A memory is a class with four methods. This one forgets more the more it is surprised. It is checked, trained beside the memory
# of the paper, and looked at.

# %%
import tempfile
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

import stawm
from stawm.configuration import NON_NEGATIVE
from stawm.nn.memories.base import Memory
from stawm.nn.testing import check_memory
from stawm.training import data, evaluate, train
from stawm.trial import Recipe, try_memory

# %% [markdown]
# The state goes in and comes out; nothing is kept on `self`. The configuration has a type and a range for each field, so that it can
# be given by name, kept in a checkpoint, and checked.


# %%
class SurpriseState(NamedTuple):
    W: Tensor


@stawm.register("memory", "surprise", summary="Forgets more the more it is surprised.")
class Surprise(Memory[SurpriseState]):
    """A Hebbian memory that forgets in proportion to its surprise."""

    @dataclass(frozen=True, kw_only=True)
    class Config(stawm.Config):
        name: str = "surprise"
        eta: Annotated[float, NON_NEGATIVE] = 0.4
        """η, the size of a write."""

    def __init__(self, config=None, *, memory_size: int) -> None:
        super().__init__(config or self.Config(), memory_size=memory_size)
        self.eta = nn.Parameter(torch.tensor(self.config.eta))
        self.bias = nn.Parameter(torch.tensor(-1.0))
        self.slope = nn.Parameter(torch.tensor(1.0))

    def init_state(self, batch, *, device=None, dtype=None):
        m = self.memory_size
        return SurpriseState(torch.zeros(batch, m, m, device=device or self.eta.device, dtype=dtype or self.eta.dtype))

    def _write(self, state, e):
        energy = 1 + e.square().sum(dim=1, keepdim=True)
        surprise = (e - self._read(state, e)).square().sum(dim=1, keepdim=True) / energy
        s = (self.bias + self.slope * surprise).sigmoid().unsqueeze(2)
        return SurpriseState((1 - s) * state.W + self.eta * s * e.unsqueeze(2) * (e / energy).unsqueeze(1))

    def _read(self, state, q):
        return (state.W @ q.unsqueeze(2)).squeeze(2)

    def matrix(self, state):
        return state.W


# %% [markdown]
# `check_memory` runs what every memory has to hold, and names what does not: images of a batch do not mix, a state can be handed over
# at any point, every parameter gets a gradient, nothing explodes.

# %%
print(*check_memory(Surprise, export=False), sep="\n")

# %% [markdown]
# Is it worth having? A trial sets it beside the built-in rules and two controls, on tasks where the memory alone can know the answer.
# This one is far too short to tell: leave `recipe` out, or use `stawm trial memory`, for the one that the kept figures were made with.

# %%
print(try_memory(Surprise, tasks=["places", "changes"], recipe=Recipe(steps=60, batch=16, measured=64)))

# %% [markdown]
# It is a component by its name, and trains like any other. A few epochs show that it learns; they are too few to say which is the
# better one.

# %%
digits = data.load("digits")
figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
models = {}
for memory in ("hebb-rosenblatt", "surprise"):
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            "stawm-digits",
            data=digits,
            out=folder,
            seed=0,
            quiet=True,
            cpu=True,
            pictures=0,
            memory=memory,
            **{"recipe.epochs": 8},
        )
    models[memory] = run.model
    found = evaluate(run.model, digits.test, by_glimpse=True)
    axis.plot(range(1, 1 + len(found.error_by_glimpse)), found.error_by_glimpse, marker="o", label=memory)
    print(f"{memory:<16} wrong on {found.error:.1%}")
axis.set(
    xlabel="glimpses that were written", ylabel="error", ylim=(0, None), title="A memory of our own beside the paper's"
)
axis.legend()
plt.show()

# %%
stawm.viz.memories(models["surprise"], digits.test.images[:1] / 255, title="What it remembers")
