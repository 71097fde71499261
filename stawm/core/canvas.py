"""How placed sketches become a picture.

    addition:   C_N = S(C_0 + Σ_n U_n)                                       the paper's Eq. 3
    over:       C_n = C_{n-1} ⊙ (1 - B_n) + U_n ⊙ B_n,  C_0 = 0              the paper's Eq. 4; Porter and Duff 1984
    concrete:   B = S((logit u + logit p)/τ),  u uniform in (0, 1)           Maddison et al. 2017; Jang et al. 2017
    one colour: U'_n = Σ U_n ⊙ P_n / Σ P_n,  sums over pixels                the mean of a region, Chan and Vese 2001
    coarse:     U'_n = L_h A_h U_n A_wᵀ L_wᵀ                                 means of s x s cells, joined by lines

A_h, (s, h), takes the mean of each of s cells along a side of h pixels; L_h, (h, s), gives each pixel what lies on the
straight line between the centres of the two cells around it, and beyond the outermost centres what these have.
S is the sigmoid. As τ goes to 0, B becomes 1 with probability p, else 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def add(sketches: Float[Tensor, "b n c h w"], start: float) -> Float[Tensor, "b n c h w"]:
    """Return C_0 + Σ U after each placed sketch U, before the sigmoid; C_0 is ``start``."""
    return sketches.cumsum(dim=1) + start


def over(
    canvas: Float[Tensor, "b c h w"], sketch: Float[Tensor, "b c h w"], mask: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, "b c h w"]:
    """Return the canvas with the sketch put over it where the mask is one."""
    return canvas * (1 - mask) + sketch * mask


def paint(sketches: Float[Tensor, "b n c h w"], masks: Float[Tensor, "b n 1 h w"]) -> Float[Tensor, "b n c h w"]:
    """Return the canvas after each placed sketch U, through its mask B, is put over an empty one."""
    first, *drawn = (sketches * masks).split(1, dim=1)
    canvases = [first]
    for kept, added in zip((1 - masks).split(1, dim=1)[1:], drawn, strict=True):
        canvases.append(canvases[-1] * kept + added)
    return torch.cat(canvases, dim=1)


def one_colour(sketches: Float[Tensor, "*b c h w"], masks: Float[Tensor, "*b 1 h w"]) -> Float[Tensor, "*b c h w"]:
    """Return sketches that each have one colour: the mean of what they were, weighted by the mask."""
    area = masks.sum(dim=(-2, -1), keepdim=True).clamp(min=torch.finfo(masks.dtype).eps)
    return ((sketches * masks).sum(dim=(-2, -1), keepdim=True) / area).expand_as(sketches)


def coarse(sketches: Float[Tensor, "*b c h w"], side: int) -> Float[Tensor, "*b c h w"]:
    """Return sketches that show no more than ``side`` by ``side`` cells do, drawn as large as they were."""
    down, across = (_coarsening(size, side, sketches.device).to(sketches.dtype) for size in sketches.shape[-2:])
    return down @ sketches @ across.mT


def _coarsening(size: int, side: int, device: torch.device) -> Float[Tensor, "size size"]:
    """Return L A of a side: from pixels to the means of cells, and back along straight lines."""
    pixels, numbers = (torch.arange(n + 1, dtype=torch.float64, device=device) for n in (size, side))
    edges, cells = pixels / size, numbers / side
    low, high = torch.maximum(edges[:-1], cells[:-1, None]), torch.minimum(edges[1:], cells[1:, None])
    means = (high - low).clamp(min=0) * side
    centres = ((pixels[:-1] + 0.5) * side / size - 0.5).clamp(0, side - 1)
    lines = (1 - (centres[:, None] - numbers[:-1]).abs()).clamp(min=0)
    return lines @ means


def concrete(p: Float[Tensor, "*b"], u: Float[Tensor, "*b"], temperature: float) -> Float[Tensor, "*b"]:
    """Return a sample of the Binary Concrete distribution.

    Args:
        p: The probabilities; those of 0 and 1 count as the machine's epsilon away from there.
        u: Uniform noise in (0, 1).
        temperature: τ.
    """
    epsilon = torch.finfo(p.dtype).eps
    return ((_logit(u) + _logit(p.clamp(epsilon, 1 - epsilon))) / temperature).sigmoid()


def _logit(p: Tensor) -> Tensor:
    return (p / (1 - p)).log()
