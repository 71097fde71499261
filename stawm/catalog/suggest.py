"""Names as people write them: their natural order, and what a misspelt one may have meant."""

import re
from collections.abc import Iterable, Sequence


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that compares the numbers in names as numbers."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d+|\D+", name)]


def nearest(name: str, candidates: Iterable[str], limit: int = 5) -> list[str]:
    """Return the candidates most like a name, best first.

    Case and the choice of hyphen or underscore do not count. Every candidate that is one slip of a
    character away is among them, however many there are.
    """
    reach = max(1, len(name) // 3)
    of_like_length = (c for c in candidates if abs(len(c) - len(name)) <= reach + 1)
    scored = sorted((_distance(name, c), natural_key(c), c) for c in of_like_length)
    return [c for rank, (distance, _, c) in enumerate(scored) if distance <= 1 or (rank < limit and distance <= reach)]


def edit_distance(a: str, b: str) -> int:
    """Count the insertions, deletions, substitutions and swaps of neighbours between two strings."""
    before, row = list(range(len(b) + 1)), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        earlier, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], earlier[j - 2] + 1)
    return row[-1]


def did_you_mean(names: Sequence[str]) -> str:
    """Phrase suggestions as a sentence, or as nothing where there are none."""
    return f" Did you mean {' or '.join(map(repr, names))}?" if names else ""


def _distance(a: str, b: str) -> int:
    pairs = {(a, b), (_plain(a), _plain(b))}
    return min(edit_distance(*pair) for pair in pairs)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")
