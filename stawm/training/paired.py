"""How much more often one way to answer errs than another on the same images: a bound that chance seldom breaks.

Only images that one way has right and the other wrong tell them apart. The bound is the one-sided one of Agresti and
Min (2005), Simple improved confidence intervals for comparing matched proportions: half an image is added to each of
the four kinds of images, and the difference of shares is taken as normal.
"""

import math
from statistics import NormalDist

from stawm.errors import InputError, shown

CERTAINTY = 0.95


def more_errors(lost: int, won: int, images: int, certainty: float) -> float:
    """Return how much greater an error is at most, as a share: with a certainty, and never less than was counted.

    Args:
        lost: How many images are wrong by the new way alone.
        won: How many are wrong by the old way alone.
        images: How many there are.
        certainty: The probability with which the bound holds.

    Examples:
        >>> f"{more_errors(38, 24, 60_000, 0.95):.3%}"
        '0.045%'
    """
    b, c, n = lost + 0.5, won + 0.5, images + 2
    spread = math.sqrt(b + c - (b - c) ** 2 / n) / n
    return max((lost - won) / images, min(1.0, (b - c) / n + NormalDist().inv_cdf(certainty) * spread))


def least_images(share: float, certainty: float) -> int:
    """Return how many images it takes at least to show that an error is no more than a share greater.

    Examples:
        >>> least_images(0.0005, 0.95)
        3288
    """
    return max(1, math.ceil(NormalDist().inv_cdf(certainty) / share) - 2)


def check_certainty(certainty: float) -> None:
    """Raise an InputError unless a certainty is a probability from a half to below 1."""
    number = isinstance(certainty, (int, float)) and not isinstance(certainty, bool)
    if not number or not 0.5 <= certainty < 1:
        raise InputError(f"certainty must be a probability from 0.5 to below 1, such as 0.95; got {shown(certainty)}.")
