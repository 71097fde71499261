# %% [markdown]
# # Swap the memory, and see what it changes
#
# What a model sees is written into a memory, and every memory fits every model. Three of them are trained here on the same
# digits from the same seed, and one is no memory at all: what is compared is the rule by which it is written.

# %%
import tempfile

import matplotlib.pyplot as plt

import stawm
from stawm.training import data, evaluate, train

# %% [markdown]
# The small preset `stawm-digits` takes 4 glimpses of scikit-learn's digits. A memory is chosen by its name, and its rates are
# fields: `memory={"name": "delta", ...}`, or `"memory.delta": 0.3` for one field of the memory that there is.

# %%
for name in stawm.list_names("memory"):
    print(f"{name:<16} {stawm.describe(name, kind='memory').summary}")

# %% [markdown]
# A few epochs each, so that the notebook is done in a minute: long enough to see a difference, too short to rank the rules. What
# the rules reach when they are trained for longer stands in the docs ("Results").

# %%
digits = data.load("digits")
memories = ("hebb-rosenblatt", "fast-weights", "gated-delta")
models, found = {}, {}
for memory in memories:
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
    found[memory] = evaluate(run.model, digits.test, by_glimpse=True)
    print(f"{memory:<16} wrong on {found[memory].error:.1%} of {found[memory].images} held-out images")

# %%
figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
for memory, measured in found.items():
    axis.plot(range(1, 1 + len(measured.error_by_glimpse)), measured.error_by_glimpse, marker="o", label=memory)
axis.set(
    xlabel="glimpses that were written",
    ylabel="error",
    ylim=(0, None),
    title="The answer after each glimpse, by memory",
)
axis.legend()
plt.show()

# %% [markdown]
# What is in the memory can be looked at. The same digit, the same glimpses or nearly so, and another matrix:

# %%
pixels = digits.test.images[:1] / 255
for memory in ("hebb-rosenblatt", "gated-delta"):
    display(stawm.viz.memories(models[memory], pixels, title=memory))
