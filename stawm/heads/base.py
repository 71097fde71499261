"""The contract that every head keeps."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from stawm.configuration import Config
from stawm.heads.noise import Shapes
from stawm.heads.output import Noise, Output
from stawm.nn.glimpse_loop import Look
from stawm.nn.locators.base import Locator
from stawm.nn.precision import full_precision

Fields: TypeAlias = dict[str, Any]
"""Fields of the `Output` by name."""
Targets: TypeAlias = Shaped[Tensor, "b *k"] | Mapping[str, Shaped[Tensor, "..."]]
"""What is to be learned of each image: of all heads together, or by their names, and by the name `PLACES` the boxes of
things, where a policy learns from them."""
PLACES = "places"
"""What boxes are called among targets by name: left, top, right and bottom in pixels, (b, d, 4)."""
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


RIGHT = ("classes", "answers")
"""The targets of which an answer is right or wrong."""


class Head(nn.Module, ABC):
    """What a memory is used for.

    A head asks one query and says after which writes it reads. What it makes of the reads has two parts:
    `observe` looks at each read by itself, and `conclude` draws the conclusion from what `observe` kept. So
    a head works on all glimpses at once, and glimpse by glimpse in a step graph, by the same code.

    Attributes:
        fields: What the head gives, by the names that it has in the output, each with the letters of its axes: ``b``
            first, then ``n`` where there is one for every glimpse. Those of a latent go by their own names. A field
            that `Output` does not have itself is found in its ``extra``, and can be an output of a graph.
        targets: What the head learns of each image: the number of a class, k numbers, k flags that are 0 or 1, or the
            numbers of k answers, -1 where there is none; None where it needs none.
        Config: The head's own configuration. Where losses are summed over the batch, its ``summed_losses``
            names them; those that it does not name are averaged. Derived from `HeadConfig`, it takes a label and a
            weight too, which are seen to outside the head.
        learns_early: Whether its losses are also of the reads that it gives where all are asked for, so that all are
            made while training.
        query: From the context features to q. Of heads that are asked by cues, see `stawm.heads.cued`.
    """

    fields: ClassVar[Mapping[str, str]] = {}
    targets: ClassVar[Literal["classes", "values", "flags", "answers"] | None] = None
    Config: ClassVar[type[Config]]
    learns_early: bool = False
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
        self, output: Output, images: Float[Tensor, "b c h w"] | None, targets: Shaped[Tensor, "b *k"] | None
    ) -> dict[str, Tensor]:
        """Return the named parts of the loss, but for the head's weight.

        Args:
            output: What the model gave.
            images: The images as pixel values in [0, 1], where they are known.
            targets: What the head has to learn, of the kind that ``targets`` says.

        Raises:
            InputError: The head needs targets and there are none, or they are of another form.
        """

    def measure(self, output: Output, targets: Shaped[Tensor, "b *k"]) -> dict[str, Tensor]:
        """Return what tells how good the answers are, each a sum over the images; nothing unless it says so.

        Args:
            output: What the model gave.
            targets: What would have been right.
        """
        return {}

    def figures(self, sums: Mapping[str, Tensor], count: int) -> dict[str, Any]:
        """Return what an evaluation reports, as plain JSON values by name.

        Args:
            sums: What `measure` gave, added up over all images.
            count: How many images there were.
        """
        return {}

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shapes, without the batch, of the random numbers that the head uses; none unless it says so.

        Args:
            glimpses: n, how many writes there are.
        """
        return {}


class LastRead(Head):
    """A head that reads the memory once, after the last glimpse, and gives of its last read what it kept of each."""

    def __init__(self, config: Any, context_features: int, memory_size: int, dropout: float) -> None:
        """Ask by a query, whose dropout is the configuration's, or the model's where that is null."""
        super().__init__()
        self.config = config
        self.query = Query(context_features, memory_size, dropout if config.dropout is None else config.dropout)

    def reads(self, glimpses: int, *, every: bool = False) -> Sequence[int]:
        """Read once, after the last glimpse."""
        return (glimpses,)

    def conclude(self, carried: Carried) -> Fields:
        """Return what was kept of the last read."""
        return {name: kept[:, -1] for name, kept in carried.items()}
