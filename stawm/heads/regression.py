"""Regression: one read of the finished memory, one linear layer, k numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from stawm.configuration import FRACTION, POSITIVE, SIZE
from stawm.errors import InputError
from stawm.heads.base import Carried, Fields, LastRead, Scene
from stawm.heads.config import HeadConfig
from stawm.heads.output import Output
from stawm.nn.precision import Exact, WideLinear


class RegressionHead(LastRead):
    """Reads the memory after the last glimpse and gives k numbers, such as a place, a size or an age.

    The linear layer works on scaled targets, (target - mean) / std, and so does the loss; ``output.values`` is in the
    targets' own units.
    """

    fields: ClassVar = {"values": "b k"}
    targets = "values"

    @dataclass(frozen=True, kw_only=True)
    class Config(HeadConfig):
        """What the head alone decides."""

        name: str = "regression"
        values: Annotated[int, SIZE] = 1
        """k, how many numbers are given of an image."""
        names: tuple[str, ...] = ()
        """What they are called; may be left empty."""
        loss: Literal["squared", "smooth-l1"] = "squared"
        """The error that is learned from: squared, or linear beyond an error of 1, which far targets pull at less."""
        mean: tuple[float, ...] = (0.0,)
        """What is taken from the targets before they are learned, one number or one for each value."""
        std: tuple[Annotated[float, POSITIVE], ...] = (1.0,)
        """What they are then divided by."""
        dropout: Annotated[float, FRACTION] | None = None
        """The rate on the query; the model's where null."""

        def faults(self) -> list[str]:
            """Return what is wrong with the label, and between names, scale and the number of values."""
            found = super().faults() + [
                f"{self.name}: {key} has 1 number or one for each of {self.values} values; got {getattr(self, key)}."
                for key in ("mean", "std")
                if len(getattr(self, key)) not in (1, self.values)
            ]
            if self.names and len(self.names) != self.values:
                found.append(f"{self.name}: names has {len(self.names)} names for {self.values} values.")
            return found

    def __init__(
        self, config: Config | None = None, *, context_features: int, memory_size: int, dropout: float = 0.0
    ) -> None:
        super().__init__(config or self.Config(), context_features, memory_size, dropout)
        self.linear = WideLinear(memory_size, self.config.values)
        self.mean, self.std = Exact(self.config.mean), Exact(self.config.std)

    def observe(self, answers: Float[Tensor, "b k m"], scene: Scene) -> tuple[Fields, Carried]:
        """Keep the numbers of every read."""
        return {}, {"values": self.linear(answers) * self.std() + self.mean()}

    def losses(
        self, output: Output, images: Float[Tensor, "b c h w"] | None, targets: Float[Tensor, "b k"] | None
    ) -> dict[str, Tensor]:
        """Return the error of scaled values, averaged over values and images."""
        wanted = self._checked(output, targets)
        error = F.mse_loss if self.config.loss == "squared" else F.smooth_l1_loss
        return {"regression": error((output.values - self.mean()) / self.std(), (wanted - self.mean()) / self.std())}

    def measure(self, output: Output, targets: Float[Tensor, "b k"]) -> dict[str, Tensor]:
        """Return the sums of absolute and of squared errors, value by value."""
        error = output.values.double() - self._checked(output, targets).double()
        return {"absolute": error.abs().sum(dim=0), "squared": error.square().sum(dim=0)}

    def figures(self, sums: Mapping[str, Tensor], count: int) -> dict[str, Any]:
        """Return the mean absolute error and the root of the mean squared error of each value, in its own units."""
        names = self.config.names or tuple(map(str, range(self.config.values)))
        mae, rmse = (sums["absolute"] / count).tolist(), (sums["squared"] / count).sqrt().tolist()
        return {"mae": dict(zip(names, mae, strict=True)), "rmse": dict(zip(names, rmse, strict=True))}

    def _checked(self, output: Output, targets: Tensor | None) -> Tensor:
        shape = tuple(output.values.shape)
        if targets is None or not targets.is_floating_point() or tuple(targets.shape) != shape:
            got = "none" if targets is None else f"{targets.dtype} of shape {tuple(targets.shape)}"
            raise InputError(f"The head {self.config.name!r} learns floats of shape {shape}; got {got}.")
        return targets.to(output.values.dtype)
