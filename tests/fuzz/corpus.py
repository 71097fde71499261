"""Every checkpoint that ever did harm, made by code: each is sealed as stawm seals its own, and each is refused.

A new one is added here with the change that mends it.
"""

from collections.abc import Callable
from typing import Any

from tests.fuzz.parts import Parts, nested


def _tensors(found: Parts, count: int) -> Parts:
    found.table |= {f"x{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(count)}
    return found


def _table(found: Parts, **changes: Any) -> Parts:
    name = min(found.table)
    found.table[name] = {**found.table[name], **changes}
    return found


def _deep(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


HOSTILE: dict[str, Callable[[Parts], Parts]] = {
    # Bombs: small files that cost hours or gigabytes.
    "60,000 layers": lambda p: p.change(backbone={"name": "conv", "layers": "1@1/1 " * 60_000}),
    "unknown origins": lambda p: p.change(memory="gone").put("origins", {f"memory.x{n}": "x 1" for n in range(50_000)}),
    "origins that are no strings": lambda p: p.change(memory="gone").put("origins", {"memory.gone": [1]}),
    "50,000 unknown fields": lambda p: p.change(**{f"x{n}": 1 for n in range(50_000)}),
    "2,000 unknown fields": lambda p: p.change(**{f"x{n}": 1 for n in range(2_000)}),
    "100 unknown fields": lambda p: p.change(**{f"x{n}": 1 for n in range(100)}),
    "100,000 heads": lambda p: p.change(heads=["classification"] * 100_000),
    "100,000 unknown heads": lambda p: p.change(heads=[f"x{n}" for n in range(100_000)]),
    "16 unknown heads": lambda p: p.change(heads=[f"x{n}" for n in range(16)]),
    "20,000 empty tensors": lambda p: _tensors(p, 20_000),
    "glimpses without end": lambda p: p.change(glimpses=10**9),
    "a memory without end": lambda p: p.change(memory_size=10**9),
    "an image without end": lambda p: p.change(image=[1, 10**9, 10**9]),
    "a name of megabytes": lambda p: p.change(name="x" * 5_000_000),
    "a component's name of megabytes": lambda p: p.change(memory="x" * 5_000_000),
    "numbers of a mean": lambda p: p.change(mean=[0.5] * 20_000),
    "a version of megabytes": lambda p: p.put("version", "1" * 5_000_000),
    "provenance of many values": lambda p: p.put("provenance", {"a": [0] * 250_000}),
    # Nested without end.
    "a configuration 900 deep": lambda p: p.change(memory=nested(900)),
    "a configuration 40 deep": lambda p: p.change(memory=nested(40)),
    "provenance 900 deep": lambda p: p.put("provenance", _deep(900)),
    "provenance 100,000 deep": lambda p: p.put("provenance", _deep(100_000)),
    "a dotted key of 900 parts": lambda p: p.change(**{".".join(["memory", *["x"] * 900]): 1}),
    "a dotted key of 50 parts": lambda p: p.change(**{".".join(["memory", *["x"] * 50]): 1}),
    "origins 900 deep": lambda p: p.put("origins", _deep(900)),
    # Numbers.
    "layers of 5,000 digits": lambda p: p.change(backbone={"name": "conv", "layers": f"{'1' * 5_000}@1/1"}),
    "layers of 1,000 digits": lambda p: p.change(backbone={"name": "conv", "layers": f"{'1' * 1_000}@1/1"}),
    "a number of 5,000 digits": lambda p: p.put("config", '{"glimpses": ' + "1" * 5_000 + "}"),
    "a number of 4,000 digits": lambda p: p.change(glimpses=int("1" * 4_000)),
    "not a number": lambda p: p.change(dropout=float("nan")),
    "an infinity in the provenance": lambda p: p.put("provenance", '{"a": Infinity}'),
    "a place of 4,300 digits": lambda p: _table(p, data_offsets=[0, int("9" * 4_300)]),
    "a shape of 4,300 digits": lambda p: _table(p, shape=[int("9" * 4_300)]),
    "a shape of many axes": lambda p: _table(p, shape=[1] * 100_000),
    # Lies.
    "a name that is a path": lambda p: p.change(name="../outside"),
    "a name that is absolute": lambda p: p.change(name="/abs"),
    "a name that is a device": lambda p: p.change(name="nul"),
    "a name with an escape": lambda p: p.change(name="x\x1b[2J"),
    "a name without characters": lambda p: p.change(name=""),
    "a name that is a number": lambda p: p.change(name=3),
    "too few class names": lambda p: p.change(class_names=["a"]),
    "class names of two lines": lambda p: p.change(class_names=["a\nb", *"123456789"]),
    "class names that cannot be encoded": lambda p: p.change(class_names=["\ud800", *"123456789"]),
    "a mean of two channels": lambda p: p.change(mean=[0.1, 0.2]),
    "a mean that swallows images": lambda p: p.change(mean=[1e30]),
    "a deviation of zero": lambda p: p.change(std=[0.0]),
    "a deviation of nearly zero": lambda p: p.change(std=[1e-300]),
    "a mean of strings": lambda p: p.change(mean=["0.1"]),
    "complex weights": lambda p: _table(p, dtype="C64"),
    "weights of an unknown type": lambda p: _table(p, dtype="\x1b[31mF32"),
    "a type that is none": lambda p: p.put("dtype", "float8"),
    "another format": lambda p: p.put("format", "2" * 5_000),
    "a family that is none": lambda p: p.change(family=["stawm"]),
    "no configuration at all": lambda p: p.put("config", "null"),
}
