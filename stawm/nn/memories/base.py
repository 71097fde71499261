"""The contract that every memory keeps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config

S = TypeVar("S", bound=tuple[Any, ...])


class Memory(nn.Module, ABC, Generic[S]):
    """A memory that is written while an image is looked at.

    The state is a named tuple of tensors, passed in and out: nothing is kept on ``self``, so a
    memory is re-entrant, can be split anywhere, and exports as a step graph. Parameters (rates,
    projections) belong to the module; the equations are pure functions in `stawm.core`.

    Attributes:
        Config: The memory's own configuration; sizes are given by the model, never by it.
        memory_size: m, the width of what is written and read.
    """

    Config: ClassVar[type[Config]]

    def __init__(self, config: Config, *, memory_size: int) -> None:
        """Keep the configuration and the width."""
        super().__init__()
        self.config = config
        self.memory_size = memory_size

    @abstractmethod
    def init_state(
        self, batch: int, *, slots: int = 0, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> S:
        """Return the state of an empty memory.

        Args:
            batch: b, how many images are looked at.
            slots: Empty slots that a state that grows with each write starts with; they change no
                read and no write. A state of fixed size has none.
            device: Where; the device of the parameters where left out.
            dtype: Of what type; the type of the parameters where left out.
        """

    @abstractmethod
    def write(self, state: S, e: Float[Tensor, "b m"]) -> S:
        """Return the state after one write; a state that grows has its newest entry last."""

    @abstractmethod
    def read(self, state: S, q: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
        """Project a query through the memory, with no activation and no identity term."""

    @abstractmethod
    def matrix(self, state: S) -> Float[Tensor, "b m m"]:
        """Return the memory as the matrix W with ``read(q) = W q``, for looking at it.

        Where reading is not linear, the matrix of its derivative at the query zero.
        """

    def unroll(
        self, E: Float[Tensor, "b n m"], Q: Float[Tensor, "b k m"], reads: Sequence[int], state: S | None = None
    ) -> tuple[Float[Tensor, "b k m"], S]:
        """Write a whole stack and read after chosen writes.

        This loop is the meaning; memories override it with a faster form that gives the same.

        Args:
            E: What is written, one entry a glimpse.
            Q: The queries.
            reads: For each query the number of writes (0 to n) after which it is read.
            state: The state to start from; an empty memory where left out.

        Returns:
            What each query read, and the state after all writes.
        """
        state = self.init_state(E.shape[0], device=E.device, dtype=E.dtype) if state is None else state
        answers: dict[int, Tensor] = {}
        for t in range(E.shape[1] + 1):
            if t > 0:
                state = self.write(state, E[:, t - 1])
            answers |= {k: self.read(state, Q[:, k]) for k, after in enumerate(reads) if after == t}
        return torch.stack([answers[k] for k in range(len(reads))], dim=1) if reads else Q, state
