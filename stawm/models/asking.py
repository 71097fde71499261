"""What a model asks its memory: the queries of its heads, by cues where they take some."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.cued import CuedHead, Cues, cued, share_cues
from stawm.models.states import Seen
from stawm.nn.precision import full_precision, of_weights


def queries_of(model: Any, context: Float[Tensor, "b f"], cue: Cues | None = None) -> dict[str, Float[Tensor, "b k m"]]:
    """Return the queries of the heads that are asked by cues, by the heads' names.

    Args:
        model: A model with a memory.
        context: The features of the whole image.
        cue: What is asked; every numbered question, in order, where left out.

    Raises:
        InputError: The cue is not of the model's form, or no head is asked by one.
    """
    heads = cued(model.named_heads)
    cues = share_cues(heads, cue, len(context), full_precision(context))
    with of_weights(model.loop.what.weight, context):
        return {name: heads[name].ask(heads[name].beside(context), own) for name, own in cues.items()}


def cues_of_copies(
    model: Any, images: Float[Tensor, "b c h w"], cue: Cues, copies: int
) -> dict[str, Shaped[Tensor, "_bm k *d"]]:
    """Return a cue for images of which each comes as often in a row.

    Args:
        model: A model that looks.
        images: The images, each once.
        cue: What is asked about them.
        copies: m, how often each image comes.

    Raises:
        InputError: The cue is not of the model's form, or no head is asked by one.
    """
    cues = share_cues(cued(model.named_heads), cue, len(images), full_precision(images))
    return {name: own.repeat_interleave(copies, dim=0) for name, own in cues.items()}


def asked_for(
    model: Any, seen: Seen, reads: Mapping[str, Sequence[int]], given: Mapping[str, Float[Tensor, "b *k m"]]
) -> dict[str, Float[Tensor, "b *k m"]]:
    """Return what is asked for each head: one query, or several at once, which are read after the last write.

    Args:
        model: A model with a memory.
        seen: What it saw.
        reads: For each head the numbers of writes after which it reads.
        given: Queries in place of those that heads ask, by the heads' names.

    Raises:
        InputError: Several queries at once are asked after another write than the last.
    """
    heads, n = model.named_heads, seen.memory_input.shape[1]
    lacking = [name for name in reads if name not in given]
    usual = queries_of(model, seen.context) if any(isinstance(heads[name], CuedHead) for name in lacking) else {}
    with of_weights(model.loop.what.weight, seen.context):
        own = {name: usual[name] if name in usual else heads[name].query(seen.context) for name in lacking}
    each = {name: given[name] if name in given else own[name] for name in reads}
    for name, query in each.items():
        if query.ndim == 3 and tuple(reads[name]) != (n,):
            raise InputError(
                f"Several queries at once are read after the last of {n} writes; got reads of {name!r} after "
                f"{tuple(reads[name])}."
            )
    return each
