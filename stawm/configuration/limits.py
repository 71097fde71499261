"""How much a file may say of itself: bounds that are checked before anything is made of what it says.

They hold for checkpoints and for the metadata of graphs, when such a file is written as well as when it is read.
"""

import json
from collections.abc import Mapping
from typing import Any

from stawm.errors import shown

MAX_DEPTH = 32
"""How deep values may be nested, and how many parts a dotted key may have."""
MAX_VALUES = 200_000
"""How many values one text of JSON may hold."""
MAX_INTEGER = 2**64
"""What every integer is smaller than, its sign aside."""
MAX_KEYS = 200
"""How many fields a mapping of a configuration may have."""
MAX_PARTS = 16
"""How many components a list of a configuration may have."""
MAX_NAMES = 100_000
"""How many plain values, such as names of classes, a list of a configuration may have."""
MAX_STRING = 2_000
"""How many characters a string of a configuration may have."""
SIZES: Mapping[str, int] = {
    "glimpses": 10_000,
    "glimpse_size": 16_384,
    "memory_size": 65_536,
    "hidden_size": 65_536,
    "image": 16_384,
    "context_size": 16_384,
}
"""How large the sizes of a model may be; of an image each of its three numbers."""


def read_json(text: str) -> Any:
    """Return the values of a text of JSON that came from a file.

    Raises:
        ValueError: It is no JSON, or holds more than a file may say; the message says which.
    """
    try:
        values = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    if found := too_much(values):
        raise ValueError(found)
    return values


def too_much(values: Any) -> str:
    """Say what is beyond the bounds of any JSON in a file; nothing where all is within them."""
    count, level = 0, [values]
    for _ in range(MAX_DEPTH + 1):
        count += len(level)
        if count > MAX_VALUES:
            return f"it holds more than {MAX_VALUES:,} values"
        if any(isinstance(value, int) and not -MAX_INTEGER < value < MAX_INTEGER for value in level):
            return f"it holds an integer of more than {MAX_INTEGER.bit_length() - 1} bits"
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return ""
    return f"it is nested deeper than {MAX_DEPTH} levels"


def too_much_for_config(fields: Any) -> str:
    """Say what is beyond the bounds of a configuration in a file; nothing where all is within them."""
    if found := too_much(fields):
        return found
    waiting = [("it", fields)]
    while waiting:
        key, value = waiting.pop()
        if found := _too_large(key, value):
            return found
        inner = value.items() if isinstance(value, Mapping) else ((key, each) for each in _inside(value))
        waiting += [(str(name), each) for name, each in inner]
    return ""


def _too_large(key: str, value: Any) -> str:
    if len(key) > MAX_STRING or (isinstance(value, str) and len(value) > MAX_STRING):
        return f"{key[:40]!r} is longer than {MAX_STRING:,} characters"
    if isinstance(value, Mapping) and len(value) > MAX_KEYS:
        return f"{key!r} has {len(value):,} fields where at most {MAX_KEYS} are read"
    if isinstance(value, (list, tuple)):
        most = MAX_PARTS if any(isinstance(each, (Mapping, list, tuple)) for each in value) else MAX_NAMES
        most = MAX_PARTS if key == "heads" else most
        if len(value) > most:
            return f"{key!r} lists {len(value):,} where at most {most:,} are read"
    return ""


def oversized(fields: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each size of a model that is beyond what any machine should be asked for."""
    given = ((key, value) for key in SIZES for value in (fields.get(key), *_inside(fields.get(key))))
    return [
        f"{key} must be at most {SIZES[key]:,}; got {shown(value)}"
        for key, value in given
        if isinstance(value, int) and value > SIZES[key]
    ]


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which is no JSON")
