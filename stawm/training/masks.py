"""How well a learned mask tells figure from ground, where the true mask is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.transforms.functional import rgb_to_grayscale

from stawm.errors import InputError
from stawm.models.model import Model, evaluating
from stawm.models.pixels import to_unit
from stawm.training.data import ImageSet, batches
from stawm.training.grouping import adjusted_rand, k_means

LEVELS = (0.01, 0.02, *(level / 20 for level in range(1, 20)), 0.98, 0.99)
"""The thresholds that are tried."""
FITTED = 5_000
"""How many training images thresholds are chosen on."""
CLUSTERS = 4
"""Into how many clusters the pixels of an image are sorted."""
NEARNESS = 0.3
"""How much a side of the image counts beside a channel's whole range, where pixels are sorted."""
Score: TypeAlias = Callable[[Tensor], Tensor]
"""From pixels in [0, 1] to a score of each pixel, (b, n, h, w)."""


@dataclass(frozen=True, kw_only=True)
class MaskIoU:
    """The intersection over union of found and true masks, each averaged over images.

    Every way has its threshold, and which side of it is the figure, chosen on training images.

    Attributes:
        learned: The model's last mask, as in the paper's Figure 6. Slots have no order, so of a model with slots each
            pixel belongs to the slot whose mask is largest there, and slots below a size are the figure.
        by_glimpse: The mask of the first glimpse, of the second, ...
        constant: One mask for all images: the pixels that are most often figure.
        brightness: A threshold of each image's brightness.
        clusters: Pixels grouped by colour and place with k-means, those of groups below a size being the figure.
        ari: For each of these ways, the adjusted Rand index of its masks over all pixels, figure and ground.
    """

    learned: float
    by_glimpse: tuple[float, ...]
    constant: float
    brightness: float
    clusters: float
    ari: Mapping[str, float]


def mask_iou(model: Model, test: ImageSet, train: ImageSet, *, batch: int = 512) -> MaskIoU:
    """Compare a model's masks with the true ones, and with what can be done without learning.

    Args:
        model: A model that draws with masks; left in the mode that it was in.
        test: What to measure on.
        train: What thresholds are chosen on; the first 5,000 of it.
        batch: Images at a time.

    Raises:
        InputError: The model draws no masks, or the images' true masks are not known.
    """
    if not model.config.masked:
        raise InputError(f"{model.config.name} draws no masks: it needs canvas=bernoulli and a drawing head, or slots.")
    if test.masks is None or train.masks is None:
        raise InputError("It is not known where the figure is in these images; figure-ground:ROOT,PATH knows it.")
    train = train.take(slice(0, FITTED))
    assert train.masks is not None
    often = train.masks[:].float().mean(dim=0)
    often = often / often.max().clamp(min=1e-12)
    ways: dict[str, Score] = {
        "learned": lambda pixels: _masks(model, pixels),
        "constant": lambda pixels: often.to(pixels.device).expand(len(pixels), -1, -1, -1),
        "brightness": _brightness,
        "clusters": _clusters,
    }
    found = {way: _fitted(score, test, train, batch) for way, score in ways.items()}
    last = {way: figures[-1].tolist() for way, figures in found.items()}
    return MaskIoU(
        by_glimpse=tuple(found["learned"][:, 0].tolist()),
        ari={way: figures[1] for way, figures in last.items()},
        **{way: figures[0] for way, figures in last.items()},
    )


def iou(found: Bool[Tensor, "*#b h w"], true: Bool[Tensor, "*#b h w"]) -> Float[Tensor, "*b"]:
    """Return the intersection over union of each pair of masks; 1 where both are empty."""
    return _ratio((found & true).sum(dim=(-2, -1)), (found | true).sum(dim=(-2, -1)))


def _ratio(both: Tensor, either: Tensor) -> Tensor:
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def _fitted(score: Score, test: ImageSet, train: ImageSet, batch: int) -> Float[Tensor, "n 2"]:
    """Return the IoU and the ARI that each score of a pixel reaches, cut where its IoU is best in training."""
    best = _average(score, train, batch, _every_cut).argmax(dim=0).tolist()
    return _average(score, test, batch, lambda scores, true: _at(best, scores, true))


def _average(
    score: Score, images: ImageSet, batch: int, measure: Callable[[Tensor, Tensor], Float[Tensor, "b *k"]]
) -> Float[Tensor, "*k"]:
    """Return the mean over all images of what is measured of their scores and true masks."""
    assert images.masks is not None
    total = torch.zeros(())
    starts = range(0, len(images), batch)
    for (raw, _), start in zip(batches(images, batch), starts, strict=True):
        found = measure(score(to_unit(raw)), images.masks[start : start + batch])
        total = total + found.double().sum(dim=0).cpu()
    return total / len(images)


def _every_cut(scores: Float[Tensor, "b n h w"], true: Bool[Tensor, "b 1 h w"]) -> Float[Tensor, "b cuts n"]:
    """Return the IoU for every way to cut the scores: above each level, then below each."""
    figure = true.expand_as(scores).flatten(2)
    levels = torch.tensor(LEVELS, dtype=scores.dtype, device=scores.device)
    passed = torch.bucketize(scores.flatten(2).contiguous(), levels)
    below, hit = (_at_most_each_level(passed, pixels) for pixels in (torch.ones_like(figure), figure))
    size, whole = figure.sum(dim=-1, keepdim=True), figure.shape[-1]
    cuts = [(whole - below, size - hit), (below, hit)]
    return torch.cat([_ratio(both, found + size - both) for found, both in cuts], dim=-1).mT


def _at_most_each_level(passed: Int64[Tensor, "b n p"], pixels: Bool[Tensor, "b n p"]) -> Int64[Tensor, "b n levels"]:
    """Return how many of some pixels score at most each level, from how many levels each pixel's score passed."""
    counts = torch.zeros(*passed.shape[:2], len(LEVELS) + 1, dtype=torch.long, device=passed.device)
    return counts.scatter_add(2, passed, pixels.long()).cumsum(dim=-1)[..., :-1]


def _at(ways: list[int], scores: Float[Tensor, "b n h w"], true: Bool[Tensor, "b 1 h w"]) -> Float[Tensor, "b n 2"]:
    """Return IoU and ARI for one way to cut each score; of all ways ARI would take long."""
    masks = torch.stack([_cut(scores[:, n], way) for n, way in enumerate(ways)], dim=1)
    return torch.stack([iou(masks, true), _ari(masks, true)], dim=-1)


def _cut(scores: Tensor, way: int) -> Tensor:
    return scores > LEVELS[way] if way < len(LEVELS) else scores <= LEVELS[way - len(LEVELS)]


def _ari(found: Bool[Tensor, "b n h w"], true: Bool[Tensor, "b 1 h w"]) -> Float[Tensor, "b n"]:
    each = [adjusted_rand(mask.flatten(1).long(), true.flatten(1).long()) for mask in found.unbind(dim=1)]
    return torch.stack(each, dim=1).to(found.device)


def _masks(model: Model, pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n h w"]:
    with evaluating(model):
        masks = model(model.normalise(pixels.to(next(model.parameters())))).masks[:, :, 0].to(pixels.device)
    return masks if model.config.glimpses is not None else _share(masks.argmax(dim=1), masks.shape[1])


def _brightness(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
    return rgb_to_grayscale(pixels) if pixels.shape[1] == 3 else pixels.mean(dim=1, keepdim=True)


def _clusters(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
    """Return for each pixel the share of the image that its cluster of colour and place covers."""
    height, width = pixels.shape[2:]
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    places = NEARNESS * torch.stack([rows, columns]).to(pixels).expand(len(pixels), -1, -1, -1)
    groups = k_means(torch.cat([pixels, places], dim=1).flatten(2).mT, CLUSTERS)
    return _share(groups.view(-1, height, width), CLUSTERS).to(pixels.dtype)


def _share(groups: Int64[Tensor, "b h w"], count: int) -> Float[Tensor, "b 1 h w"]:
    """Return for each pixel the share of the image that its group covers."""
    flat = groups.flatten(1)
    share = torch.nn.functional.one_hot(flat, count).float().mean(dim=1)
    return share.gather(1, flat).view_as(groups)[:, None]
