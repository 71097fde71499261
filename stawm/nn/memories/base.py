"""The contract that every memory keeps."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config
from stawm.core.stacks import check_stack, step_through
from stawm.errors import InputError
from stawm.nn.precision import full_precision, without_autocast

S = TypeVar("S", bound=tuple[Any, ...])
_FINAL = {
    "write": "_write",
    "read": "_read",
    "unroll": "_unroll",
    "with_room": "_settle",
    "contributions": "_contributions",
}


class Contributions(NamedTuple):
    """A read as the sum that it is.

    Attributes:
        writes: What each write gives to it.
        rest: What no write gives: what the memory starts with, or a bias.
    """

    writes: Float[Tensor, "b n m"]
    rest: Float[Tensor, "b m"]


class Memory(nn.Module, ABC, Generic[S]):
    """A memory that is written while an image is looked at.

    A rule defines `init_state`, `matrix`, ``_write`` and ``_read``, and ``_unroll`` where it has something
    faster than one write after the other. Where what is read is a sum over the writes, it says in
    ``_contributions`` what each of them gives. The public calls are final: they check what they are given, widen
    half precision, switch autocast off, and call the rule's.

    The state is a named tuple of tensors with the batch first, passed in and out: nothing is kept on
    ``self``, so a memory is re-entrant, can be split anywhere, and exports as a step graph. Parameters (rates,
    projections) belong to the module; the equations are pure functions in `stawm.core`.

    Attributes:
        Config: The memory's own configuration; sizes are given by the model, never by it.
        grows: The tensors of the state that get one row more with each write, last along axis 1. A row of
            zeros in all of them is an empty slot, which changes no read and no write.
        formerly: For each parameter that was renamed, the name that files of the first version know it by.
        reads_many: Whether ``_read`` takes many queries at once too, (b, k, m). Where it does not, each of them is read
            from a copy of the state.
        memory_size: m, the width of what is read and asked, and of what is written.
        bind: Where what is written comes apart into what was seen and where, each of width m, ``"what-where"``; else
            ``"self"``, their product e, as in the paper.
    """

    Config: ClassVar[type[Config]]
    grows: ClassVar[tuple[str, ...]] = ()
    formerly: ClassVar[Mapping[str, str]] = {}
    reads_many: ClassVar[bool] = False
    bind: Literal["self", "what-where"] = "self"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a rule that defines what is final.

        Raises:
            TypeError: It does; the message says what to name it instead.
        """
        super().__init_subclass__(**kwargs)
        if "_read" in vars(cls) and "reads_many" not in vars(cls):
            cls.reads_many = False  # which a rule says of its own read, and not of another one's
        for name, own in _FINAL.items():
            if getattr(cls, name) is not getattr(Memory, name):
                why = "which is final in Memory: it checks its input and switches autocast off"
                raise TypeError(f"{cls.__name__} defines {name}, {why}. Name it {own}.")

    def __init__(self, config: Config, *, memory_size: int) -> None:
        super().__init__()
        self.config = config
        self.memory_size = memory_size

    @abstractmethod
    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> S:
        """Return the state of an empty memory.

        Args:
            batch: b, how many images are looked at.
            device: Where; the device of the parameters where left out.
            dtype: Of what type; the type of the parameters, at least float32, where left out.
        """

    @abstractmethod
    def matrix(self, state: S) -> Float[Tensor, "b m m"]:
        """Return the memory as the matrix W with ``read(q) = W q``, for looking at it.

        Where reading is not linear, the matrix of its derivative at the query zero.
        """

    @abstractmethod
    def _write(self, state: S, e: Tensor) -> S:
        """Return the state after one write; a state that grows has its newest entry last."""

    @abstractmethod
    def _read(self, state: S, q: Tensor) -> Tensor:
        """Project a query through the memory, with no activation and no identity term."""

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: S | None) -> tuple[Tensor, S]:
        """Write a whole stack and read after chosen writes; a faster form checks the reads too."""
        check_stack(E, Q, reads)
        state = self.init_state(E.shape[0], device=E.device, dtype=E.dtype) if state is None else state
        return step_through((E,), Q, reads, state, self._write, self._read)

    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        """Return what each write gives to a read, and what none does; for rules whose read is such a sum."""
        raise InputError(
            f"What the memory {self.config.name!r} reads is no sum over its writes, so it cannot be said how much "
            "each of them gives."
        )

    def _settle(self, state: S, writes: int) -> S:
        """Return the same memory in the form that it has after further writes, for rules with several."""
        return state

    @final
    def write(self, state: S, e: Float[Tensor, "b i"]) -> S:
        """Return the state after one write.

        Args:
            state: The memory.
            e: What is written, (b, m); where the rule binds what to where, (b, 2m): what first, then where.

        Raises:
            InputError: e has another form than these, or another batch than the state.
        """
        self._check("e", e, "(b, m)", state, self.input_size)
        e = full_precision(e)
        with without_autocast(e):
            return self._write(state, e)

    @final
    def read(self, state: S, q: Float[Tensor, "b *k m"]) -> Float[Tensor, "b *k m"]:
        """Project a query, or many at once, through the memory, with no activation and no identity term.

        Args:
            state: The memory.
            q: One query for each image, (b, m), or k of them, (b, k, m).

        Raises:
            InputError: q has another form than these, or another batch than the state.
        """
        many = q.ndim == 3
        self._check("q", q, "(b, k, m)" if many else "(b, m)", state)
        q = full_precision(q)
        with without_autocast(q):
            return self._read_copies(state, q) if many and not self.reads_many else self._read(state, q)

    def _read_copies(self, state: S, Q: Tensor) -> Tensor:
        """Read many queries by a rule that takes one: each of its own copy of the state, in the batch."""
        k = Q.shape[1]

        def copied(x: Tensor) -> Tensor:
            return x.unsqueeze(1).expand(-1, k, *x.shape[1:]).flatten(0, 1)

        kind: Any = type(state)
        return self._read(kind(*map(copied, state)), Q.flatten(0, 1)).unflatten(0, (-1, k))

    @final
    def unroll(
        self, E: Float[Tensor, "b n i"], Q: Float[Tensor, "b k m"], reads: Sequence[int], state: S | None = None
    ) -> tuple[Float[Tensor, "b k m"], S]:
        """Write a whole stack and read after chosen writes.

        The meaning is the loop of `write` and `read`, whatever faster form a rule has for it.

        Args:
            E: What is written, one entry a glimpse, each as for `write`.
            Q: The queries.
            reads: For each query the number of writes (0 to n) after which it is read.
            state: The state to start from; an empty memory where left out.

        Returns:
            What each query read, and the state after all writes.

        Raises:
            InputError: Shapes do not fit, or a read lies outside 0 to n.
        """
        self._check("E", E, "(b, n, m)", state, self.input_size)
        self._check("Q", Q, "(b, k, m)", state)
        E, Q = full_precision(E), full_precision(Q)
        with without_autocast(E):
            return self._unroll(E, Q, reads, state)

    @property
    def input_size(self) -> int:
        """How wide what is written is: m, or 2m where what and where come apart."""
        return self.memory_size if self.bind == "self" else 2 * self.memory_size

    @property
    def sums_up(self) -> bool:
        """Whether what is read is a sum over the writes, so that there are `contributions`."""
        return type(self)._contributions is not Memory._contributions

    @final
    def contributions(self, E: Float[Tensor, "b n i"], q: Float[Tensor, "b m"]) -> Contributions:
        """Return what each write gives to the read of a query after all of them, from the empty memory.

        The terms add up to what `read` gives. A write's term is what is left of it at the end: less where later
        writes let it fade, nothing where they replaced it.

        Args:
            E: What is written, one entry a glimpse.
            q: The query.

        Raises:
            InputError: What this memory reads is no sum over its writes, or shapes do not fit.
        """
        self._check("E", E, "(b, n, m)", None, self.input_size)
        self._check("q", q, "(b, m)", None)
        E, q = full_precision(E), full_precision(q)
        with without_autocast(E):
            return self._contributions(E, q)

    @final
    def with_room(self, state: S, slots: int) -> S:
        """Return the same memory with a number of empty slots before its entries, for writes to take the place of.

        A memory of fixed size stays as it is. One that may turn from rows into a matrix gets the form that
        it has after as many writes.

        Raises:
            InputError: The number is negative.
        """
        if slots < 0:
            raise InputError(f"slots must be 0 or more; got {slots}.")
        with without_autocast(state[0]):
            settled: Any = self._settle(state, slots)
        rows = {name: x for name, x in settled._asdict().items() if name in self.grows}
        return settled._replace(**{name: _after_zeros(x, slots) for name, x in rows.items()})

    def _check(self, name: str, x: Tensor, form: str, state: S | None, width: int | None = None) -> None:
        m = self.memory_size
        wide = m if width is None else width
        if x.ndim != form.count(",") + 1 or x.shape[-1] != wide:
            form = form if wide == m else form.replace("m)", "2m), what and then where,")
            raise InputError(f"{name} is {form} with m = {m}, the width of the memory; got {tuple(x.shape)}.")
        if state is not None and x.shape[0] != state[0].shape[0]:
            raise InputError(f"The state is of a batch of {state[0].shape[0]}; got {name} of a batch of {x.shape[0]}.")

    def _where(self, device: torch.device | None, dtype: torch.dtype | None) -> dict[str, Any]:
        """Return where an empty state is made and of what type: as the parameters are where left out."""
        own = full_precision(next(self.parameters()))
        return {"device": device or own.device, "dtype": dtype or own.dtype}


def _after_zeros(rows: Tensor, slots: int) -> Tensor:
    return torch.cat([rows.new_zeros(rows.shape[0], slots, *rows.shape[2:]), rows], dim=1)
