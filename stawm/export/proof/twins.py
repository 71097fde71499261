"""Whether a graph is, node by node and weight by weight, the one that its model is exported to.

Both are walked from their outputs to their inputs, so that neither names nor the order of nodes count. Nor do the
producer, the version of the format, what the file says of values in between, attributes that are left out where they
have their default, and whether a constant is a node or an initializer. Constants may differ by the rounding of the
functions that they are computed with, which other processors round in another way.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, helper, numpy_helper

from stawm.export.file.proto import opset_of

ULPS = 4
"""How many units in the last place of its largest number the numbers of a constant may be apart."""
TOLD = 5
"""How many differences are told."""


LAYOUT = frozenset(
    re.findall(
        r"\w+",
        """
        Add Concat Constant Expand Flatten Gather Gemm Identity MatMul Reshape Slice Split Squeeze Transpose
        Unsqueeze
        """,
    )
)
"""Operators of which a graph for the same values may have more or fewer: they move numbers, multiply and add."""


@dataclass(frozen=True)
class Parts:
    """A graph by the names of its values."""

    proto: onnx.ModelProto

    @cached_property
    def makers(self) -> dict[str, tuple[onnx.NodeProto, int]]:
        """Which node gives a value, as which of its outputs."""
        return {name: (node, place) for node in self.proto.graph.node for place, name in enumerate(node.output) if name}

    @cached_property
    def constants(self) -> dict[str, np.ndarray]:
        """The values that are stored in the file."""
        found = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.proto.graph.initializer}
        for node in self.proto.graph.node:
            if node.op_type == "Constant" and len(node.output) == 1 and len(node.attribute) == 1:
                found[node.output[0]] = _constant(node.attribute[0])
        return found

    def attributes(self, node: onnx.NodeProto) -> dict[str, Any]:
        """Return what a node is told, with the defaults of what it is not told."""
        defaults = onnx.defs.get_schema(node.op_type, opset_of(self.proto), "").attributes.values()
        given = [*(a.default_value for a in defaults if a.default_value.type), *node.attribute]
        found = {attribute.name: helper.get_attribute_value(attribute) for attribute in given}
        if node.op_type == "Reshape" and np.all(self.constants.get(node.input[1], np.zeros(1))):
            found["allowzero"] = 0  # which only matters where the shape has zeros
        return {name: list(value) if isinstance(value, (list, tuple)) else value for name, value in found.items()}


def differences(proto: onnx.ModelProto, wanted: onnx.ModelProto) -> list[str]:
    """Return in what a graph differs from the one that is wanted, the nearest to the outputs first."""
    ours, theirs = Parts(proto), Parts(wanted)
    gives, wants = ([value.name for value in parts.proto.graph.output] for parts in (ours, theirs))
    if gives != wants:
        return [f"it gives {', '.join(gives)} and not {', '.join(wants)}"]
    waiting = [(name, name) for name in reversed(wants)]
    seen: set[tuple[str, str]] = set()
    found: list[str] = []
    while waiting and len(found) < TOLD:
        pair = waiting.pop()
        if pair in seen:
            continue
        seen.add(pair)
        fault, inner = _unlike(*pair, ours, theirs)
        found += [fault] if fault else []
        waiting += reversed(inner)
    return found or list(_idle(ours, {name for name, _ in seen}))


def _unlike(name: str, wanted: str, ours: Parts, theirs: Parts) -> tuple[str, list[tuple[str, str]]]:
    """Compare two values by how they come about; return what differs, and the values that they are computed of."""
    if wanted in theirs.constants:
        array = ours.constants.get(name)
        return ("" if array is None else _unequal(wanted, array, theirs.constants[wanted])) or (
            "" if array is not None else f"{wanted!r} is {_told(name, ours)} and not a constant"
        ), []
    made, other = ours.makers.get(name), theirs.makers.get(wanted)
    if made is None or other is None or name in ours.constants:
        same = made is None and other is None and name == wanted
        return ("" if same else f"{wanted!r} is {_told(name, ours)} and not {_told(wanted, theirs)}"), []
    (node, place), (twin, wanted_place) = made, other
    if (node.op_type, place) != (twin.op_type, wanted_place) or _inputs(node) != _inputs(twin):
        return f"{wanted!r} is {_told(name, ours)} and not {_told(wanted, theirs)}", []
    told, meant = ours.attributes(node), theirs.attributes(twin)
    unlike = [key for key in sorted({*told, *meant}) if told.get(key) != meant.get(key)]
    if unlike:
        key = unlike[0]
        return f"{key} of the {node.op_type} that gives {wanted!r} is {told.get(key)} and not {meant.get(key)}", []
    return "", [(a, b) for a, b in zip(node.input, twin.input, strict=False) if a]


def _inputs(node: onnx.NodeProto) -> list[bool]:
    """Which inputs a node has; those at its end may be left out or be empty."""
    given = [bool(name) for name in node.input]
    while given and not given[-1]:
        given.pop()
    return given


def _told(name: str, parts: Parts) -> str:
    if name in parts.constants:
        return "a constant"
    if name not in parts.makers:
        return f"the input {name!r}"
    node = parts.makers[name][0]
    return f"computed by {node.op_type} of {len(node.input)} values"


def _unequal(name: str, array: np.ndarray, wanted: np.ndarray) -> str:
    if array.dtype != wanted.dtype or array.shape != wanted.shape:
        return f"the constant {name!r} is {array.dtype} {list(array.shape)}, not {wanted.dtype} {list(wanted.shape)}"
    if not same(array, wanted):
        if not _is_float(wanted):
            return f"the constant {name!r} differs"
        gap = np.max(np.abs(array.astype(np.float64) - wanted.astype(np.float64)))
        return f"the weight {name!r} differs from the model's by up to {gap:.2e}"
    return ""


def same(array: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether two constants of one type and shape are equal but for rounding."""
    if array.tobytes() == wanted.tobytes():
        return True
    if not _is_float(wanted):
        return False
    far, scale = array.astype(np.float64), wanted.astype(np.float64)
    unit = float(onnx_epsilon(wanted.dtype)) * float(np.max(np.abs(scale), initial=0.0))
    return bool(np.all(np.abs(far - scale) <= ULPS * unit))  # what is no number is equal to nothing


def onnx_epsilon(dtype: np.dtype[Any]) -> float:
    """Return the unit in the last place of 1, of the types of numpy and of those that ONNX adds."""
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).eps)


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def _is_weight(array: np.ndarray) -> bool:
    """Whether a constant holds numbers that a model learned: with fractions, or whole ones that stand for such."""
    return _is_float(array) or (array.dtype in (np.int8, np.int32) and array.size > 1)


def _idle(parts: Parts, reached: set[str]) -> Iterator[str]:
    """Yield what leads to no output."""
    nodes = [node for node in parts.proto.graph.node if not reached & set(node.output)]
    if nodes:
        yield f"{len(nodes)} nodes lead to no output, the first of them {nodes[0].op_type}"
    weights = [tensor.name for tensor in parts.proto.graph.initializer if tensor.name not in reached]
    if weights:
        yield f"{len(weights)} weights lead to no output, the first of them {weights[0]!r}"


def foreign(proto: onnx.ModelProto, wanted: onnx.ModelProto) -> list[str]:
    """Return what a graph is made of that the wanted one is not made of.

    This is what can be told of a graph that another version wrote, whose nodes may be others for the same values. All
    constants that are learned have to be the model's, perhaps in another layout, and an operator that does more than
    move numbers, or multiply them by weights and add them, must not be there more often than in the wanted graph. So
    nothing can be in the graph that acts on some images only.
    """
    ours, theirs = Parts(proto), Parts(wanted)
    have, want = _acting(ours), _acting(theirs)
    more = [f"{have[key] - want[key]} more {key[0]}" for key in have if have[key] > want[key]]
    found = [f"it has {', '.join(more)} than the model's graph, or with other attributes"] if more else []
    known: dict[tuple[str, int], list[np.ndarray]] = {}
    for array in theirs.constants.values():
        known.setdefault((array.dtype.name, array.size), []).append(array)
    strange = [
        name
        for name, array in ours.constants.items()
        if _is_weight(array)
        and not any(_relaid(array, other) for other in known.get((array.dtype.name, array.size), ()))
    ]
    return found + (
        [f"{len(strange)} weights are not the model's, the first of them {strange[0]!r}"] if strange else []
    )


def _acting(parts: Parts) -> Counter[tuple[str, str]]:
    """Count the nodes that do more than move numbers, or multiply and add them, by operator and attributes."""
    nodes = [node for node in parts.proto.graph.node if node.op_type not in LAYOUT]
    return Counter((node.op_type, repr(sorted(parts.attributes(node).items()))) for node in nodes)


def _relaid(array: np.ndarray, other: np.ndarray) -> bool:
    """Whether two constants hold the same numbers in one order, or one is the other transposed."""
    forms = (other, other.T) if other.ndim == 2 else (other,)
    return any(same(np.ravel(array), np.ravel(form)) for form in forms)


def _constant(attribute: AttributeProto) -> np.ndarray:
    value = helper.get_attribute_value(attribute)
    if attribute.type == AttributeProto.TENSOR:
        return numpy_helper.to_array(value)
    kind = np.int64 if attribute.type in (AttributeProto.INT, AttributeProto.INTS) else np.float32
    return np.asarray(value, dtype=kind)


def by_part(files: Mapping[str, onnx.ModelProto], wanted: Mapping[str, onnx.ModelProto], tell: Any) -> list[str]:
    """Return what is told of every part, with the part's name where there are several."""
    head = "{}: {}" if len(wanted) > 1 else "{1}"
    return [head.format(part, fault) for part, proto in wanted.items() for fault in tell(files[part], proto)]
