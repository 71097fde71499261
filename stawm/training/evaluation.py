"""How good a model is on a set of images."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stawm.core import draw
from stawm.core.latent import joint_kl
from stawm.errors import InputError
from stawm.heads.drawing import before_sigmoid
from stawm.heads.output import Output
from stawm.models.classes import note_on_places
from stawm.models.looker import Looker
from stawm.models.model import Model, evaluating
from stawm.models.pixels import to_unit
from stawm.text import Readable, strict
from stawm.training.data import ImageSet, as_image_set, batches
from stawm.training.data.alignment import aligned
from stawm.training.data.torch_datasets import AnySet
from stawm.training.masks import MaskIoU, mask_iou

MISTAKES = 5
"""How many kinds of mistakes are told in words."""

BINS = 15
"""Into how many equal ranges of confidence answers are sorted (Guo et al. 2017)."""


MADE_OF = {
    "error": ("wrong", "wrong_by_glimpse", "nll", "confusion", "bins"),
    "mse": ("squared",),
    "kl": ("kl",),
    "bound": ("bound",),
}
"""What is measured, and of which sums it is made."""


@dataclass(frozen=True)
class Bin:
    """The answers of one range of confidence; the middle of the range and an accuracy of 0 where there are none.

    Attributes:
        confidence: The mean probability that the model gave to its answer.
        accuracy: The share of right answers.
        count: How many answers there are.
    """

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Evaluation(Readable):
    """What was measured; None where the model has no such output, or it was not asked for.

    Attributes:
        images: How many images were looked at.
        error: The share that was classified wrongly.
        interval: Where the error of the population lies with 95 % confidence (Wilson's score interval).
        error_by_glimpse: The error when answering after the first glimpse, after the second, ...
        nll: The negative log-likelihood of the true class, averaged over images.
        calibration_error: By how much confidence and accuracy differ, averaged over answers in bins.
        calibration: The bins, from unsure to sure.
        confusion: How often a class (row) was taken for another (column).
        class_names: The names of the rows and columns.
        mse: The squared error of the drawn picture, averaged over pixels and images.
        kl: The divergence of the latent from the unit Gaussian, averaged over images, without its weight.
        bound: The bound on the negative log-likelihood of an image, in nats, averaged over images: of a model whose
            head measures in nats, with latents that are drawn, on pixels that are 0 or 1.
        masks: How well drawn masks tell figure from ground.
        by_head: What heads that learn other targets report, by their names: mean errors of values, scores of flags.
        unanswered: For how many images the model gave numbers that are not finite. What is made of such numbers is not
            measured: the model is broken, and an error of it would mean nothing.
        notes: What is to be known of the figures, in words.
    """

    images: int
    error: float | None = None
    interval: tuple[float, float] | None = None
    error_by_glimpse: tuple[float, ...] | None = None
    nll: float | None = None
    calibration_error: float | None = None
    calibration: tuple[Bin, ...] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    class_names: tuple[str, ...] | None = None
    mse: float | None = None
    kl: float | None = None
    bound: float | None = None
    masks: MaskIoU | None = None
    by_head: Mapping[str, Mapping[str, Any]] | None = None
    unanswered: int = 0
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what was measured as plain JSON values; a number that is not finite is null."""
        usual = {"unanswered": 0, "notes": ()}
        return {key: strict(value) for key, value in asdict(self).items() if value not in (None, usual.get(key))}

    def __str__(self) -> str:
        lines = [f"{self.images:,} images"]
        if self.error is not None and self.interval is not None:
            low, high = self.interval
            lines.append(f"error {self.error:.2%} (95 % interval {low:.2%} to {high:.2%})")
        if self.error_by_glimpse is not None:
            lines.append("error by glimpse " + "  ".join(f"{error:.2%}" for error in self.error_by_glimpse))
        if self.calibration_error is not None:
            lines.append(f"negative log-likelihood {self.nll:.5g}, calibration error {self.calibration_error:.2%}")
        if self.confusion is not None and self.class_names is not None:
            lines.append("most often " + (", ".join(_mistakes(self.confusion, self.class_names)) or "no mistake"))
        figures = (("mse", self.mse), ("kl", self.kl))
        lines += [f"{name} {value:.5g}" for name, value in figures if value is not None]
        if self.bound is not None:
            lines.append(f"negative log-likelihood of an image at most {self.bound:.2f} nats, on average")
        if self.masks is not None:
            masks, ways = self.masks, self.masks.ari
            lines.append("mask IoU " + "  ".join(f"{way} {getattr(masks, way):.1%}" for way in ways))
            lines.append("mask ARI " + "  ".join(f"{way} {ways[way]:.3f}" for way in ways))
        lines += [f"{name}: {_said(figures)}" for name, figures in (self.by_head or {}).items()]
        return "\n".join([*lines, *self.notes])


def evaluate(
    model: Model,
    images: AnySet,
    *,
    batch: int = 512,
    by_glimpse: bool = False,
    by_class: bool = False,
    fit: AnySet | None = None,
    sample: bool = False,
    samples: int | None = None,
) -> Evaluation:
    """Measure a model, in evaluation mode and, unless it is asked for, without any randomness.

    Args:
        model: The model; left in the mode that it was in.
        images: What to measure on; also a PyTorch data set or loader (see `stawm.training.data.as_image_set`). Its
            classes are the model's by their names, in whatever order; a class of the model may be missing.
        batch: Images at a time.
        by_glimpse: Whether to measure the error after every glimpse too.
        by_class: Whether to keep how often each class was taken for which, and the bins of the calibration.
        fit: Training images to choose thresholds on; needed where masks are to be measured.
        sample: Whether latents and masks are drawn, from the same random numbers each time, as the paper's authors do.
            A policy that looks anywhere does so in any case, by the same random numbers each time.
        samples: At how many random scan paths each image is looked, to average the answers; see `docs/peers.md`.

    Raises:
        InputError: There are no images, they are not of the model's form, a class is none of the model's, or the
            set is wrong in itself: labels out of range or of another type, pixels outside [0, 1].
    """
    if samples is not None and not isinstance(model, Looker):
        raise InputError(f"samples is for a model that looks at random; {model.config.name}, as it is given, does not.")
    given, fit = as_image_set(images), fit if fit is None else as_image_set(fit)
    _check_form(model, given)
    images = aligned(given, model.config)
    by_glimpse = by_glimpse and model.config.classifies and model.config.glimpses is not None
    like = next(model.parameters())
    options: dict[str, Any] = {"glimpse_logits": True} if by_glimpse else {}
    if sample or samples is not None or model.always_draws:
        options |= {"generator": torch.Generator(like.device).manual_seed(0)}
        options |= {"sample": True} if sample else {}
        options |= {} if samples is None else {"samples": samples}
    sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), dtype=torch.float64))
    heads: dict[str, dict[str, Tensor]] = defaultdict(dict)
    with evaluating(model):
        for raw, labels in batches(images, batch):
            pixels = to_unit(raw.to(like.device)).to(like.dtype)
            output = model(model.normalise(pixels), **options)
            found = _sums(output, pixels, labels.to(like.device)) | (_bound(model, output, pixels) if sample else {})
            for name, value in found.items():
                sums[name] = sums[name] + value.cpu().double()
            for head, own in _measures(model, output, labels.to(like.device)).items():
                heads[head] = {name: heads[head].get(name, 0) + value.cpu().double() for name, value in own.items()}
    note = note_on_places(model.config, given.class_names)
    lost = [*_take_out_lost(sums, len(images)), *_take_out_lost_heads(heads, sums, len(images))]
    lost += _check_bound(sums, len(images))
    found = replace(_evaluation(sums, len(images), by_class), by_head=_figures(model, heads, len(images)))
    found = replace(found, notes=(*lost, *([note] if note and given.class_names else [])))
    if by_class and found.confusion is not None:
        found = replace(found, class_names=_class_names(images, len(found.confusion)))
    if fit is not None and images.masks is not None and model.config.masked and not found.unanswered:
        found = replace(found, masks=mask_iou(model, images, fit, batch=batch))
    return found


def wilson(wrong: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval for a share, at 95 % confidence."""
    share, wide = wrong / count, z * z / count
    middle = (share + wide / 2) / (1 + wide)
    reach = z * math.sqrt(share * (1 - share) / count + wide / (4 * count)) / (1 + wide)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _check_form(model: Model, images: ImageSet) -> None:
    if not len(images):
        raise InputError("There are no images to evaluate on.")
    if not model.config.takes(images.shape):
        have, want = ("x".join(map(str, s)) for s in (images.shape, model.config.image))
        raise InputError(f"The images are {have}, the model takes {model.config.form if model.config.sides else want}.")


def _sums(output: Output, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What is added up over batches, among it for how many images a measure, or any of them, is not finite."""
    sums: dict[str, Tensor] = {}
    finite: dict[str, Tensor] = {}
    if output.logits is not None:
        finite["error"] = output.logits.isfinite().all(dim=-1)
        sums |= _answers(output.logits.cpu().double(), labels.cpu())
    if output.glimpse_logits is not None:
        finite["error"] = finite["error"] & output.glimpse_logits.isfinite().all(dim=-1).all(dim=-1)
        sums["wrong_by_glimpse"] = (output.glimpse_logits.argmax(dim=-1) != labels[:, None]).sum(dim=0)
    if output.canvas is not None:
        squared = (output.canvas - pixels).square().mean(dim=(1, 2, 3))
        finite["mse"], sums["squared"] = squared.isfinite(), squared.sum()
    if output.latent is not None:
        divergence = joint_kl(output.latent.mu, output.latent.logvar)
        finite["kl"], sums["kl"] = divergence.isfinite(), divergence.sum()
    lost = {f"lost {name}": (~answered).sum() for name, answered in finite.items()}
    whole = torch.stack([torch.ones(len(pixels), dtype=torch.bool, device=pixels.device), *finite.values()])
    return {**sums, **lost, "unanswered": (~whole.all(dim=0)).sum()}


def _bound(model: Model, output: Output, pixels: Tensor) -> dict[str, Tensor]:
    """What is added up for the bound in nats, among it how many images are not binary; nothing in other models."""
    head = model.config.head("drawing")
    if getattr(head, "measure", None) != "nats" or output.latent is None:
        return {}
    bounds = draw.bound(before_sigmoid(output), pixels, *output.latent)
    grey = ((pixels != 0) & (pixels != 1)).flatten(1).any(dim=1)
    return {"bound": bounds.sum(), "lost bound": (~bounds.isfinite()).sum(), "grey": grey.sum()}


def _check_bound(sums: dict[str, Tensor], count: int) -> list[str]:
    """Take out a bound that is none, and return what to say of that."""
    grey = int(sums.pop("grey", 0))
    if not grey or sums.pop("bound", None) is None:
        return []
    return [f"bound not measured: it is of pixels that are 0 or 1, and {grey:,} of {count:,} images have others"]


def unfinished(name: str, lost: int, count: int) -> str:
    """Say that something is not measured, as for some images the model gives no finite numbers."""
    return f"{name} not measured: what the model gives is not finite for {lost:,} of {count:,} images"


def _take_out_lost(sums: dict[str, Tensor], count: int) -> list[str]:
    """Take out the sums that hold numbers which are not finite, and return what to say of that."""
    notes = []
    for name, keys in MADE_OF.items():
        lost = int(sums.pop(f"lost {name}", 0))
        if lost:
            notes.append(unfinished(name, lost, count))
            for key in keys:
                sums.pop(key, None)
    return notes


def _take_out_lost_heads(heads: dict[str, dict[str, Tensor]], sums: dict[str, Tensor], count: int) -> list[str]:
    """Take out heads whose sums hold numbers which are not finite, and return what to say of that."""
    lost = [head for head, own in heads.items() if not all(value.isfinite().all() for value in own.values())]
    for head in lost:
        del heads[head]
        sums["unanswered"] = sums["unanswered"].clamp(min=1)
    return [f"{head} not measured: what the model gives is not finite for some of {count:,} images" for head in lost]


def _measures(model: Model, output: Output, targets: Tensor) -> dict[str, dict[str, Tensor]]:
    return model.measures(output, targets)


def _figures(model: Model, sums: dict[str, dict[str, Tensor]], count: int) -> dict[str, dict[str, Any]] | None:
    heads = model.named_heads
    return {name: heads[name].figures(own, count) for name, own in sums.items() if own} or None


def _said(figures: Mapping[str, Any]) -> str:
    """Write figures in a line; of those by name, the name before each."""
    parts = []
    for name, value in figures.items():
        pairs = value.items() if isinstance(value, Mapping) else [("", value)]
        numbers = (f"{key} {'-' if x is None else f'{x:.4g}'}".strip() for key, x in pairs)
        parts.append(f"{name} {', '.join(numbers)}")
    return "; ".join(parts)


def _answers(logits: Float[Tensor, "b classes"], labels: Int[Tensor, "b"]) -> dict[str, Tensor]:
    """What is added up over batches, of answers: wrong ones, surprise, pairs of classes, and bins."""
    best, answers = logits.max(dim=-1)
    classes, confidence = logits.shape[1], best.exp()
    right = answers == labels
    which = ((confidence * BINS).ceil().long() - 1).clamp(0, BINS - 1)
    of_bins = torch.stack([confidence, right.double(), torch.ones_like(confidence)], dim=1)
    return {
        "wrong": (~right).sum(),
        "nll": -logits.gather(1, labels[:, None]).sum(),
        "confusion": torch.bincount(labels * classes + answers, minlength=classes**2).view(classes, classes),
        "bins": torch.zeros(BINS, 3, dtype=logits.dtype).index_add(0, which, of_bins),
    }


def _evaluation(sums: dict[str, Tensor], count: int, by_class: bool) -> Evaluation:
    by_glimpse, confusion = sums.get("wrong_by_glimpse"), sums.get("confusion")
    bins = _bins(sums["bins"]) if "bins" in sums else None

    def mean(name: str) -> float | None:
        return sums[name].item() / count if name in sums else None

    return Evaluation(
        images=count,
        unanswered=int(sums.get("unanswered", 0)),
        error=mean("wrong"),
        interval=wilson(sums["wrong"].item(), count) if "wrong" in sums else None,
        error_by_glimpse=None if by_glimpse is None else tuple(wrong / count for wrong in by_glimpse.tolist()),
        nll=mean("nll"),
        calibration_error=None if bins is None else sum(b.count * abs(b.confidence - b.accuracy) for b in bins) / count,
        calibration=bins if by_class else None,
        confusion=None if confusion is None or not by_class else tuple(map(tuple, confusion.long().tolist())),
        mse=mean("squared"),
        kl=mean("kl"),
        bound=mean("bound"),
    )


def _bins(sums: Float[Tensor, "bins 3"]) -> tuple[Bin, ...]:
    return tuple(
        Bin(sure / count, right / count, int(count)) if count else Bin((index + 0.5) / BINS, 0.0, 0)
        for index, (sure, right, count) in enumerate(sums.tolist())
    )


def _class_names(images: ImageSet, classes: int) -> tuple[str, ...]:
    """Names for all classes, numbers where they have none."""
    return images.class_names or tuple(map(str, range(classes)))


def _mistakes(confusion: tuple[tuple[int, ...], ...], names: tuple[str, ...]) -> list[str]:
    pairs = [(n, t, a) for t, row in enumerate(confusion) for a, n in enumerate(row) if t != a and n]
    return [f"{names[t]} taken for {names[a]} ({n})" for n, t, a in sorted(pairs, key=lambda p: -p[0])[:MISTAKES]]
