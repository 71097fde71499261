"""The slow, obvious twin of `stawm.core.filterbank`."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.pyramid import Pyramid


def _bounded(pose: Float[Tensor, "b 5"]) -> Float[Tensor, "b 5"]:
    """Return poses of which each number is one that tells filters apart."""
    least, most = [-1e4, -1e4, -40, -40, -30], [1e4, 1e4, 40, 10, 30]
    return torch.minimum(torch.maximum(pose, pose.new_tensor(least)), pose.new_tensor(most))


def spacing(pose: Float[Tensor, "b 5"], glimpse: int, height: int, width: int) -> Float[Tensor, "b 1"]:
    """Return δ, the distance between neighbouring filters in pixels."""
    gaps = glimpse - 1 if glimpse > 1 else 1
    return torch.stack([(max(height, width) - 1) / gaps * torch.exp(row[3:4]) for row in _bounded(pose)])


def centre(pose: Float[Tensor, "b 5"], height: int, width: int) -> tuple[Float[Tensor, "b 1"], Float[Tensor, "b 1"]]:
    """Return g_x and g_y, the centre of the filters in pixels."""
    x = torch.stack([(width + 1) / 2 * (row[0:1] + 1) for row in _bounded(pose)])
    y = torch.stack([(height + 1) / 2 * (row[1:2] + 1) for row in _bounded(pose)])
    return x, y


def filters(
    pose: Float[Tensor, "b 5"], glimpse: int, height: int, width: int
) -> tuple[Float[Tensor, "b g w"], Float[Tensor, "b g h"]]:
    """Return F_x and F_y, whose rows are weights that sum to one."""
    delta = spacing(pose, glimpse, height, width)
    x, y = centre(pose, height, width)
    banks = [
        (
            _bank(x[b, 0], delta[b, 0], torch.exp(row[2]), glimpse, width),
            _bank(y[b, 0], delta[b, 0], torch.exp(row[2]), glimpse, height),
        )
        for b, row in enumerate(_bounded(pose))
    ]
    return torch.stack([along for along, _ in banks]), torch.stack([down for _, down in banks])


def _bank(middle: Tensor, delta: Tensor, variance: Tensor, glimpse: int, pixels: int) -> Tensor:
    rows = []
    for i in range(1, glimpse + 1):
        mean = middle + (i - glimpse / 2 - 0.5) * delta
        heights = [-((a - mean) ** 2) / (2 * variance) for a in range(1, pixels + 1)]
        weights = [torch.exp(height - max(heights)) for height in heights]  # else all could be too small for a float
        rows.append(torch.stack([weight / sum(weights) for weight in weights]))
    return torch.stack(rows)


def read(
    image: Float[Tensor, "b c h w"], pose: Float[Tensor, "b 5"], glimpse: int
) -> Float[Tensor, "b c {glimpse} {glimpse}"]:
    """Return γ F_y image F_xᵀ."""
    batch, channels, height, width = image.shape
    along, down = filters(pose, glimpse, height, width)
    out = torch.zeros(batch, channels, glimpse, glimpse, dtype=image.dtype)
    for b in range(batch):
        for i in range(glimpse):
            for j in range(glimpse):
                seen = [down[b, i, v] * image[b, :, v, u] * along[b, j, u] for v in range(height) for u in range(width)]
                out[b, :, i, j] = torch.exp(_bounded(pose)[b, 4]) * sum(seen)
    return out


def widened(pose: Float[Tensor, "b 5"], doublings: int) -> Float[Tensor, "b 5"]:
    """Return the pose of a view of the same centre that is twice as wide, so often."""
    rows = []
    for x, y, variance, spacing, gain in pose:
        rows.append(torch.stack([x, y, variance + math.log(4**doublings), spacing + math.log(2**doublings), gain]))
    return torch.stack(rows)


def average(
    whole: Pyramid,
    pose: Float[Tensor, "b 5"],
    base: Float[Tensor, "3 _vn _n"],
    glimpse: int,
    made_for: tuple[int, int],
    *,
    views: int = 1,
) -> Float[Tensor, "b c {views}*{glimpse} {glimpse}"]:
    """Return γ F_y image F_xᵀ of concentric views: every filter over every pixel of the image itself."""
    image = whole.levels[0]
    (_, channels, height, width), (high, wide) = image.shape, made_for
    out = torch.zeros(len(pose), channels, views * glimpse, glimpse, dtype=image.dtype)
    for view in range(views):
        rows = _bounded(widened(pose, view))
        delta = spacing(rows, glimpse, high, wide)
        x, y = centre(rows, high, wide)
        for b, row in enumerate(rows):
            # A filter's place, counted in pixels of the size that it is made for, and from there in the image's own.
            times = max(height, width) / max(high, wide)
            middle_x, middle_y = (x[b, 0] - 0.5) * (width / wide) + 0.5, (y[b, 0] - 0.5) * (height / high) + 0.5
            variance = torch.exp(row[2]) * times**2
            along = _bank(middle_x, delta[b, 0] * times, variance, glimpse, width)
            down = _bank(middle_y, delta[b, 0] * times, variance, glimpse, height)
            place = slice(view * glimpse, (view + 1) * glimpse)
            out[b, :, place] = torch.exp(row[4]) * torch.einsum("iv,cvu,ju->cij", down, image[b], along)
    return out


def place(
    sketch: Float[Tensor, "b c g g"], pose: Float[Tensor, "b 5"], height: int, width: int
) -> Float[Tensor, "b c {height} {width}"]:
    """Return 1/γ F_yᵀ sketch F_x."""
    batch, channels, glimpse, _ = sketch.shape
    along, down = filters(pose, glimpse, height, width)
    out = torch.zeros(batch, channels, height, width, dtype=sketch.dtype)
    for b in range(batch):
        for v in range(height):
            for u in range(width):
                put = [
                    down[b, i, v] * sketch[b, :, i, j] * along[b, j, u] for i in range(glimpse) for j in range(glimpse)
                ]
                out[b, :, v, u] = sum(put) / torch.exp(_bounded(pose)[b, 4])
    return out
