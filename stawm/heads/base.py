"""The contract that every head keeps."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

from jaxtyping import Float, Int
from torch import Tensor, nn

from stawm.configuration import Config
from stawm.heads.noise import Shapes
from stawm.heads.output import Noise, Output
from stawm.nn.glimpse_loop import Look
from stawm.nn.locators.base import Locator
from stawm.nn.precision import full_precision

Fields: TypeAlias = dict[str, Any]
"""Fields of the `Output` by name."""
Carried: TypeAlias = Mapping[str, Tensor]
"""What a head keeps of each read for its conclusion, by name; each (b, k, ...)."""


class Scene(NamedTuple):
    """What a head may use beside what it read from the memory.

    Attributes:
        looks: The glimpses that were read after; None where only what was read is known.
        locator: How a pose places a sketch.
        noise: The random numbers of this pass.
    """

    looks: Look | None
    locator: Locator
    noise: Noise


class Query(nn.Module):
    """From the context to the question that a head asks of the memory (paper, section 3.3).

    A linear layer on the detached context features, then ReLU6: the context CNN learns nothing
    from what is asked.
    """

    def __init__(self, context_features: int, memory_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(context_features, memory_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, context: Float[Tensor, "b f"]) -> Float[Tensor, "b m"]:
        """Return q."""
        return full_precision(self.dropout(self.linear(context.detach()))).clamp(0, 6)


class Head(nn.Module, ABC):
    """What a memory is used for.

    A head asks one query and says after which writes it reads. What it makes of the reads has two parts:
    `observe` looks at each read by itself, and `conclude` draws the conclusion from what `observe` kept. So
    a head works on all glimpses at once, and glimpse by glimpse in a step graph, by the same code.

    Attributes:
        Config: The head's own configuration. Where losses are summed over the batch, its ``summed_losses``
            names them; those that it does not name are averaged.
        query: From the context features to q.
    """

    Config: ClassVar[type[Config]]
    query: Query

    @abstractmethod
    def reads(self, glimpses: int, *, every: bool = False) -> Sequence[int]:
        """Return the numbers of writes after which the query is read.

        A head has a step form where it reads after every glimpse, or once after the last.

        Args:
            glimpses: n, how many writes there are.
            every: Whether answers after every glimpse are wanted, also where the head needs fewer.
        """

    @abstractmethod
    def observe(self, answers: Float[Tensor, "b k m"], scene: Scene) -> tuple[Fields, Carried]:
        """Look at each read by itself.

        Args:
            answers: What was read, after ReLU6.
            scene: What else there is; its glimpses and noise are those of the k reads.

        Returns:
            Fields of the Output that have the axis k, and what is kept for `conclude`.
        """

    @abstractmethod
    def conclude(self, carried: Carried) -> Fields:
        """Turn what was kept of all reads into fields of the Output."""

    def carries(self, noise: Collection[str]) -> Shapes:
        """Return the shapes, without b and k, of what a head that reads after every glimpse keeps of each read.

        Args:
            noise: Which random numbers are given, by the fields of `Noise`.
        """
        return {}

    def forward(self, answers: Float[Tensor, "b k m"], scene: Scene) -> Fields:
        """Turn what was read, after ReLU6, into fields of the Output."""
        fields, carried = self.observe(answers, scene)
        return fields | self.conclude(carried)

    @abstractmethod
    def losses(
        self, output: Output, images: Float[Tensor, "b c h w"] | None, labels: Int[Tensor, "b"] | None
    ) -> dict[str, Tensor]:
        """Return the named parts of the loss, each already weighted.

        Args:
            output: What the model gave.
            images: The images as pixel values in [0, 1], where they are known.
            labels: The classes, where the head needs them.

        Raises:
            InputError: The head needs labels and there are none.
        """

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shapes, without the batch, of the random numbers that the head uses; none unless it says so.

        Args:
            glimpses: n, how many writes there are.
        """
        return {}
