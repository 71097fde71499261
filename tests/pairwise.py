"""Few combinations in which every two values of different choices meet."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

Pair = frozenset[tuple[str, int]]
"""Two choices, each with the number of the value that was made."""


def cover(**choices: Sequence[Any]) -> list[dict[str, Any]]:
    """Return combinations that hold every pair of values of two choices at least once.

    Greedy and deterministic: each combination begins with a missing pair, of the two longest choices first, and
    takes for every other choice the value that adds the most missing pairs; of several such, the least used one.

    Args:
        **choices: The values of each choice.
    """

    def rank(pair: Pair) -> tuple[int, list[tuple[str, int]]]:
        return -math.prod(len(choices[name]) for name, _ in pair), sorted(pair)

    missing = pairs(choices)
    used: dict[tuple[str, int], int] = {(name, k): 0 for name, values in choices.items() for k in range(len(values))}
    found = []
    while missing:
        made = dict(sorted(min(missing, key=rank)))
        for name in sorted(choices.keys() - made.keys(), key=lambda name: (-len(choices[name]), name)):
            gains = {
                k: sum(frozenset({(name, k), other}) in missing for other in made.items())
                for k in range(len(choices[name]))
            }
            made[name] = max(gains, key=lambda k: (gains[k], -used[name, k]))
        for name, k in made.items():
            used[name, k] += 1
        missing -= met(made)
        found.append({name: choices[name][made[name]] for name in choices})
    return found


def pairs(choices: dict[str, Sequence[Any]]) -> set[Pair]:
    """Return every pair of values of two choices."""
    return {
        frozenset({(a, i), (b, j)})
        for a, b in combinations(choices, 2)
        for i in range(len(choices[a]))
        for j in range(len(choices[b]))
    }


def met(made: dict[str, int]) -> set[Pair]:
    """Return the pairs that a combination holds."""
    return {frozenset(pair) for pair in combinations(made.items(), 2)}
