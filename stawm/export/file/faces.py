"""What a graph takes and gives, and says of itself: read from the bytes of its file.

Of protobuf no more is read than that, so that graphs can be run where the package onnx is not installed. A field is a
key, which holds its number and how it is stored, and a value (https://protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stawm.errors import ExportError

FLOAT = 1
"""ONNX's number for tensors of single precision."""
Shape = tuple[int | str, ...]
"""Numbers, and names of what is dynamic."""
_OPSETS, _GRAPH, _METADATA, _INPUTS, _OUTPUTS = 8, 7, 14, 11, 12
"""The numbers of fields, as onnx.proto has them."""


class Face(NamedTuple):
    """An input or output.

    Attributes:
        type: The type of its numbers, as ONNX counts them.
        shape: Its shape.
    """

    type: int
    shape: Shape


@dataclass(frozen=True)
class Faces:
    """What a graph takes and gives.

    Attributes:
        opset: The version of ONNX's own operators.
        entries: The metadata.
        inputs: What goes in, by name.
        outputs: What comes out.
    """

    opset: int
    entries: Mapping[str, str]
    inputs: Mapping[str, Face]
    outputs: Mapping[str, Face]

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shapes of all inputs and outputs."""
        return {name: face.shape for name, face in (*self.inputs.items(), *self.outputs.items())}


def read_faces(data: bytes, path: Path) -> Faces:
    """Return what a file takes and gives; its operators and weights are passed over.

    Raises:
        ExportError: It is damaged.
    """
    try:
        model = list(_fields(memoryview(data)))
        graph = [field for number, inner in model if number == _GRAPH for field in _fields(inner)]
        opsets = [dict(_fields(inner)) for number, inner in model if number == _OPSETS]
        entries = [dict(_fields(inner)) for number, inner in model if number == _METADATA]
        return Faces(
            next(entry[2] for entry in opsets if _text(entry.get(1, b"")) in ("", "ai.onnx")),
            {_text(entry[1]): _text(entry.get(2, b"")) for entry in entries},
            dict(_face(inner) for number, inner in graph if number == _INPUTS),
            dict(_face(inner) for number, inner in graph if number == _OUTPUTS),
        )
    except (IndexError, KeyError, StopIteration, TypeError, ValueError) as error:
        raise ExportError(f"{path} is damaged: it cannot be read as ONNX.") from error


def _face(value: Any) -> tuple[str, Face]:
    """Return the name of an input or output, and what it is."""
    fields = dict(_fields(value))
    tensor = dict(_fields(dict(_fields(fields[2]))[1]))
    dimensions = [dict(_fields(inner)) for number, inner in _fields(tensor.get(2, b"")) if number == 1]
    shape = tuple(d[1] if 1 in d else _text(d.get(2, b"")) or "?" for d in dimensions)
    return _text(fields[1]), Face(tensor.get(1, 0), shape)


def _fields(message: Any) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message: their numbers, and integers or bytes."""
    at, view = 0, memoryview(message)
    while at < len(view):
        key, at = _integer(view, at)
        kind, length = key & 7, 0
        if kind == 0:
            value, at = _integer(view, at)
        else:
            length, at = _integer(view, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = view[at : at + length], at + length
        if at > len(view):
            raise ValueError("a field ends after its message")
        yield key >> 3, value


def _integer(view: memoryview, at: int) -> tuple[int, int]:
    """Return an integer, of which each byte holds seven bits, and where it ends."""
    value = shift = 0
    while view[at] & 0x80:
        value, at, shift = value | (view[at] & 0x7F) << shift, at + 1, shift + 7
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")
    return value | view[at] << shift, at + 1


def _text(value: Any) -> str:
    return bytes(value).decode()


def fixed(shape: Shape) -> tuple[int, ...]:
    """Return a shape without the batch, the only axis that is dynamic in what stawm writes."""
    return tuple(map(int, shape[1:]))


def in_brackets(shape: Iterable[int | str]) -> str:
    """Return a shape as people write it."""
    return f"({', '.join(map(str, shape))})"
