"""Pixels in groups: how alike two groupings are, and groups that need no learning."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

ROUNDS = 10
"""How often k-means moves its centres."""


def adjusted_rand(found: Int64[Tensor, "b p"], true: Int64[Tensor, "b p"]) -> Float[Tensor, "b"]:
    """Return how well each grouping of points agrees with the true one: 1 for the same, about 0 by chance.

    The adjusted Rand index (Hubert and Arabie 1985). ARI counts every pixel of an image. FG-ARI, as in DeepMind's
    multi_object_datasets, counts those of figures alone: give these. A single figure is a single group, of which FG-ARI
    is 1 where the grouping leaves it whole and 0 in every other case, so it says little of images with one figure.

    Args:
        found: The group of each point, numbered from 0.
        true: Its true group.
    """
    each, truly = (one_hot(groups).double() for groups in (found, true))
    joint = _pairs(each.mT @ truly).sum(dim=1)
    alone, other = (_pairs(groups.sum(dim=1)) for groups in (each, truly))
    pairs = found.shape[1] * (found.shape[1] - 1) / 2
    expected = alone * other / max(pairs, 1)
    most = (alone + other) / 2
    return torch.where(most == expected, 1.0, (joint - expected) / torch.where(most == expected, 1.0, most - expected))


def k_means(points: Float[Tensor, "b p d"], count: int) -> Int64[Tensor, "b p"]:
    """Return the group of each point by k-means (Lloyd 1982), the same each time.

    The first centre is the point nearest to the mean, each further one the point farthest from those before.

    Args:
        points: The points, those of each image grouped by themselves.
        count: k, how many groups there are; a group may stay empty.
    """
    nearest = (points - points.mean(dim=1, keepdim=True)).square().sum(dim=-1)
    chosen = [nearest.argmin(dim=1)]
    for _ in range(count - 1):
        chosen.append(_distances(points, _rows(points, torch.stack(chosen, dim=1))).amin(dim=-1).argmax(dim=1))
    centres = _rows(points, torch.stack(chosen, dim=1))
    for _ in range(ROUNDS):
        within = one_hot(_distances(points, centres).argmin(dim=-1), count).to(points.dtype)
        sizes = within.sum(dim=1)[..., None]
        centres = torch.where(sizes > 0, within.mT @ points / sizes.clamp(min=1), centres)
    return _distances(points, centres).argmin(dim=-1)


def _pairs(sizes: Float[Tensor, "b *k"]) -> Float[Tensor, "b *k2"]:
    """Return how many pairs of points lie together in groups of such sizes, added up over the last axis."""
    return (sizes * (sizes - 1) / 2).sum(dim=-1)


def _rows(points: Float[Tensor, "b p d"], index: Int64[Tensor, "b k"]) -> Float[Tensor, "b k d"]:
    return points.gather(1, index[..., None].expand(-1, -1, points.shape[-1]))


def _distances(points: Float[Tensor, "b p d"], centres: Float[Tensor, "b k d"]) -> Float[Tensor, "b p k"]:
    return torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist")
