"""Whether a graph does on images what its model does: the proof of a graph in int8, whose rounding no bound follows.

Every image is a trial. In how many trials the class, the poses and the canvas are the model's is counted, and where
labels are known the errors of both are compared.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stawm.errors import InputError, shown
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import example_inputs
from stawm.export.graphs.rollout import Rollout
from stawm.export.graphs.steering import neutral
from stawm.export.proof.report import Check
from stawm.export.run.walk import Named
from stawm.models.model import Model, Stawm

BATCH = 128
"""How many images are run at once."""
MADE = 512
"""How many images are made where none are given."""
DOUBT = 0.5
"""By how much the two most probable classes of a made image must differ, for it to say anything of the class: the
model knows such images no more than its graph does."""
MADE_AGREEMENT = 0.95
"""The share of the made images that count for which the class must be the model's, whatever is asked of real ones."""
ALONE = 16
"""How many images are run by themselves too."""

Run = Callable[[Named], Named]
M = TypeVar("M", bound=Model)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How far a graph may be from its model.

    Attributes:
        agreement: The share of images whose class must be the model's, and whose poses and canvas within their bounds.
        worse: By how much more of the images may be classified wrongly; of fewer than 2,000 images one may be.
        pose: How far any number of a pose may be off; 1 is half of the image.
        canvas: How far what is drawn may be off, as the root of the mean square over an image's pixels in [0, 1].
    """

    agreement: float = 0.995
    worse: float = 0.0005
    pose: float = 0.25
    canvas: float = 0.05

    def __post_init__(self) -> None:
        """Raise an InputError where a bound means nothing."""
        for name, most in (("agreement", 1), ("worse", 1), ("pose", float("inf")), ("canvas", 1)):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= most:
                raise InputError(f"{name} must be a number from 0 to {most:g}; got {shown(value)}.")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a graph is tried with beside the images that are made for it.

    Attributes:
        images: Real images, normalised; None where there are none.
        labels: Their classes, where they are known.
        bounds: How far the graph may be from its model.
    """

    images: Float[Tensor, "b c h w"] | None = None
    labels: Int[Tensor, "b"] | None = None
    bounds: Bounds = Bounds()


def as_trial(model: Model, images: Tensor | None, labels: Tensor | None, bounds: Bounds | None) -> Trial:
    """Return what a graph is tried with, checked.

    Raises:
        InputError: Images are not of the model's form, or labels are none of classes, one for each image.
    """
    if images is not None:
        model.check_shape(images)
        if not len(images):
            raise InputError("images must hold at least one image; got none.")
    if labels is not None:
        _check_labels(model, images, labels)
    if not isinstance(bounds, (Bounds, type(None))):
        raise InputError(f"bounds must be a stawm.export.Bounds; got {shown(bounds)}.")
    return Trial(images=images, labels=labels, bounds=bounds or Bounds())


def _check_labels(model: Model, images: Tensor | None, labels: Tensor) -> None:
    if images is None:
        raise InputError("labels were given, and no images that they are of: give images too.")
    if not model.config.classifies:
        raise InputError(f"{model.config.name} does not classify, so its images have no labels to be right about.")
    whole = isinstance(labels, Tensor) and not labels.is_floating_point() and labels.dtype != torch.bool
    if not whole or labels.shape != images.shape[:1]:
        form = f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise InputError(f"labels must be the number of a class for each of {len(images)} images; got {form}.")


@dataclass(frozen=True)
class Expected:
    """What a model gives, as it is, in float32.

    Attributes:
        inputs: What was put in, by batch.
        answers: What came out, of all batches together.
    """

    inputs: Sequence[Named]
    answers: Named


def expect(model: Model, plan: Plan, trial: Trial) -> Expected:
    """Run a model on the images of a trial; where there are none, some are made.

    Args:
        model: The model; it is left as it is.
        plan: What was asked of the export.
        trial: The images.
    """
    whole = in_float32(model)
    return outputs_of(whole, plan, list(_batches(whole, plan, trial)))


def in_float32(model: M) -> M:
    """Return a copy of a model that computes as the model is meant: on the CPU, in float32, in evaluation mode."""
    return copy.deepcopy(model).to("cpu", torch.float32).eval()


def outputs_of(whole: Model, plan: Plan, inputs: Sequence[Named]) -> Expected:
    """Run a model that `in_float32` gave on inputs, batch by batch."""
    noise = tuple(whole.noise_shapes(1)) if plan.sample else ()
    rollout = Rollout(whole, plan.glimpses, plan.fields, noise, plan.steered)
    with torch.no_grad():
        return Expected(inputs, _joined([rollout.run(given) for given in inputs]))


def answer(run: Run, expected: Expected) -> Named:
    """Return what a graph gives for what its model was given."""
    return _joined([run(given) for given in expected.inputs])


def _joined(found: Sequence[Named]) -> Named:
    return {key: torch.cat([one[key] for one in found]) for key in found[0]}


def _batches(model: Model, plan: Plan, trial: Trial) -> Iterator[Named]:
    if trial.images is None:
        yield from (example_inputs(model, plan, BATCH, seed) for seed in range(MADE // BATCH))
        return
    for seed, part in enumerate(trial.images.float().cpu().split(BATCH)):
        yield example_inputs(model, plan, len(part), seed) | {"image": part} | _unsteered(model, plan, len(part))


def _unsteered(model: Model, plan: Plan, batch: int) -> Named:
    """Return the steering that changes nothing: real images are looked at where the model looks by itself."""
    if not (plan.steered and isinstance(model, Stawm)):
        return {}
    return neutral(batch, plan.glimpses or 1, len(model.locator.identity_pose())).named()


def judge(ours: Named, theirs: Named, trial: Trial) -> list[Check]:
    """Compare what a graph gives with what its model gives, image by image.

    Args:
        ours: What the graph gives.
        theirs: What the model gives; what the graph does not give is not compared.
        trial: The images that both were given.
    """
    ours = {key: ours[key] for key in theirs if key in ours}
    checks = [_finite(ours), *_same_class(ours, theirs, trial), *_near(ours, theirs, trial.bounds)]
    if trial.labels is not None and "logits" in ours:
        checks.append(_error(ours["logits"], theirs["logits"], trial.labels.cpu(), trial.bounds))
    return checks


def in_int8(run: Run, model: Model, plan: Plan, trial: Trial) -> list[Check]:
    """Judge a graph in int8 by what it does, and say what its images and their company mean."""
    expected = expect(model, plan, trial)
    ours = answer(run, expected)
    checks = judge(ours, expected.answers, trial)
    if "logits" in ours:
        checks.append(_alone(run, expected.inputs[0], ours["logits"]))
    if trial.images is None:
        said = f"tried with {MADE} images that were made for it, which tell less than the model's own kind: give images"
        checks.append(Check("real images", False, said, "warning"))
    return checks


def on_images(run: Run, model: Model, plan: Plan, trial: Trial) -> list[Check]:
    """Judge any other graph on real images, where there are some; each check is named as being of them."""
    if trial.images is None:
        return []
    expected = expect(model, plan, trial)
    return judged(answer(run, expected), expected.answers, trial)


def judged(ours: Named, theirs: Named, trial: Trial) -> list[Check]:
    """Return what `judge` finds on real images, each check named as being of them."""
    return [replace(check, name=f"{check.name} on images") for check in judge(ours, theirs, trial)]


def _finite(ours: Named) -> Check:
    lost = [name for name, value in ours.items() if not bool(value.isfinite().all())]
    return Check("numbers", not lost, f"{', '.join(lost)} are not finite" if lost else "all of them are finite")


def _shared(name: str, good: Bool[Tensor, "b"], least: float, what: str, far: str, of: str = "images") -> Check:
    """Make a check of how many images, or questions, something holds for."""
    share, count = good.double().mean().item(), len(good)
    said = f"{what} for {int(good.sum()):,} of {count:,} {of} ({share:.2%}, at least {least:.1%} wanted)"
    return Check(name, share >= least, f"{said}; {far}")


def _same_class(ours: Named, theirs: Named, trial: Trial) -> list[Check]:
    """Whether the classes agree, of images and of questions about them."""
    classes = [_agreement("agreement", ours["logits"], theirs["logits"], trial)] if "logits" in ours else []
    asked = [name for name in ours if name.endswith("answers")]
    return classes + [_agreement(name, ours[name].flatten(0, -2), theirs[name].flatten(0, -2), trial) for name in asked]


def _agreement(name: str, mine: Float[Tensor, "b k"], model: Float[Tensor, "b k"], trial: Trial) -> Check:
    """Whether the classes agree; of made images only those count of which the model is sure."""
    of = "images" if name == "agreement" else "questions"
    gap = (mine.exp() - model.exp()).abs().max().item()
    same, far = mine.argmax(dim=1) == model.argmax(dim=1), f"probabilities within {gap:.2g}"
    if trial.images is None:
        best = model.exp().topk(min(2, model.shape[1]), dim=1).values
        sure = best[:, 0] - best[:, -1] >= DOUBT
        if not bool(sure.any()):
            return Check(name, True, f"the model is sure of none of {len(sure)} made {of}; {far}")
        return _shared(name, same[sure], MADE_AGREEMENT, "the class is the same", far, of)
    return _shared(name, same, trial.bounds.agreement, "the class is the same", far, of)


def _near(ours: Named, theirs: Named, bounds: Bounds) -> list[Check]:
    """Whether poses and canvases are near enough, image by image."""
    checks = []
    for name, key, bound in (("poses", "pose", bounds.pose), ("canvases", "canvas", bounds.canvas)):
        if key not in ours:
            continue
        of_image = apart(key, ours[key], theirs[key])
        far = f"the median is {of_image.median().item():.2g}, the greatest {of_image.max().item():.2g}"
        checks.append(_shared(name, of_image <= bound, bounds.agreement, f"within {bound:g}", far))
    return checks


def apart(key: str, ours: Tensor, theirs: Tensor) -> Float[Tensor, "b"]:
    """Return how far poses or canvases are off, image by image, as `Bounds` counts it."""
    gap = (ours - theirs).abs().flatten(1)
    return gap.amax(dim=1) if key == "pose" else gap.square().mean(dim=1).sqrt()


def _error(mine: Tensor, model: Tensor, labels: Tensor, bounds: Bounds) -> Check:
    wrong, before = (int((logits.argmax(dim=1) != labels).sum()) for logits in (mine, model))
    count = len(labels)
    said = f"{wrong / count:.2%} of {count:,} images, the model's {before / count:.2%}"
    allowed = max(1, int(bounds.worse * count + 1e-9))
    return Check("error", wrong - before <= allowed, f"{said}; {bounds.worse * 100:g} points more are allowed")


def _alone(run: Run, first: Named, together: Tensor) -> Check:
    """Say how much the company of an image matters: a batch shares the scales of its activations."""
    count = min(ALONE, len(first["image"]))
    alone = torch.cat([run({name: value[i : i + 1] for name, value in first.items()})["logits"] for i in range(count)])
    gap = (alone.exp() - together[:count].exp()).abs().max().item()
    return Check("company", True, f"alone an image's probabilities are within {gap:.2g} of those in a batch")
