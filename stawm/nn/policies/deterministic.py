"""The paper's policy: it looks where the model says."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from stawm.configuration import Config as BaseConfig
from stawm.nn.policies.base import Move, Policy


class Deterministic(Policy):
    """The emission is the pose; it learns by the gradient through what is seen."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the policy that adds nothing."""

        name: str = "deterministic"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config or self.Config()

    def forward(
        self,
        emission: Float[Tensor, "b p"],
        hidden: Float[Tensor, "b d"],
        noise: Float[Tensor, "b k"] | None = None,
        taken: int = 0,
    ) -> Move:
        """Return the emission."""
        return Move(emission)
