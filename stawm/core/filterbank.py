"""DRAW's attention: a grid of Gaussian filters (Gregor et al. 2015, sections 3.2 and 3.3).

    (g̃_x, g̃_y, log σ², log δ̃, log γ) = the pose
    g_x = (w + 1)/2 (g̃_x + 1),   g_y = (h + 1)/2 (g̃_y + 1),   δ = (max(h, w) - 1)/(g - 1) δ̃
    μ_i = g_x + (i - g/2 - 1/2) δ                              i = 1 … g, and the like for y
    F_x[i, a] = exp(-(a - μ_i)² / 2σ²) / Σ_a'                  a = 1 … w
    glimpse = γ F_y image F_xᵀ,    placed sketch = 1/γ F_yᵀ sketch F_x

Positions and σ count in pixels, the first of which is 1. A glimpse of one pixel has no neighbours: there
δ takes g - 1 as 1, and moves nothing.

In images of any size, `average` reads the same filters from a window of fixed cost: 2g x 2g means of what lies around
them, R = (g/2 + 1) δ + 3σ to each side, of a pyramid. There positions, δ and σ count in pixels of the size that a model
is made for, and an image of another size counts as so many by its longer side. Means of a width s are blurred by a
variance of s²/4 already, which is taken from σ², down to the s²/4 that keeps every filter between them.

Numbers of a pose beyond what tells filters apart count as the nearest that does, so that single precision holds all
that is computed, and every gradient, whatever the pose: for images of 16,384 pixels a side, (a - μ)² stays below e³⁹,
1/2σ² and γ below e⁴⁰ and e³⁰, and a gradient, of the order of γ/σ², below e⁷⁰ (the largest float is e⁸⁸).
"""

from math import log

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core import affine, pyramid
from stawm.core.constants import vector
from stawm.core.pyramid import Pyramid

FAR = 1e4
"""|g̃|: how far a centre may be from the middle of the image, in halves of the image."""
LOG_VARIANCE, LOG_SPACING, LOG_GAIN = (-40.0, 40.0), (-40.0, 10.0), (-30.0, 30.0)
"""log σ²: one pixel alone, or all alike; log δ̃: all filters on one spot, or all but one outside; log γ."""


def spacing(pose: Float[Tensor, "b 5"], glimpse: int, height: int, width: int) -> Float[Tensor, "b 1"]:
    """Return δ, the distance between neighbouring filters in pixels."""
    return pose[:, 3:4].clamp(*LOG_SPACING).exp() * ((max(height, width) - 1) / max(glimpse - 1, 1))


def centre(pose: Float[Tensor, "b 5"], height: int, width: int) -> tuple[Float[Tensor, "b 1"], Float[Tensor, "b 1"]]:
    """Return g_x and g_y, the centre of the filters in pixels."""
    x, y = pose[:, :1].clamp(-FAR, FAR), pose[:, 1:2].clamp(-FAR, FAR)
    return (x + 1) * ((width + 1) / 2), (y + 1) * ((height + 1) / 2)


def filters(
    pose: Float[Tensor, "b 5"], glimpse: int, height: int, width: int
) -> tuple[Float[Tensor, "b g w"], Float[Tensor, "b g h"]]:
    """Return F_x and F_y, whose rows are weights that sum to one, for an image's height and width."""
    delta = spacing(pose, glimpse, height, width)
    falloff = (-pose[:, 2:3].clamp(*LOG_VARIANCE)).exp() / -2
    x, y = centre(pose, height, width)
    return _bank(x, delta, falloff, glimpse, width), _bank(y, delta, falloff, glimpse, height)


def _bank(middle: Tensor, delta: Tensor, falloff: Tensor, glimpse: int, pixels: int) -> Tensor:
    steps = torch.arange(glimpse, dtype=middle.dtype, device=middle.device) - (glimpse - 1) / 2
    places = torch.arange(1, pixels + 1, dtype=middle.dtype, device=middle.device)
    means = middle + delta * steps
    # Softmax is the normalised Gaussian, also where every weight by itself would be too small for a float.
    return ((places - means[:, :, None]).square() * falloff[:, :, None]).softmax(dim=-1)


def read(
    image: Float[Tensor, "b c h w"], pose: Float[Tensor, "b 5"], glimpse: int
) -> Float[Tensor, "b c {glimpse} {glimpse}"]:
    """Return γ F_y image F_xᵀ."""
    along, down = filters(pose, glimpse, image.shape[2], image.shape[3])
    seen = down[:, None] @ image @ along[:, None].transpose(2, 3)
    return seen * pose[:, 4:].clamp(*LOG_GAIN).exp().unflatten(1, (1, 1, 1))


def widened(pose: Float[Tensor, "b 5"], doublings: int) -> Float[Tensor, "b 5"]:
    """Return the pose of a view of the same centre that is twice as wide, so often: δ and σ are doubled."""
    return pose + doublings * log(2) * vector((0, 0, 2, 1, 0), pose)


def average(
    whole: Pyramid,
    pose: Float[Tensor, "b 5"],
    base: Float[Tensor, "3 _vn _n"],
    glimpse: int,
    made_for: tuple[int, int],
    *,
    views: int = 1,
) -> Float[Tensor, "b c {views}*{glimpse} {glimpse}"]:
    """Return γ F_y image F_xᵀ of concentric views, one below the other, from means around the filters.

    Args:
        whole: The pyramid of the image, with what is outside continuing its border.
        pose: The pose of the first view.
        base: The pixels of the windows of all views, as `stawm.core.affine.concentric` gives them.
        glimpse: g, the side of a glimpse in pixels.
        made_for: The height and width that positions and σ count by.
        views: v, how many views there are.
    """
    (height, width), count = made_for, base.shape[2]
    delta, variance = spacing(pose, glimpse, height, width), pose[:, 2:3].clamp(*LOG_VARIANCE).exp()
    reach = (glimpse / 2 + 1) * delta + 3 * variance.sqrt()
    window = _window(pose, reach, height, width)
    seen = pyramid.read(whole, affine.squared(window, whole.size), base, views=views, padding="border")
    blur = (reach / count).square()  # s²/4 of s = 2R/n
    falloff = -0.5 / torch.maximum(variance - blur, blur)
    steps = torch.arange(glimpse, dtype=pose.dtype, device=pose.device) - (glimpse - 1) / 2
    gaps = (reach * base[0, 0])[:, None] - (delta * steps)[:, :, None]
    bank = (gaps.square() * falloff[:, :, None]).softmax(dim=-1)[:, None, None]
    read = bank @ seen.unflatten(2, (views, -1)) @ bank.transpose(3, 4)
    return read.flatten(2, 3) * pose[:, 4:].clamp(*LOG_GAIN).exp().unflatten(1, (1, 1, 1))


def _window(pose: Tensor, reach: Float[Tensor, "b 1"], height: int, width: int) -> Float[Tensor, "b 6"]:
    """Return the affine pose of a window that is square in an image whose longer side counts as a side."""
    x, y = centre(pose, height, width)
    half, zero = reach * (2 / max(height, width)), torch.zeros_like(reach)
    return torch.cat([half, zero, (2 * x - 1) / width - 1, zero, half, (2 * y - 1) / height - 1], dim=1)


def place(
    sketch: Float[Tensor, "b c g g"], pose: Float[Tensor, "b 5"], height: int, width: int
) -> Float[Tensor, "b c {height} {width}"]:
    """Return 1/γ F_yᵀ sketch F_x."""
    along, down = filters(pose, sketch.shape[-1], height, width)
    placed = down[:, None].transpose(2, 3) @ sketch @ along[:, None]
    return placed * (-pose[:, 4:].clamp(*LOG_GAIN)).exp().unflatten(1, (1, 1, 1))
