"""Several scan paths of one image: their answers are averaged, as a Monte Carlo estimate (Mnih et al. 2014)."""

import math
from dataclasses import replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.output import Noise, Output, Trace

MOST = 1000
"""How many scan paths an image may have."""
LOGARITHMS = ("logits", "answers")
"""What the names of fields end with that are logarithms of probabilities."""


def check_samples(samples: Any) -> int:
    """Return a number of scan paths.

    Raises:
        InputError: It is no whole number, or not legal.
    """
    if not isinstance(samples, int) or isinstance(samples, bool) or not 1 <= samples <= MOST:
        raise InputError(f"samples must be a whole number of scan paths from 1 to {MOST:,}; got {samples!r}.")
    return samples


def repeated(
    model: Any, images: Float[Tensor, "b c h w"], samples: int, noise: Noise | None
) -> Float[Tensor, "_bm c h w"]:
    """Return the images, each as often as it is looked at.

    Raises:
        InputError: The number is not legal, the model's policy draws nothing, it draws pictures, or noise is given.
    """
    count = check_samples(samples)
    if model.policy.noise is None:
        raise InputError(
            f"samples is for a policy that draws where it looks, such as policy='gaussian'; {model.config.name} has "
            f"{model.policy.config.name!r}, whose scan paths are all the same."
        )
    if model.config.draws:
        raise InputError(f"samples averages answers, and {model.config.name} draws pictures: leave samples out.")
    if noise is not None:
        raise InputError("samples draws the random numbers itself: give a generator, or leave noise out.")
    model.check_images(images)
    return images.repeat_interleave(count, dim=0)


def averaged(output: Output, samples: int) -> Output:
    """Return the mean answer of so many scan paths of each image; the trace is that of the first of them.

    Logarithms of probabilities are averaged as probabilities.
    """
    count = check_samples(samples)
    first: dict[str, Any] = {"trace": _of_first(output.trace, count)}
    named = {"logits": output.logits, "glimpse_logits": output.glimpse_logits}
    own = {name: _mean(name, value, count) for name, value in named.items() if value is not None}
    return replace(output, **own, **first, extra={n: _mean(n, value, count) for n, value in output.extra.items()})


def _mean(name: str, value: Tensor, count: int) -> Tensor:
    apart = value.unflatten(0, (-1, count))
    return apart.logsumexp(dim=1) - math.log(count) if name.endswith(LOGARITHMS) else apart.mean(dim=1)


def _of_first(trace: Trace | None, count: int) -> Trace | None:
    if trace is None:
        return None
    parts: Any = (part if part is None else part[::count] for part in trace)
    return Trace(*parts)
