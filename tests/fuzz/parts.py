"""A checkpoint in its parts, changed as one likes and sealed again: so that the seal is no defence."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from stawm.storage import file as sealed_file

MAPPINGS = ("config", "origins", "versions", "provenance")


@dataclass
class Parts:
    """What a file is made of.

    Attributes:
        fields: Its text fields.
        table: Its table of tensors.
        weights: The bytes behind the header.
    """

    fields: dict[str, str]
    table: dict[str, Any]
    weights: bytes

    def json(self, key: str) -> Any:
        return json.loads(self.fields[f"stawm.{key}"])

    def put(self, key: str, value: Any) -> "Parts":
        self.fields[f"stawm.{key}"] = value if isinstance(value, str) else json.dumps(value)
        return self

    def change(self, **config: Any) -> "Parts":
        """Change fields of the configuration."""
        return self.put("config", {**self.json("config"), **config})


def parts(data: bytes) -> Parts:
    start = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:start])
    fields = table.pop("__metadata__")
    ours = {key: value for key, value in fields.items() if key not in ("stawm.sha256", "stawm.weights_sha256")}
    return Parts(ours, table, data[start:])


def sealed(found: Parts) -> bytes:
    """Return the file, with the hashes that stawm itself would give it."""
    fields = {**found.fields, "stawm.weights_sha256": sealed_file.hashlib.sha256(found.weights).hexdigest()}
    fields["stawm.sha256"] = sealed_file._seal(fields, found.table)
    header = sealed_file._encode(fields, found.table)
    return len(header).to_bytes(8, "little") + header + found.weights


def nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, 5e-324, 1e-7),
    *("", " ", "x", "../x", "/abs", "\0", "\x1b[2J", "\ud800", "\u202e", "a\nb", "a" * 3_000, "1@1/1 " * 300),
    *("conv", "oja", "hopfield", "fast-weights", "delta", "affine", "crop", "filterbank", "drawing", "classification"),
    *("8@3/1", "8@3/2p1", "9999999@1/1", f"{'1' * 500}@1/1", "pose", "rnn", "readout", "baseline", "addition"),
    *([], {}, [1], [[1]], [{}], {"name": "conv"}, {"name": 3}, ["x"] * 300, [0] * 40, nested(40), nested(500)),
)
"""What a field is set to: edges of types and ranges, names that are known, forms that none has."""


def mutated(data: bytes, random: Random) -> bytes:
    """Return a file with one to three changes of its structure, sealed."""
    found = parts(data)
    for _ in range(random.randint(1, 3)):
        random.choice(_CHANGES)(found, random)
    try:
        return sealed(found)
    except (TypeError, ValueError, UnicodeError):  # what cannot be written at all
        return data[: random.randint(0, len(data))]


def _tree(found: Parts, random: Random) -> None:
    key = random.choice(("config", "config", "config", *MAPPINGS))
    try:
        values = found.json(key)
    except (ValueError, KeyError, RecursionError):
        return
    found.put(key, _changed(values, random))


def _changed(values: Any, random: Random) -> Any:
    """Change one place of a tree: set it, drop it, double it, rename it or wrap it."""
    places = [place for place in _places(values) if place]
    if not places:
        return random.choice(VALUES)
    *way, last = random.choice(places)
    inside = values
    for step in way:
        inside = inside[step]
    act = random.randrange(8)
    if act == 0:
        inside.pop(last)
    elif act == 1 and isinstance(inside, list):
        inside += [inside[last]] * random.choice((1, 2, 20, 300))
    elif act == 1:
        inside.update({f"{last}{n}": inside[last] for n in range(random.choice((1, 3, 300)))})
    elif act == 2 and isinstance(inside, dict):
        inside[random.choice(("name", f"{last}.x", ".".join("x" * 60), "", "x" * 3_000))] = inside.pop(last)
    elif act == 3:
        inside[last] = random.choice(([inside[last]], {"name": inside[last]}, {"a": inside[last]}))
    elif act == 4 and type(inside[last]) in (int, float):
        inside[last] = random.choice((inside[last] + 1, -inside[last], inside[last] * 1_000, inside[last] / 2))
    else:
        inside[last] = random.choice(VALUES)
    return values


def _places(values: Any, depth: int = 0) -> list[tuple[Any, ...]]:
    keys = values if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    if depth > 6:
        return [()]
    return [(), *((key, *rest) for key in list(keys)[:60] for rest in _places(values[key], depth + 1))]


def _table(found: Parts, random: Random) -> None:
    if not found.table:
        return
    name = random.choice(sorted(found.table))
    act = random.randrange(6)
    if act == 0:
        del found.table[name]
    elif act == 1:
        found.table[random.choice(("x", "../x", "", "a" * 3_000, f"{name}.x"))] = found.table.pop(name)
    elif act == 2:
        found.table |= {f"{name}.{n}": found.table[name] for n in range(random.choice((1, 50)))}
    elif act == 3:
        found.table[name] = random.choice(VALUES)
    else:
        entry = found.table[name]
        if isinstance(entry, dict):
            key = random.choice(("dtype", "shape", "data_offsets"))
            more = (
                ["F16", "F64", "BF16", "I8", "C64", "x"],
                [[], [0], [2**62, 2**62], [1] * 100],
                [[0, 4], [4, 0], [0]],
            )
            found.table[name] = {**entry, key: random.choice((*VALUES, *random.choice(more)))}


def _field(found: Parts, random: Random) -> None:
    key = random.choice(sorted(found.fields))
    if random.random() < 0.4:
        del found.fields[key]
        return
    texts = ("", "x", "{}", "[]", "null", "[" * 3_000, '{"a":' * 3_000, "1" * 5_000, "[NaN]", "float16", "float64", "1")
    found.fields[key] = random.choice(texts)


def _weights(found: Parts, random: Random) -> None:
    cut = random.randint(0, len(found.weights))
    found.weights = random.choice((found.weights[:cut], found.weights + b"\0" * cut, bytes(len(found.weights))))


_CHANGES: tuple[Callable[[Parts, Random], None], ...] = (_tree, _tree, _tree, _tree, _table, _table, _field, _weights)
