"""The step graphs ``init``, ``glimpse`` and ``read``, with everything that is carried passed in and out.

What is carried is named ``state.*`` where it goes in and ``next.*`` where it comes out. What grows with
each glimpse (the rows of a factored memory, the sketches) is a register of as many slots as there are
glimpses, newest last: a glimpse drops the oldest slot and appends the new one, so sizes stay the same and
nothing is indexed. With more glimpses than slots the oldest are forgotten.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stawm.errors import ExportError
from stawm.export.graphs.fields import AXES, RECALL
from stawm.export.graphs.graph import Graph, State
from stawm.heads.classification import ClassificationHead
from stawm.heads.drawing import DrawingHead
from stawm.models.model import Stawm
from stawm.nn.glimpse_loop import LoopState
from stawm.nn.memories.base import Memory
from stawm.nn.precision import full_precision

IN, OUT = "state.", "next."
PARTS = ("init", "glimpse", "read")
SEEN = ("pose", "inverse_pose", "glimpses", "memory_input", "mu", "logvar", f"{RECALL}drawing")
"""The outputs that ``glimpse`` gives, one glimpse at a time; the others are made of what ``read`` gives."""


class MemoryForm:
    """The state of a memory with room for a number of writes.

    Attributes:
        kind: Its named tuple.
        grows: Which of its tensors grow with each write.
        empty: The memory of nothing, for a batch of one.
    """

    def __init__(self, memory: Memory[Any], slots: int) -> None:
        self.empty = memory.with_room(memory.init_state(1), slots)
        self.kind: type[Any] = type(self.empty)
        self.grows = [name for name in memory.grows if name in self.kind._fields]

    def take(self, state: State) -> Any:
        """Rebuild the memory's state from named tensors."""
        return self.kind(*(state[f"memory.{name}"] for name in self.kind._fields))

    def name(self, memory: Any) -> State:
        """Name the tensors of a memory's state."""
        if type(memory) is not self.kind:
            raise ExportError(f"A write turns the memory's {self.kind.__name__} into a {type(memory).__name__}.")
        return {f"memory.{name}": value for name, value in memory._asdict().items()}

    def make_room(self, memory: Any) -> Any:
        """Drop the oldest slot of what a write appends to."""
        return memory._replace(**{name: getattr(memory, name)[:, 1:] for name in self.grows})


class Part(Graph):
    """One of the graphs.

    Attributes:
        memory: The form of the memory's state.
    """

    def __init__(self, model: Stawm, slots: int) -> None:
        """Keep the model and the form of its memory."""
        super().__init__()
        for name, head in model.heads.items():
            if not isinstance(head, (ClassificationHead, DrawingHead)):
                raise ExportError(f"The head {name!r} has no step form; export with graph='rollout'.")
        self.model = model
        self.memory = MemoryForm(model.memory, slots)


class Init(Part):
    """From the image to the state before the first glimpse."""

    def __init__(self, model: Stawm, slots: int, sample: bool) -> None:
        """Find out what the state is made of."""
        super().__init__(model, slots)
        empty = self.memory.name(self.memory.empty) | _registers(model, slots, sample)
        self.empty = {name: value.detach().clone() for name, value in empty.items()}
        self.blank = {name for name, value in empty.items() if not bool(value.any())}
        self.inputs = ("image",)
        with torch.no_grad():
            self.outputs = tuple(self.compute({"image": torch.zeros(1, *model.config.image)}))

    def compute(self, given: State) -> dict[str, Any]:
        """Return the first state; its zeros are made of the image's, so that nothing asks for the batch's size."""
        context, start = self.model.loop.init(given["image"])
        zero = start.x * 0
        state = {name: zero if value is None else value for name, value in start._asdict().items()}
        state |= {f"query.{name}": head.get_submodule("query")(context) for name, head in self.model.heads.items()}
        for name, value in self.empty.items():
            one = zero[:, :1].unflatten(1, (1,) * (value.ndim - 1))
            state[name] = one.expand(-1, *value.shape[1:]) if name in self.blank else value + one
        return {OUT + name: value for name, value in state.items()}


class Glimpse(Part):
    """One look: from the image and the state to the state after it."""

    def __init__(self, model: Stawm, slots: int, sample: bool, outputs: Sequence[str], state: Sequence[str]) -> None:
        """Take the names of the state from what `Init` gives."""
        super().__init__(model, slots)
        self.drawing = next((head for head in model.heads.values() if isinstance(head, DrawingHead)), None)
        noise = self.drawing.noise_shapes(1) if sample and self.drawing is not None else {}
        self.inputs = ("image", *(IN + n for n in state if n != "query.classification"), *(f"noise_{n}" for n in noise))
        self.outputs = (*(OUT + name for name in state if not name.startswith("query.")), *outputs)

    def compute(self, given: State) -> dict[str, Any]:
        """Return the next state and what was seen."""
        state = {name.removeprefix(IN): value for name, value in given.items() if name.startswith(IN)}
        loop = self.model.loop
        looked, look = loop.look(given["image"], LoopState(**{name: state[name] for name in LoopState._fields}))
        e = loop.memory_input(look)
        memory = self.model.memory.write(self.memory.make_room(self.memory.take(state)), e)
        following = loop.aggregate(looked, look.features)._asdict() | self.memory.name(memory)
        seen = {"pose": look.pose, "inverse_pose": look.inverse_pose, "glimpses": look.glimpse, "memory_input": e}
        if self.drawing is not None:
            assert look.inverse_pose is not None
            answer = self.model.memory.read(memory, state["query.drawing"]).clamp(0, 6)
            latent, sketch = self.drawing.sketcher(answer[:, None], given.get("noise_latent"))
            active = self.drawing.canvas.activate(full_precision(sketch[:, 0]))
            placed = self.model.locator.place(active, look.inverse_pose)
            seen |= {"mu": latent.mu[:, 0], "logvar": latent.logvar[:, 0], f"{RECALL}drawing": answer}
            following["sketches"] = _push(state["sketches"], placed[:, None])
            if "noise_mask" in given:
                following["mask_noise"] = _push(state["mask_noise"], given["noise_mask"])
        return {OUT + name: value for name, value in following.items()} | seen


class Read(Part):
    """From the state to the answers."""

    def __init__(self, model: Stawm, slots: int, outputs: Sequence[str], state: Sequence[str]) -> None:
        """Take the names of the state from what `Init` gives."""
        super().__init__(model, slots)
        classifies = any(isinstance(head, ClassificationHead) for head in model.heads.values())
        asked = ("query.classification", "memory.") if classifies else ()
        self.inputs = tuple(IN + name for name in state if name.startswith((*asked, "sketches", "mask_noise")))
        self.outputs = tuple(outputs)

    def compute(self, given: State) -> dict[str, Any]:
        """Return the answers."""
        state = {name.removeprefix(IN): value for name, value in given.items()}
        answers: dict[str, Any] = {}
        for name, head in self.model.heads.items():
            if isinstance(head, ClassificationHead):
                answer = self.model.memory.read(self.memory.take(state), state[f"query.{name}"]).clamp(0, 6)
                logits = head.classifier(answer)
                answers |= {RECALL + name: answer, "logits": logits, "confidence": logits.amax(dim=-1).exp()}
            elif isinstance(head, DrawingHead):
                canvases, masks = head.canvas.unroll(state["sketches"], state.get("mask_noise"))
                answers |= {"canvas": canvases[:, -1], "canvases": canvases, "masks": masks}
        return answers


def parts(model: Stawm, slots: int, sample: bool, outputs: Sequence[str]) -> dict[str, Part]:
    """Return the three parts of a model, which together give the outputs.

    Args:
        model: The model.
        slots: How many glimpses the state has room for.
        sample: Whether random numbers are put in.
        outputs: The outputs and probes that a rollout would have.
    """
    slots = max(slots, 2)  # with a single slot there is nothing to read before a write, which cannot be traced
    init = Init(model, slots, sample)
    state = [name.removeprefix(OUT) for name in init.outputs]
    seen = [name for name in outputs if name in SEEN]
    glimpse = Glimpse(model, slots, sample, seen, state)
    return {"init": init, "glimpse": glimpse, "read": Read(model, slots, _answers(model, outputs), state)}


def _answers(model: Stawm, outputs: Sequence[str]) -> tuple[str, ...]:
    """What ``read`` gives: of a model that classifies in any case the logits and the confidence, for `look`."""
    asked = {name for name in outputs if name not in SEEN} - {"glimpse_logits"}
    if any(isinstance(head, ClassificationHead) for head in model.heads.values()):
        asked |= {"logits", "confidence"}
    return tuple(name for name in (*AXES, f"{RECALL}classification") if name in asked)


def _registers(model: Stawm, slots: int, sample: bool) -> State:
    """The empty registers of a model that draws, for a batch of one."""
    found: State = {}
    for head in model.heads.values():
        if isinstance(head, DrawingHead):
            found["sketches"] = torch.zeros(1, slots, head.canvas.sketch_channels, *head.image_size)
            if sample and "mask" in head.noise_shapes(slots):
                found["mask_noise"] = torch.zeros(1, *head.noise_shapes(slots)["mask"])
    return found


def _push(register: Tensor, newest: Tensor) -> Tensor:
    return torch.cat([register[:, 1:], newest], dim=1)
