"""The step graphs ``init``, ``glimpse`` and ``read``, with everything that is carried passed in and out.

What is carried is named ``state.*`` where it goes in and ``next.*`` where it comes out. What grows with
each glimpse (the rows of a factored memory, the sketches) is a register of as many slots as there are
glimpses, newest last: a glimpse drops the oldest slot and appends the new one, so sizes stay the same and
nothing is indexed. With more glimpses than slots the oldest are forgotten.

A part takes only what it uses: a memory may carry momentum that no read looks at, or keep what no write does.
Everything is carried as float32, counts and flags too.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stawm.core.sizes import extent
from stawm.errors import ExportError
from stawm.export.graphs import cues
from stawm.export.graphs.graph import State
from stawm.export.graphs.names import IN, OUT
from stawm.export.graphs.part import Part, answers, check_policy, push
from stawm.export.graphs.steering import Steering, neutral
from stawm.heads.base import Head
from stawm.heads.cued import CuedHead, input_name
from stawm.models.evidence import shares_of_writes
from stawm.models.model import Stawm, activate
from stawm.nn.glimpse_loop import LoopState
from stawm.nn.memories.base import Memory
from stawm.nn.precision import full_precision

ROWS, COUNT = "evidence.rows", "evidence.count"
"""What was written, newest last, and how often: kept where shares are asked for."""


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
        """Rebuild the memory's state from named tensors; what the part is not given stays empty."""
        batch = next(iter(state.values())).shape[0]
        named = {name: state.get(f"memory.{name}") for name in self.kind._fields}
        return self.kind(*(self._restored(name, value, batch) for name, value in named.items()))

    def _restored(self, name: str, value: Tensor | None, batch: int) -> Tensor:
        empty = getattr(self.empty, name)
        if value is None:
            return empty.expand(batch, *empty.shape[1:])
        return value if empty.is_floating_point() else value.to(empty.dtype)

    def name(self, memory: Any) -> State:
        """Name the tensors of a memory's state."""
        if type(memory) is not self.kind:
            raise ExportError(f"A write turns the memory's {self.kind.__name__} into a {type(memory).__name__}.")
        return {f"memory.{name}": _carried(value) for name, value in memory._asdict().items()}

    def make_room(self, memory: Any) -> Any:
        """Drop the oldest slot of what a write appends to."""
        return memory._replace(**{name: getattr(memory, name)[:, 1:] for name in self.grows})


class Init(Part):
    """From the image to the state before the first glimpse."""

    def __init__(self, model: Stawm, slots: int, sample: bool, outputs: Sequence[str]) -> None:
        super().__init__(model)
        self.memory = MemoryForm(model.memory, slots)
        noise = model.noise_shapes(1) if sample else {}
        registers = self.registers(slots, noise)
        if "shares" in outputs:
            registers |= {ROWS: torch.zeros(1, slots, model.memory.input_size), COUNT: torch.zeros(1, 1)}
        empty = self.memory.name(self.memory.empty) | registers
        self.empty = {name: value.detach().clone() for name, value in empty.items()}
        self.blank = {name for name, value in empty.items() if not bool(value.any())}
        self.inputs = ("image",)
        self.outputs = tuple(self.compute({"image": torch.zeros(1, *model.config.image)}))

    def compute(self, given: State) -> dict[str, Any]:
        """Return the first state; its zeros are made of the image's, so that nothing asks for the batch's size."""
        context, start = self.model.loop.init(given["image"])
        zero = start.x * 0
        state = {name: zero if value is None else value for name, value in start._asdict().items()}
        state |= {f"query.{name}": query for name, query in _asked(self.model, context).items()}
        for name, value in self.empty.items():
            one = zero[:, :1].unflatten(1, (1,) * (value.ndim - 1))
            state[name] = one.expand(-1, *value.shape[1:]) if name in self.blank else value + one
        return {OUT + name: value for name, value in state.items()}


class Glimpse(Part):
    """One look: from the image and the state to the state after it."""

    def __init__(
        self, model: Stawm, slots: int, init: Init, sample: bool, outputs: Sequence[str], steered: bool
    ) -> None:
        super().__init__(model)
        self.memory = MemoryForm(model.memory, slots)
        self.frames = "corners" in outputs
        image = torch.zeros(1, *model.config.image)
        state = {name.removeprefix(OUT): value for name, value in init.run({"image": image}).items()}
        noise = {f"noise_{name}": torch.full((1, *shape), 0.5) for name, shape in model.noise_shapes(1).items()}
        given = {"image": image} | {IN + name: value for name, value in state.items()} | (noise if sample else {})
        later = {f"{IN}query.{name}" for name in self.last}
        given = {name: value for name, value in given.items() if name not in later}
        still = neutral(1, 1, model.locator.pose_size).named() if steered else {}
        given |= {name: value[:, 0] for name, value in still.items()}
        self.outputs = tuple(OUT + name for name in state if not name.startswith("query."))
        gives = self.compute(given)
        self.outputs += tuple(name for name in outputs if name in gives)
        self.narrow(given)

    def compute(self, given: State) -> dict[str, Any]:
        """Return the next state and what was seen."""
        state = {name.removeprefix(IN): value for name, value in given.items() if name.startswith(IN)}
        loop = self.model.loop
        before, steering = LoopState(**{name: state[name] for name in LoopState._fields}), Steering.of(given)
        noise = None if loop.policy.noise is None else given.get(f"noise_{loop.policy.noise}")
        drawn, placed = None if noise is None else noise[:, 0], None if steering is None else steering.where
        looked, look = loop.look(given["image"], before, placed=placed, noise=drawn)
        e = loop.memory_input(look)
        memory = self.model.memory.write(self.memory.make_room(self.memory.take(state)), e)
        memory = memory if steering is None else self._kept(state, memory, steering.written)
        noted = self._noted(state, e, steering)
        following = loop.aggregate(looked, look.features)._asdict() | self.memory.name(memory) | noted
        seen = {"pose": look.pose, "inverse_pose": look.inverse_pose, "glimpses": look.glimpse, "memory_input": e}
        size = (extent(given["image"]),) if self.sides else ()
        seen |= {"corners": loop.locator.frame(full_precision(look.pose), *size)} if self.frames else {}
        gives, kept = self.observe(
            lambda name: activate(self.model.memory.read(memory, state[f"query.{name}"])), look, given, state
        )
        return {OUT + name: value for name, value in (following | kept).items()} | seen | gives

    def _kept(self, state: State, memory: Any, written: Tensor) -> Any:
        """Return the memory after a write, or of images whose glimpse is not written the memory before it."""
        return self.memory.take(_where(written, self.memory.name(memory), state))

    def _noted(self, state: State, e: Tensor, steering: Steering | None) -> State:
        """Return what is kept of the writes for the shares, where these are asked for."""
        if ROWS not in state:
            return {}
        after = {ROWS: push(state[ROWS], e[:, None]), COUNT: state[COUNT] + 1}
        return after if steering is None else _where(steering.written, after, state)


class Read(Part):
    """From the state to the answers."""

    def __init__(self, model: Stawm, slots: int, outputs: Sequence[str], state: State) -> None:
        super().__init__(model)
        self.memory = MemoryForm(model.memory, slots)
        self.asked = tuple(cues.cue_inputs(model))
        asked = [f"query.{name}" for name in self.last]
        asked += ["memory."] if self.last or "matrix" in outputs else []
        asked += ["evidence.", "query.classification"] if "shares" in outputs else []
        kept = {key for name in self.each for key in self.kept(name).values()}
        self.unused = {name: torch.zeros_like(value) for name, value in state.items() if name in kept}
        self.outputs = tuple(outputs)
        carried = {IN + n: value for n, value in state.items() if n in kept or n.startswith(tuple(asked))}
        self.narrow(carried | cues.example_cues(model, 1, torch.Generator().manual_seed(0)))

    def compute(self, given: State) -> dict[str, Any]:
        """Return the answers; what they do not need of the state, and the part is not given, counts as zeros."""
        batch = next(iter(given.values())).shape[0]
        state = {name: value.expand(batch, *value.shape[1:]) for name, value in self.unused.items()}
        state |= {name.removeprefix(IN): value for name, value in given.items()}
        named = self.conclude(
            lambda name: activate(
                self.model.memory.read(self.memory.take(state), self._query(name, self.last[name], state, given))
            ),
            given,
            state,
        )
        if "shares" in self.outputs:
            named["shares"] = self._shares(state)
        if "matrix" in self.outputs:
            named["matrix"] = self.model.memory.matrix(self.memory.take(state))
        return named | ({"confidence": named["logits"].amax(dim=-1).exp()} if "logits" in named else {})

    def _query(self, name: str, head: Head, state: State, given: State) -> Tensor:
        """Return what a head asks: the query that was made of the image, or those that are made of cues."""
        query = state.get(f"query.{name}")
        if isinstance(head, CuedHead):
            return head.ask(query, given[input_name(head)])
        assert query is not None
        return query

    def _shares(self, state: State) -> Tensor:
        """Return each write's share of each logit, newest last, and zeros where there was none.

        What each number of writes comes to is computed, and the one that there were is chosen.
        """
        rows, slots = state[ROWS], state[ROWS].shape[1]
        found = None
        for count in range(1, slots + 1):
            own = shares_of_writes(self.model, rows[:, slots - count :], state["query.classification"])
            own = nn.functional.pad(own, (0, 0, slots - count, 0))
            there = (state[COUNT] == count)[..., None]
            found = torch.where(there, own, torch.zeros_like(own) if found is None else found)
        assert found is not None
        return found


def parts(model: Stawm, slots: int, sample: bool, outputs: Sequence[str], steered: bool = False) -> dict[str, Part]:
    """Return the three parts of a model, which together give the outputs.

    Args:
        model: The model.
        slots: How many glimpses the state has room for.
        sample: Whether random numbers are put in.
        outputs: The outputs and probes that a rollout would have.
        steered: Whether where it looks and what is written are inputs.
    """
    check_policy(model)
    slots = max(slots, 2)  # with a single slot there is nothing to read before a write, which cannot be traced
    with torch.no_grad():
        init = Init(model, slots, sample, outputs)
        glimpse = Glimpse(model, slots, init, sample, outputs, steered)
        first = init.run({"image": torch.zeros(1, *model.config.image)})
        state = {name.removeprefix(OUT): value for name, value in first.items()}
        wanted = [name for name in outputs if name not in glimpse.outputs]
        read = Read(model, slots, answers(model, wanted), state)
    return {"init": init, "glimpse": glimpse, "read": read}


def _asked(model: Stawm, context: Tensor) -> State:
    """Return what is known of each head's query before anything is read, by the heads' names."""
    found: State = {}
    for name, head in model.named_heads.items():
        query = head.beside(context) if isinstance(head, CuedHead) else head.query(context)
        found |= {} if query is None else {name: query}
    return found


def _where(written: Tensor, after: State, before: State) -> State:
    """Return what is after a write, and of images whose glimpse is not written what was before it."""
    flags = {name: (written > 0.5).unflatten(1, (1,) * (value.ndim - 1)) for name, value in after.items()}
    return {name: torch.where(flags[name], value, before[name]) for name, value in after.items()}


def _carried(value: Tensor) -> Tensor:
    return value if value.is_floating_point() else value.float()
