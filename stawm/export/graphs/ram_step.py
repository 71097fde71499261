"""The step graphs of the family ``ram``: what is carried is the state of its recurrent layers.

Where a model answers twice, the states of the first layer after the last glimpses are carried too, newest last, with
how many there were: the first answer is read at half of them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stawm.core.sizes import extent
from stawm.export.graphs.graph import State
from stawm.export.graphs.names import IN, OUT
from stawm.export.graphs.part import Part, answers, check_policy, push
from stawm.models.ram import Ram
from stawm.nn.precision import full_precision
from stawm.nn.ram_loop import LayerState, LSTMLayer

READS, COUNT = "reads", "count"
"""What was read after the last glimpses, and how many glimpses there were: kept where there are two answers."""


class Layers:
    """The recurrent layers of a model as named tensors.

    Attributes:
        empty: What they are before the first glimpse, for a batch of one.
    """

    def __init__(self, model: Ram, slots: int) -> None:
        size = model.config.hidden_size
        self.fields = [("h", "c") if isinstance(cell, LSTMLayer) else ("h",) for cell in model.loop.cells]
        self.empty = {f"layer.{i}.{field}": torch.zeros(1, size) for i, own in enumerate(self.fields) for field in own}
        if model.config.answers == 2:
            self.empty |= {READS: torch.zeros(1, slots // 2 + 1, size), COUNT: torch.zeros(1, 1)}

    def take(self, state: State) -> tuple[LayerState, ...]:
        """Rebuild the layers' states from named tensors."""
        return tuple(LayerState(*(state[f"layer.{i}.{field}"] for field in own)) for i, own in enumerate(self.fields))

    def name(self, layers: Sequence[LayerState]) -> dict[str, Tensor | None]:
        """Name the tensors of the layers' states."""
        return {f"layer.{i}.{f}": getattr(layers[i], f) for i, own in enumerate(self.fields) for f in own}

    def note(self, state: State, layers: Sequence[LayerState]) -> State:
        """Return what is kept of the reads, where there are two answers."""
        newest = layers[0].h
        if READS not in self.empty or newest is None:
            return {}
        return {READS: push(state[READS], newest[:, None]), COUNT: state[COUNT] + 1}

    def read(self, state: State) -> Tensor:
        """Return what heads read: the first layer; of two answers that at half of the glimpses comes before it.

        Each answer that may be the one at half is chosen where there were that many glimpses.
        """
        if READS not in self.empty:
            return state["layer.0.h"]
        reads, count = state[READS], state[COUNT]
        half = reads[:, -1]
        for back in range(1, reads.shape[1]):
            half = torch.where(count > 2 * back - 0.5, reads[:, -1 - back], half)
        return torch.cat([half, state["layer.0.h"]], dim=-1)


class Init(Part):
    """From the image to the state before the first glimpse."""

    def __init__(self, model: Ram, layers: Layers, slots: int, sample: bool) -> None:
        super().__init__(model)
        self.layers = layers
        self.empty = layers.empty | self.registers(slots, model.noise_shapes(1) if sample else {})
        self.inputs = ("image",)
        self.outputs = tuple(OUT + name for name in self.empty)

    def compute(self, given: State) -> dict[str, Any]:
        """Return the first state; its zeros are made of the image's, so that nothing asks for the batch's size."""
        zero = full_precision(given["image"])[:, :1, 0, 0] * 0
        begun = self.layers.name(self.model.loop.begin(given["image"]))
        state: dict[str, Tensor] = {name: value for name, value in begun.items() if value is not None}
        for name, value in self.empty.items():
            if name not in state:
                state[name] = zero.unflatten(1, (1,) * (value.ndim - 1)).expand(-1, *value.shape[1:])
        return {OUT + name: state[name] for name in self.empty}


class Glimpse(Part):
    """One look: from the image and the state to the state after it."""

    def __init__(self, model: Ram, layers: Layers, init: Init, sample: bool, outputs: Sequence[str]) -> None:
        super().__init__(model)
        self.layers, self.frames = layers, "corners" in outputs
        self.fit(init.empty, sample, outputs)

    def compute(self, given: State) -> dict[str, Any]:
        """Return the next state and what was seen."""
        state = {name.removeprefix(IN): value for name, value in given.items() if name.startswith(IN)}
        loop, layers = self.model.loop, self.layers.take(state)
        noise = None if loop.policy.noise is None else given.get(f"noise_{loop.policy.noise}")
        whole = loop.locator.prepare(full_precision(given["image"]))
        look = loop.look(whole, layers[-1].h, None, None if noise is None else noise[:, 0], 0)
        layers = loop.step(look.features, layers)
        following: dict[str, Any] = self.layers.name(layers) | self.layers.note(state, layers)
        seen: dict[str, Any] = {"pose": look.pose, "glimpses": look.glimpse, "memory_input": layers[0].h}
        size = (extent(given["image"]),) if self.sides else ()
        seen |= {"corners": loop.locator.frame(full_precision(look.pose), *size)} if self.frames else {}
        read = self.layers.read(following)
        gives, kept = self.observe(lambda _: read, look, given, state)
        return {OUT + name: value for name, value in (following | kept).items()} | seen | gives


class Read(Part):
    """From the state to the answers."""

    def __init__(self, model: Ram, layers: Layers, outputs: Sequence[str], state: State) -> None:
        super().__init__(model)
        self.layers, self.outputs = layers, tuple(outputs)
        self.narrow({IN + name: value for name, value in state.items()})

    def compute(self, given: State) -> dict[str, Any]:
        """Return the answers."""
        state = {name.removeprefix(IN): value for name, value in given.items()}
        named = self.conclude(lambda _: self.layers.read(state), given, state)
        return named | ({"confidence": named["logits"].amax(dim=-1).exp()} if "logits" in named else {})


def parts(model: Ram, slots: int, sample: bool, outputs: Sequence[str]) -> dict[str, Part]:
    """Return the three parts of a model, which together give the outputs.

    Args:
        model: The model.
        slots: How many glimpses the state has room for.
        sample: Whether random numbers are put in.
        outputs: The outputs and probes that a rollout would have.

    Raises:
        ExportError: A part of the model has no step form.
    """
    check_policy(model)
    slots = max(slots, 2)
    with torch.no_grad():
        layers = Layers(model, slots)
        init = Init(model, layers, slots, sample)
        glimpse = Glimpse(model, layers, init, sample, outputs)
        wanted = [name for name in outputs if name not in glimpse.outputs]
        read = Read(model, layers, answers(model, wanted), init.empty)
    return {"init": init, "glimpse": glimpse, "read": read}
