"""How good a model is on a set of images."""

import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from stawm.core.latent import joint_kl
from stawm.errors import InputError
from stawm.heads.model import Model, Stawm
from stawm.heads.output import Output
from stawm.training.augment import to_unit
from stawm.training.data import ImageSet, batches


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured; None where the model has no such output.

    Attributes:
        images: How many images were looked at.
        error: The share that was classified wrongly.
        interval: Where the error of the population lies with 95 % confidence (Wilson's score interval).
        error_by_glimpse: The error when answering after the first glimpse, after the second, ...
        mse: The squared error of the drawn picture, averaged over pixels and images.
        kl: The divergence of the latent from the unit Gaussian, averaged over images, without its weight.
    """

    images: int
    error: float | None = None
    interval: tuple[float, float] | None = None
    error_by_glimpse: tuple[float, ...] | None = None
    mse: float | None = None
    kl: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what was measured as plain JSON values."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        """Lay it out for reading."""
        lines = [f"{self.images:,} images"]
        if self.error is not None and self.interval is not None:
            low, high = self.interval
            lines.append(f"error {self.error:.2%} (95 % interval {low:.2%} to {high:.2%})")
        if self.error_by_glimpse is not None:
            lines.append("error by glimpse " + "  ".join(f"{error:.2%}" for error in self.error_by_glimpse))
        lines += [f"{name} {value:.5g}" for name, value in (("mse", self.mse), ("kl", self.kl)) if value is not None]
        return "\n".join(lines)


def evaluate(model: Model, images: ImageSet, *, batch: int = 512, by_glimpse: bool = False) -> Evaluation:
    """Measure a model, in evaluation mode and without any randomness.

    Args:
        model: The model; left in the mode that it was in.
        images: What to measure on.
        batch: Images at a time.
        by_glimpse: Whether to measure the error after every glimpse too.

    Raises:
        InputError: There are no images, they are not of the model's form, or there are more classes than
            the model tells apart.
    """
    _check(model, images)
    by_glimpse = by_glimpse and isinstance(model, Stawm) and model.config.head("classification") is not None
    like = next(model.parameters())
    sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), dtype=torch.float64))
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for raw, labels in batches(images, batch):
                pixels = to_unit(raw.to(like.device)).to(like.dtype)
                output = model(model.normalise(pixels), **({"glimpse_logits": True} if by_glimpse else {}))
                for name, value in _sums(output, pixels, labels.to(like.device)).items():
                    sums[name] = sums[name] + value.double().cpu()
    finally:
        model.train(was_training)
    return _evaluation(sums, len(images))


def wilson(wrong: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval for a share, at 95 % confidence."""
    share, wide = wrong / count, z * z / count
    middle = (share + wide / 2) / (1 + wide)
    reach = z * math.sqrt(share * (1 - share) / count + wide / (4 * count)) / (1 + wide)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _check(model: Model, images: ImageSet) -> None:
    if not len(images):
        raise InputError("There are no images to evaluate on.")
    if images.shape != tuple(model.config.image):
        have, want = ("x".join(map(str, s)) for s in (images.shape, model.config.image))
        raise InputError(f"The images are {have}, the model takes {want}.")
    check_classes(model, images)


def check_classes(model: Model, images: ImageSet) -> None:
    """Raise an InputError where a model that classifies has fewer classes than the images."""
    head = model.config.head("classification")
    if head is not None and len(images.class_names) > head.classes:
        raise InputError(
            f"The images are of {len(images.class_names)} classes, the model tells {head.classes} apart: "
            f"build it with heads.classification.classes={len(images.class_names)}."
        )


def _sums(output: Output, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What is added up over batches."""
    sums = {}
    if output.logits is not None:
        sums["wrong"] = (output.logits.argmax(dim=-1) != labels).sum()
    if output.glimpse_logits is not None:
        sums["wrong_by_glimpse"] = (output.glimpse_logits.argmax(dim=-1) != labels[:, None]).sum(dim=0)
    if output.canvas is not None:
        sums["squared"] = (output.canvas - pixels).square().mean(dim=(1, 2, 3)).sum()
    if output.latent is not None:
        sums["kl"] = joint_kl(output.latent.mu, output.latent.logvar).sum()
    return sums


def _evaluation(sums: dict[str, Tensor], count: int) -> Evaluation:
    by_glimpse = sums.get("wrong_by_glimpse")

    def mean(name: str) -> float | None:
        return sums[name].item() / count if name in sums else None

    return Evaluation(
        images=count,
        error=mean("wrong"),
        interval=wilson(sums["wrong"].item(), count) if "wrong" in sums else None,
        error_by_glimpse=None if by_glimpse is None else tuple(wrong / count for wrong in by_glimpse.tolist()),
        mse=mean("squared"),
        kl=mean("kl"),
    )
