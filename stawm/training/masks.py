"""How well a learned mask tells figure from ground, where the true mask is known."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.transforms.functional import rgb_to_grayscale

from stawm.errors import InputError
from stawm.models.model import Model, evaluating
from stawm.models.pixels import to_unit
from stawm.training.data import ImageSet, batches

LEVELS = (0.01, 0.02, *(level / 20 for level in range(1, 20)), 0.98, 0.99)
"""The thresholds that are tried."""
FITTED = 5_000
"""How many training images thresholds are chosen on."""


@dataclass(frozen=True, kw_only=True)
class MaskIoU:
    """The intersection over union of found and true masks, each averaged over images.

    Every way has its threshold, and which side of it is the figure, chosen on training images.

    Attributes:
        learned: The model's last mask, as in the paper's Figure 6.
        by_glimpse: The mask of the first glimpse, of the second, ...
        constant: One mask for all images: the pixels that are most often figure.
        brightness: A threshold of each image's brightness.
    """

    learned: float
    by_glimpse: tuple[float, ...]
    constant: float
    brightness: float


def mask_iou(model: Model, test: ImageSet, train: ImageSet, *, batch: int = 512) -> MaskIoU:
    """Compare a model's masks with the true ones, and with what can be done without learning.

    Args:
        model: A model that draws on a Bernoulli canvas; left in the mode that it was in.
        test: What to measure on.
        train: What thresholds are chosen on; the first 5,000 of it.
        batch: Images at a time.

    Raises:
        InputError: The model draws no masks, or the images' true masks are not known.
    """
    if not model.config.masked:
        raise InputError(f"{model.config.name} draws no masks: it needs canvas=bernoulli and a drawing head.")
    if test.masks is None or train.masks is None:
        raise InputError("It is not known where the figure is in these images; figure-ground:ROOT,PATH knows it.")
    train = train.take(slice(0, FITTED))
    assert train.masks is not None
    often = train.masks[:].float().mean(dim=0)
    often = often / often.max().clamp(min=1e-12)
    learned = _fitted(lambda pixels: _masks(model, pixels), test, train, batch)
    (constant,) = _fitted(lambda pixels: often.to(pixels.device).expand(len(pixels), -1, -1, -1), test, train, batch)
    (brightness,) = _fitted(_brightness, test, train, batch)
    return MaskIoU(learned=learned[-1], by_glimpse=learned, constant=constant, brightness=brightness)


def iou(found: Bool[Tensor, "*#b h w"], true: Bool[Tensor, "*#b h w"]) -> Float[Tensor, "*b"]:
    """Return the intersection over union of each pair of masks; 1 where both are empty."""
    both, either = (found & true).sum(dim=(-2, -1)), (found | true).sum(dim=(-2, -1))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def _fitted(score: Callable[[Tensor], Tensor], test: ImageSet, train: ImageSet, batch: int) -> tuple[float, ...]:
    """Return what each score of a pixel reaches, cut where it does best in training."""
    best = _reached(score, train, batch).argmax(dim=0, keepdim=True)
    return tuple(_reached(score, test, batch).gather(0, best)[0].tolist())


def _reached(score: Callable[[Tensor], Tensor], images: ImageSet, batch: int) -> Float[Tensor, "cuts n"]:
    """Return the mean intersection over union for each way to cut the scores: above each level, then below each."""
    assert images.masks is not None
    total = torch.zeros(())
    starts = range(0, len(images), batch)
    for (raw, _), start in zip(batches(images, batch), starts, strict=True):
        scores, true = score(to_unit(raw)), images.masks[start : start + batch]
        cuts = [iou(scores > level, true) for level in LEVELS] + [iou(scores <= level, true) for level in LEVELS]
        total = total + torch.stack(cuts).double().sum(dim=1).cpu()
    return total / len(images)


def _masks(model: Model, pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n h w"]:
    with evaluating(model):
        masks = model(model.normalise(pixels.to(next(model.parameters())))).masks
    return masks[:, :, 0].to(pixels.device)


def _brightness(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
    return rgb_to_grayscale(pixels) if pixels.shape[1] == 3 else pixels.mean(dim=1, keepdim=True)
