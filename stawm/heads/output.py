"""What a model gives."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Latent(NamedTuple):
    """The Gaussian that each glimpse's sketch is drawn from (paper, section 3.3).

    Attributes:
        mu: Its mean.
        logvar: The logarithm of its variance.
    """

    mu: Float[Tensor, "b n k"]
    logvar: Float[Tensor, "b n k"]


class Trace(NamedTuple):
    """Where the model looked and what it saw.

    Attributes:
        pose: The pose of each glimpse, in the locator's numbers; row-major 2x3 for ``affine``.
        inverse_pose: The pose that each sketch was placed with; None in a model that does not draw.
        glimpses: What was seen.
        memory_input: e, what the memory was given at each glimpse.
    """

    pose: Float[Tensor, "b n p"]
    inverse_pose: Float[Tensor, "b n p"] | None
    glimpses: Float[Tensor, "b n c g g"]
    memory_input: Float[Tensor, "b n m"]


class Noise(NamedTuple):
    """The random numbers of one forward pass; what is None is not random.

    Attributes:
        latent: Standard normal numbers for the latent.
        mask: Uniform numbers in (0, 1) for the Bernoulli canvas.
    """

    latent: Float[Tensor, "b n k"] | None = None
    mask: Float[Tensor, "b n 1 h w"] | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a model gives; fields that a model has no head for are None.

    Attributes:
        logits: Normalised: logarithms of the class probabilities, as the paper's LogSoftmax gives.
        glimpse_logits: The same after each glimpse, where it is asked for.
        canvas: The finished picture.
        canvases: The picture after each glimpse.
        masks: The masks that the Bernoulli canvas drew with.
        latent: The Gaussian of each sketch.
        sketches: What was sketched of each glimpse, as the canvas takes it, before it is placed.
        trace: Where the model looked; None in the baselines, which do not glimpse.
    """

    logits: Float[Tensor, "b classes"] | None = None
    glimpse_logits: Float[Tensor, "b n classes"] | None = None
    canvas: Float[Tensor, "b c h w"] | None = None
    canvases: Float[Tensor, "b n c h w"] | None = None
    masks: Float[Tensor, "b n 1 h w"] | None = None
    latent: Latent | None = None
    sketches: Float[Tensor, "b n s g g2"] | None = None
    trace: Trace | None = None
