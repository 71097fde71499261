"""Evidence: how much each glimpse gives to each class, and how the answer changes without it."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from stawm.core import evidence as core
from stawm.errors import InputError
from stawm.heads.base import Scene
from stawm.heads.classification import ClassificationHead
from stawm.heads.output import Noise
from stawm.models.model import Stawm
from stawm.models.states import Seen
from stawm.nn.precision import full_precision, of_weights, without_autocast

HEAD = "classification"


class Evidence(NamedTuple):
    """The logits as the sum that they are.

    Attributes:
        shares: What each glimpse gives to each logit; 0 on average over the classes.
        bias: What no glimpse gives: the bias, what the memory starts with, and the normaliser.
        without: How the logits change where a glimpse's write is erased from the finished memory.
    """

    shares: Float[Tensor, "b n classes"]
    bias: Float[Tensor, "b classes"]
    without: Float[Tensor, "b n classes"]


def sums_up(model: object) -> bool:
    """Whether a model's logits are sums over glimpses, so that there is `evidence`."""
    return (
        isinstance(model, Stawm)
        and isinstance(model.named_heads.get(HEAD), ClassificationHead)
        and model.memory.sums_up
    )


def check_sums_up(model: object) -> ClassificationHead:
    """Return the head whose logits are sums over glimpses.

    Raises:
        InputError: The model does not classify glimpses, or what its memory reads is no sum over its writes.
    """
    name = getattr(getattr(model, "config", None), "name", type(model).__name__)
    head = model.named_heads.get(HEAD) if isinstance(model, Stawm) else None
    if not isinstance(model, Stawm) or not isinstance(head, ClassificationHead):
        raise InputError(f"Evidence is of a model that takes glimpses and classifies, which {name} does not.")
    if not model.memory.sums_up:
        raise InputError(
            f"What the memory {model.config.memory.name!r} of {name} reads is no sum over its writes, so there is no "
            "share of a glimpse in its answer; docs/explain.md says which memories have one."
        )
    return head


def evidence(model: Stawm, seen: Seen) -> Evidence:
    """Return each glimpse's share of each logit, exact but for rounding.

    Args:
        model: The model.
        seen: What it saw of some images, from an empty memory on.

    Raises:
        InputError: The model does not classify, or what its memory reads is no sum over its writes.
    """
    head = check_sums_up(model)
    with of_weights(model.loop.what.weight, seen.context):
        query = head.query(seen.context)
    terms = _terms(model, head, seen.memory_input, query)
    with without_autocast(query):
        return Evidence(*core.shares(*terms), core.without(*terms))


def shares_of_writes(
    model: Stawm, E: Float[Tensor, "b n i"], query: Float[Tensor, "b m"]
) -> Float[Tensor, "b n classes"]:
    """Return each write's share of each logit, exact but for rounding.

    Args:
        model: A model that classifies, with a memory that sums up.
        E: What was written, one entry a glimpse, from an empty memory on.
        query: What the classification asks.
    """
    terms = _terms(model, check_sums_up(model), E, query)
    with without_autocast(query):
        return core.shares(*terms)[0]


def _terms(model: Stawm, head: ClassificationHead, E: Tensor, query: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what each write gives to the read, what no write gives, and the weights and bias that it goes through."""
    parts, linear = model.memory.contributions(E, query), head.classifier.linear
    return parts.writes, parts.rest, full_precision(linear.weight), full_precision(linear.bias)


def logits(model: Stawm, seen: Seen) -> Float[Tensor, "b classes"]:
    """Return the logits of what was seen."""
    recalled = model.recall(seen, {HEAD: (seen.memory_input.shape[1],)})
    with of_weights(model.loop.what.weight, seen.context):
        return model.named_heads[HEAD](recalled[HEAD], Scene(None, model.locator, Noise()))["logits"]
