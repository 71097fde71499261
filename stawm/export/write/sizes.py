"""What is computed from shapes in a traced graph: known when it is written, but for the batch.

Every size is a number, or a multiple of the batch and a number more.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

LARGEST = 2**12
"""The most numbers that are worked out: shapes have a few, the indices that unfold an image some hundreds."""
END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Size:
    """A multiple of the batch, and a number more."""

    times: int
    more: int = 0

    def __str__(self) -> str:
        multiple = "b" if self.times == 1 else f"{self.times}*b"
        return multiple + (f" + {self.more}" if self.more else "")

    def __add__(self, other: "Side") -> "Side":
        times, more = _parts(other)
        return _size(self.times + times, self.more + more)

    def __sub__(self, other: "Side") -> "Side":
        return self + other * -1

    def __rsub__(self, other: int) -> "Side":
        return self * -1 + other

    def __mul__(self, factor: int) -> "Side":
        if isinstance(factor, Size):
            raise TypeError("a product of two batches")
        return _size(self.times * factor, self.more * factor)

    def __floordiv__(self, by: int) -> "Side":
        if isinstance(by, Size) or self.times % by or self.more % by:
            raise TypeError("not a multiple of the batch")
        return _size(self.times // by, self.more // by)

    __radd__ = __add__
    __rmul__ = __mul__


Side: TypeAlias = Size | int
Known: TypeAlias = Mapping[ir.Value, np.ndarray]
"""What is computed from shapes, as arrays of sides."""
BATCH = Size(1)


def _parts(side: Side) -> tuple[int, int]:
    return (side.times, side.more) if isinstance(side, Size) else (0, int(side))


def _size(times: int, more: int) -> Side:
    return Size(times, more) if times else more


def is_multiple(side: Side) -> bool:
    """Whether a side is a multiple of the batch, and no number more."""
    return isinstance(side, Size) and side.times > 0 and side.more == 0


def known_sizes(graph: ir.Graph) -> Known:
    """Return all that is computed from shapes in a graph, whose nodes are in order."""
    known: dict[ir.Value, np.ndarray] = {}
    for node in graph:
        given = [None if value is None else _array(value, known) for value in node.inputs]
        try:
            found = _result(node, given, known)
        except (TypeError, ValueError, IndexError, ZeroDivisionError):
            continue  # nothing that sizes are computed by; it stays as it is
        if found is not None and found.size <= LARGEST:
            known[node.outputs[0]] = found
    return known


def _result(node: ir.Node, given: list[Any], known: Known) -> np.ndarray | None:
    if node.op_type == "Shape":
        sides = sides_of(node.inputs[0])
        start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", END)
        return None if sides is None else np.array(sides[start:end], dtype=object)
    follows = any(value in known for value in node.inputs) and all(array is not None for array in given)
    return FOLLOWS[node.op_type](node, *given) if follows and node.op_type in FOLLOWS else None


def sides_of(value: ir.Value | None) -> list[Side] | None:
    """Return the shape of a value, or None where it is not known."""
    if value is None or value.shape is None:
        return None
    sides = [_side(axis) for axis in value.shape]
    return None if None in sides else sides  # pyright: ignore[reportReturnType]


def _side(axis: Any) -> Side | None:
    if isinstance(axis, int):
        return axis
    symbol = re.fullmatch(r"(?:(\d+)\*)?b", str(axis.value).replace(" ", ""))
    return None if symbol is None else Size(int(symbol[1] or 1))


def numbers(array: np.ndarray | None) -> np.ndarray | None:
    """Return an array of sides as integers, or None where the batch is among them."""
    if array is None or any(isinstance(side, Size) for side in array.reshape(-1)):
        return None
    return array.astype(np.int64)


def _array(value: ir.Value, known: Known) -> np.ndarray | None:
    constant = value.const_value
    if value in known or constant is None:
        return known.get(value)
    if constant.size > LARGEST or not np.issubdtype(constant.dtype.numpy(), np.integer):
        return None
    return np.array(constant.numpy().tolist(), dtype=object)


def _axes(axes: np.ndarray, rank: int) -> tuple[int, ...]:
    return tuple(int(axis) % rank for axis in axes.reshape(-1))


def _cast(node: ir.Node, x: np.ndarray) -> np.ndarray | None:
    return x if node.attributes["to"].as_int() in (ir.DataType.INT64, ir.DataType.INT32) else None


def _gather(node: ir.Node, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.asarray(x.take(places.astype(np.int64), axis=node.attributes.get_int("axis", 0)), dtype=object)


def _squeeze(node: ir.Node, x: np.ndarray, *axes: np.ndarray) -> np.ndarray:
    return np.squeeze(x, _axes(axes[0], x.ndim) if axes else None)


def _slice(node: ir.Node, x: np.ndarray, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> np.ndarray:
    cut = [slice(None)] * x.ndim
    for i, axis in enumerate(range(len(starts)) if axes is None else axes):
        cut[int(axis)] = slice(int(starts[i]), int(ends[i]), None if steps is None else int(steps[i]))
    return x[tuple(cut)]


def _range(node: ir.Node, *given: np.ndarray) -> np.ndarray:
    return np.array(list(range(*(int(x.item()) for x in given))), dtype=object)


FOLLOWS: Mapping[str, Callable[..., np.ndarray | None]] = {
    "Identity": lambda node, x: x,
    "Cast": _cast,
    "Gather": _gather,
    "Concat": lambda node, *xs: np.concatenate(xs, axis=node.attributes["axis"].as_int()),
    "Reshape": lambda node, x, shape: x.reshape([int(side) for side in shape]),
    "Unsqueeze": lambda node, x, axes: np.expand_dims(x, _axes(axes, x.ndim + axes.size)),
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Range": _range,
    "Add": lambda node, x, y: np.asarray(x + y, dtype=object),
    "Sub": lambda node, x, y: np.asarray(x - y, dtype=object),
    "Mul": lambda node, x, y: np.asarray(x * y, dtype=object),
    "Div": lambda node, x, y: np.asarray(x // y, dtype=object),
}
"""How one value that is computed from shapes follows from others."""
