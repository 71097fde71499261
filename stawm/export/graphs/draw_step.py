"""The step graphs of the family ``draw``: what is carried is the canvas and the state of both recurrent networks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stawm.export.graphs.graph import State
from stawm.export.graphs.names import IN, OUT
from stawm.export.graphs.part import Part, answers, push
from stawm.models.draw import Draw
from stawm.models.draw import State as DrawState
from stawm.nn.precision import full_precision

CANVASES = "canvases"
"""The pictures after the last glimpses, newest last: kept where they are asked for."""


class Init(Part):
    """From the image to the state before the first glimpse."""

    def __init__(self, model: Draw, slots: int, outputs: Sequence[str]) -> None:
        super().__init__(model)
        begun, size = model.start(1), model.config.hidden_size
        cells = ("encoder_c", "decoder_c") if model.config.draws else ("encoder_c",)
        self.empty = {name: value for name, value in begun._asdict().items() if value is not None}
        self.empty |= {name: torch.zeros(1, size) for name in cells}
        self.empty |= {CANVASES: torch.zeros(1, slots, *model.config.image)} if CANVASES in outputs else {}
        self.inputs = ("image",)
        self.outputs = tuple(OUT + name for name in self.empty)

    def compute(self, given: State) -> dict[str, Any]:
        """Return the first state, for as many images as there are; nothing asks for the batch's size."""
        zero = full_precision(given["image"])[:, :1, 0, 0] * 0
        begun = self.model.start(1)._asdict()
        found = {}
        for name, value in self.empty.items():
            one = zero.unflatten(1, (1,) * (value.ndim - 1))
            still = begun.get(name)
            found[OUT + name] = one.expand(-1, *value.shape[1:]) if still is None else still + one
        return found


class Glimpse(Part):
    """One reading, and one stroke in a model that draws: from the image and the state to the state after it."""

    def __init__(self, model: Draw, init: Init, sample: bool, outputs: Sequence[str]) -> None:
        super().__init__(model)
        self.frames = "corners" in outputs
        self.fit(init.empty, sample, outputs)

    def compute(self, given: State) -> dict[str, Any]:
        """Return the next state and what was seen."""
        state = {name.removeprefix(IN): value for name, value in given.items() if name.startswith(IN)}
        noise = given.get("noise_latent")
        drawn = (state.get(name) for name in ("decoder_h", "decoder_c"))
        before = DrawState(state.get("canvas"), state["encoder_h"], state["encoder_c"], *drawn)
        after, step = self.model.step(full_precision(given["image"]), before, None if noise is None else noise[:, 0])
        following: dict[str, Any] = {name: value for name, value in after._asdict().items() if value is not None}
        if CANVASES in state:
            following[CANVASES] = push(state[CANVASES], step.canvas.sigmoid()[:, None])
        seen = {"pose": step.pose, "inverse_pose": step.inverse_pose, "mu": step.mu, "logvar": step.logvar}
        if step.pose is not None:
            seen["glimpses"] = step.glimpse
            seen["corners"] = self.model.locator.frame(full_precision(step.pose)) if self.frames else None
        there = {name: full_precision(value) for name, value in seen.items() if value is not None}
        return {OUT + name: value for name, value in following.items()} | there


class Read(Part):
    """From the state to the answers."""

    def __init__(self, model: Draw, outputs: Sequence[str], state: State) -> None:
        super().__init__(model)
        self.outputs = tuple(outputs)
        self.narrow({IN + name: value for name, value in state.items()})

    def compute(self, given: State) -> dict[str, Any]:
        """Return the answers."""
        state = {name.removeprefix(IN): value for name, value in given.items()}
        named: dict[str, Tensor] = {}
        if "canvas" in state:
            named["canvas"] = state["canvas"].sigmoid()
        if CANVASES in state:
            named[CANVASES] = state[CANVASES]
        if self.model.config.classifies:
            named["logits"] = self.model.heads["classification"](state["encoder_h"])
            named["confidence"] = named["logits"].amax(dim=-1).exp()
        return named


def parts(model: Draw, slots: int, sample: bool, outputs: Sequence[str]) -> dict[str, Part]:
    """Return the three parts of a model, which together give the outputs.

    Args:
        model: The model.
        slots: How many glimpses the state has room for.
        sample: Whether random numbers are put in.
        outputs: The outputs that a rollout would have.
    """
    slots = max(slots, 2)
    with torch.no_grad():
        init = Init(model, slots, outputs)
        glimpse = Glimpse(model, init, sample, outputs)
        wanted = [name for name in outputs if name not in glimpse.outputs]
        read = Read(model, answers(model, wanted), init.empty)
    return {"init": init, "glimpse": glimpse, "read": read}
