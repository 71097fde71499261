"""Find when a model has looked enough: temperatures and thresholds, on images that were held out from training.

Temperatures make confidence mean accuracy, one for each glimpse (Guo et al. 2017), since a memory that holds little
reads little. Thresholds are then chosen for the least of doubt + price · glimpses, one glimpse after the other with the
others fixed, until none changes; doubt, the probability that is not given to the right class, says more of an image
than whether its answer is wrong, which few are. What a price comes to in errors is judged by cross-validation, since
the images that thresholds are fitted to flatter them. What stopping adds to the error is bounded, since few images
show it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stawm.errors import InputError, shown
from stawm.models.config import ModelConfig
from stawm.models.model import Model, evaluating
from stawm.models.pixels import to_unit
from stawm.models.stopping import COLDEST, HOTTEST, Stopping
from stawm.storage.hashing import weights_hash
from stawm.training.data import as_image_set, batches
from stawm.training.data.alignment import aligned
from stawm.training.data.augment import Augmentation, augment
from stawm.training.data.torch_datasets import AnySet
from stawm.training.evaluation import BINS
from stawm.training.paired import CERTAINTY, check_certainty, least_images, more_errors

FOLDS = 5
PRICES = torch.logspace(-1, -5, 25, dtype=torch.float64).tolist()
"""What a glimpse may cost, in doubt."""
SWEEPS = 10
"""After how many rounds over the glimpses the search for thresholds ends at the latest; 2 or 3 are usual."""
BISECTIONS = 60


class Answers(NamedTuple):
    """What a model answers after each glimpse.

    Attributes:
        confidence: The calibrated confidence.
        wrong: Whether the most probable class is another one than the image's.
        doubt: The calibrated probability that is not given to the image's class.
    """

    confidence: Float[Tensor, "N n"]
    wrong: Bool[Tensor, "N n"]
    doubt: Float[Tensor, "N n"]

    def of(self, rows: Tensor) -> "Answers":
        """Return those of some images."""
        return Answers(*(part[rows] for part in self))


class Outcome(NamedTuple):
    """What stopping comes to: for each image whether it was wrong, and after how many glimpses it was done."""

    wrong: Bool[Tensor, "N"]
    glimpses: Int[Tensor, "N"]

    @property
    def error(self) -> float:
        """The share of wrong answers."""
        return self.wrong.double().mean().item()

    @property
    def mean(self) -> float:
        """How many glimpses an image took on average."""
        return self.glimpses.double().mean().item()


def tune_stop(
    model: Model,
    images: AnySet,
    *,
    error: float | None = None,
    extra_error: float | None = None,
    glimpses: float | None = None,
    certainty: float = CERTAINTY,
    augmentation: Augmentation | None = None,
    batch: int = 512,
    data: str = "held-out images",
) -> Stopping:
    """Find the thresholds with which a model takes the fewest glimpses at some error, or errs least at some number.

    Give the result to the model, ``model.stopping = tune_stop(...)``, and it is saved and exported with it.

    Args:
        model: A model that takes glimpses and classifies; it is run in evaluation mode and left as it was.
        images: Images that were held out from its training, with their classes; the more, the better.
        error: The greatest error, a share.
        extra_error: The greatest error, as a share above that of all glimpses. One of the three is given.
        glimpses: The greatest mean number of glimpses.
        certainty: With which probability new images of the kind keep the error: what stopping adds to the error of
            all glimpses is bounded by how many images show it. At 0.5 it is what was counted.
        augmentation: How the images are changed first. Of images that the model was trained on it is surer than of
            others; changed as in training they come nearer to new ones.
        batch: Images at a time.
        data: The images in words, which is kept with the thresholds.

    Raises:
        InputError: The model does not take glimpses or does not classify, there are too few images or no classes of
            them, the goal is not legal, or not even all glimpses reach it.

    Examples:
        >>> import stawm, torch
        >>> from stawm.training import ImageSet, tune_stop
        >>> model = stawm.build("stawm-digits", seed=0)
        >>> held_out = ImageSet(torch.rand(20, 1, 16, 16), torch.arange(20) % 10, ())
        >>> model.stopping = tune_stop(model, held_out, glimpses=2)
        >>> model.stopping.mean_glimpses <= 2
        True
    """
    goals = {"error": error, "extra_error": extra_error, "glimpses": glimpses}
    if sum(goal is not None for goal in goals.values()) != 1:
        raise InputError(f"tune_stop takes one of {', '.join(goals)}; got {shown(goals)}.")
    check_certainty(certainty)
    logits, labels = collect(model, images, augmentation, batch)
    temperatures = [temperature(read, labels) for read in logits.unbind(1)]
    answers = calibrated(logits, labels, temperatures)
    of_all = answers.wrong[:, -1].double().mean().item()
    more, most = _bounds(goals, of_all, logits.shape[1])
    if extra_error and len(labels) < (least := least_images(more, certainty)):
        raise InputError(
            f"{len(labels):,} held-out images cannot show an error of at most {more:.2%} more with a certainty of "
            f"{certainty:g}: give at least {least:,}, or another goal."
        )
    judged = [one for one in candidates(answers) if added(one[1], answers, certainty) <= more]
    chosen, outcome = choose(judged, most)
    stops = stop(answers, chosen).glimpses - 1
    raw = logits.amax(dim=2).exp()
    at = torch.arange(len(stops)), stops
    return Stopping(
        thresholds=(*chosen.tolist(),),
        temperatures=(*temperatures,),
        weights=weights_hash(model),
        data=data,
        images=len(labels),
        error=outcome.error,
        error_of_all=of_all,
        mean_glimpses=outcome.mean,
        calibration_error=calibration_error(answers.confidence[at], answers.wrong[at]),
        uncalibrated=calibration_error(raw[at], answers.wrong[at]),
        added=added(outcome, answers, certainty),
        certainty=certainty,
    )


def calibrated(
    logits: Float[Tensor, "N n classes"], labels: Int[Tensor, "N"], temperatures: Sequence[float]
) -> Answers:
    """Return what a model answers, by the temperature of each glimpse."""
    chances = (logits / logits.new_tensor(temperatures)[:, None]).softmax(dim=2)
    right = chances.gather(2, labels[:, None, None].expand(-1, logits.shape[1], 1))[..., 0]
    return Answers(chances.amax(dim=2), logits.argmax(dim=2) != labels[:, None], 1 - right)


def added(outcome: Outcome, answers: Answers, certainty: float) -> float:
    """Return how much more images err at most than after all glimpses, as a share; nothing where none stops early."""
    of_all = answers.wrong[:, -1]
    if bool((outcome.glimpses == answers.wrong.shape[1]).all()):
        return 0.0
    lost, won = int((outcome.wrong & ~of_all).sum()), int((~outcome.wrong & of_all).sum())
    return more_errors(lost, won, len(of_all), certainty)


def choose(found: Iterable[tuple[Tensor, Outcome]], glimpses: float | None = None) -> tuple[Tensor, Outcome]:
    """Return the thresholds with the fewest glimpses; where their mean number is limited, with the least error.

    Args:
        found: What `candidates` gave, of it what is good enough.
        glimpses: The greatest mean number of glimpses, where it is limited.
    """

    def key(one: tuple[Tensor, Outcome]) -> tuple[float, float]:
        outcome = one[1]
        return (outcome.mean, outcome.error) if glimpses is None else (outcome.error, outcome.mean)

    return min((one for one in found if one[1].mean <= (glimpses or float("inf"))), key=key)


def check_looks(model: Model) -> None:
    """Raise an InputError unless a model, or a graph of one, can stop when it is sure."""
    config = model.config
    if not (isinstance(config, ModelConfig) and config.classifies):
        raise InputError(
            "Thresholds are of a model that takes glimpses, remembers them and classifies, which "
            f"{config.name} does not."
        )


def temperature(logits: Float[Tensor, "N classes"], labels: Int[Tensor, "N"]) -> float:
    """Return what logits are to be divided by for the least negative log-likelihood, by bisection of its slope.

    In 1 / temperature the negative log-likelihood is convex.
    """
    wanted = logits.gather(1, labels[:, None])[:, 0]
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        slope = ((middle * logits).softmax(dim=1) * logits).sum(dim=1) - wanted
        low, high = (low, middle) if slope.mean() > 0 else (middle, high)
    return 1 / (low * high) ** 0.5


def stop(answers: Answers, thresholds: Float[Tensor, "n"]) -> Outcome:
    """Return what thresholds come to: an image is done after the first glimpse whose confidence is above its own."""
    done = answers.confidence > thresholds
    done[:, -1] = True
    first = done.int().argmax(dim=1)
    return Outcome(answers.wrong.gather(1, first[:, None])[:, 0], first + 1)


def fit(answers: Answers, price: float) -> Float[Tensor, "n"]:
    """Return the thresholds that make doubt + price · glimpses least, each as good as it can be beside the others."""
    confidence, n = answers.confidence, answers.confidence.shape[1]
    cost = answers.doubt + price * torch.arange(1, n + 1)
    order = confidence.argsort(dim=0, descending=True)
    thresholds = torch.ones(n, dtype=confidence.dtype)
    thresholds[-1] = 0
    for _ in range(SWEEPS):
        before = thresholds.clone()
        for t in range(n - 1):
            later = cost[:, -1]
            for s in reversed(range(t + 1, n - 1)):
                later = torch.where(confidence[:, s] > thresholds[s], cost[:, s], later)
            here = (confidence[:, :t] <= thresholds[:t]).all(dim=1)
            gain = torch.where(here, cost[:, t] - later, 0)[order[:, t]]
            thresholds[t] = _cut(confidence[order[:, t], t], gain)
        if torch.equal(before, thresholds):
            break
    return thresholds


def calibration_error(confidence: Float[Tensor, "N"], wrong: Bool[Tensor, "N"]) -> float:
    """Return by how much confidence and accuracy differ, averaged over answers in bins of equal width."""
    which = ((confidence * BINS).ceil().long() - 1).clamp(0, BINS - 1)
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add(0, which, confidence.double() - (~wrong).double())
    return gaps.abs().sum().item() / len(confidence)


def _cut(confidence: Float[Tensor, "N"], gain: Float[Tensor, "N"]) -> float:
    """Return where to cut a falling row of confidences, so that the costs of those above sum up to the least."""
    sums = torch.cat([gain.new_zeros(1), gain.cumsum(0)])
    new = torch.cat(
        [confidence[:-1] > confidence[1:], confidence.new_ones(1, dtype=torch.bool)]
    )  # equals stay together
    sums[1:][~new] = torch.inf
    count = int(sums.argmin())
    if count == 0:
        return 1.0
    below = confidence[count].item() if count < len(confidence) else 0.0
    return (confidence[count - 1].item() + below) / 2


def candidates(answers: Answers) -> Iterator[tuple[Tensor, Outcome]]:
    """Yield thresholds, and what they come to by cross-validation: from one glimpse for all to all glimpses for all."""
    N, n = answers.confidence.shape
    folds = torch.arange(N) % FOLDS
    never = torch.ones(n, dtype=torch.float64)
    never[-1] = 0
    for thresholds in (torch.zeros_like(never), never):
        yield thresholds, stop(answers, thresholds)
    for price in PRICES:
        wrong, glimpses = torch.zeros(N, dtype=torch.bool), torch.zeros(N, dtype=torch.long)
        for fold in range(FOLDS):
            own = folds == fold
            wrong[own], glimpses[own] = stop(answers.of(own), fit(answers.of(~own), price))
        yield fit(answers, price), Outcome(wrong, glimpses)


def _bounds(goals: dict[str, float | None], of_all: float, n: int) -> tuple[float, float | None]:
    """Return how much stopping may add to the error, and the greatest mean number of glimpses where that is the goal.

    Raises:
        InputError: The goal is not legal, or not even all glimpses reach it.
    """
    (name, goal) = next((name, goal) for name, goal in goals.items() if goal is not None)
    if isinstance(goal, bool) or not isinstance(goal, (int, float)):
        raise InputError(f"{name} must be a number; got {shown(goal)}.")
    if name == "glimpses":
        if not 1 <= goal <= n:
            raise InputError(f"glimpses, the mean number, must be from 1 to {n}; got {goal!r}.")
        return 1.0, float(goal)
    if not 0 <= goal <= 1:
        raise InputError(f"{name} must be a share from 0 to 1, such as 0.005; got {goal!r}.")
    if name == "extra_error":
        return float(goal), None
    if goal < of_all:
        raise InputError(
            f"All {n} glimpses err in {of_all:.2%} of these images: error must be at least that; got {goal:.2%}."
        )
    return goal - of_all, None


def collect(
    model: Model, images: AnySet, augmentation: Augmentation | None, batch: int
) -> tuple[Float[Tensor, "N n classes"], Int[Tensor, "N"]]:
    """Return the logits after every glimpse in double precision, and the classes.

    Raises:
        InputError: The model gives no such logits, or the images are not what it takes.
    """
    check_looks(model)
    config = model.config
    held = aligned(as_image_set(images), config)
    if len(held) < FOLDS:
        raise InputError(f"Thresholds are tuned on at least {FOLDS} images; got {len(held)}.")
    like, found, labels = next(model.parameters()), [], []
    generator = torch.Generator(like.device).manual_seed(0)
    with evaluating(model):
        for raw, own in batches(held, batch):
            pixels = to_unit(raw.to(like.device)).to(like.dtype)
            pixels = pixels if augmentation is None else augment(pixels, augmentation, generator)
            found.append(model(model.normalise(pixels), glimpse_logits=True).glimpse_logits.cpu().double())
            labels.append(own.cpu())
    logits = torch.cat(found)
    if not logits.isfinite().all():
        raise InputError(f"{config.name} gives numbers that are not finite for some of these images.")
    return logits, torch.cat(labels)
