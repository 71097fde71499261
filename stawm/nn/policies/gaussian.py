"""RAM's policy: a pose is drawn around the emission, and what was worth it becomes more probable."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.configuration import NON_NEGATIVE, Interval
from stawm.configuration import Config as BaseConfig
from stawm.core import policy as core
from stawm.nn.policies.base import Move, Policy
from stawm.nn.precision import WideLinear, full_precision


class Gaussian(Policy):
    """Normal around the emission in training, learned by REINFORCE (Williams 1992; Mnih et al. 2014); in use the mean.

    What is seen gives no gradient to the pose.
    """

    noise = "pose"
    rewarded = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the policy that is learned from a reward."""

        name: str = "gaussian"
        sigma: Annotated[float, Interval(1e-4, 10.0)] = 0.1
        """The standard deviation of each number of a pose, in training; an image reaches from -1 to 1."""
        baseline: bool = True
        """Whether the reward that is expected of the recurrent state is learned, and taken off."""
        weight: Annotated[float, NON_NEGATIVE] = 1.0
        """What the losses of the policy are multiplied by."""

    def __init__(self, config: Config | None = None, *, hidden_size: int) -> None:
        super().__init__()
        self.config = config or self.Config()
        self.expected = WideLinear(hidden_size, 1) if self.config.baseline else None

    def forward(
        self,
        emission: Float[Tensor, "b p"],
        hidden: Float[Tensor, "b d"],
        noise: Float[Tensor, "b k"] | None = None,
        taken: int = 0,
    ) -> Move:
        """Draw a pose around the emission, or return the emission where nothing is random."""
        mean, sigma = full_precision(emission), self.config.sigma
        if noise is None:
            return Move(mean.detach())
        pose = core.sample(mean, sigma, noise).detach()
        expected = None if self.expected is None else self.expected(hidden.detach())
        return Move(pose, core.log_density(pose, mean, sigma)[:, None], expected)

    def losses(
        self, log_prob: Float[Tensor, "b n"], baseline: Float[Tensor, "b n"] | None, reward: Float[Tensor, "b"]
    ) -> dict[str, Tensor]:
        """Return ``policy``, REINFORCE's, and ``baseline``, the squared error of the expected reward."""
        expected = torch.zeros_like(log_prob) if baseline is None else baseline
        parts = {"policy": core.reinforce(log_prob, reward, expected)}
        if baseline is not None:
            parts["baseline"] = core.baseline_error(reward, baseline)
        return {name: self.config.weight * part for name, part in parts.items()}
