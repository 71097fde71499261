"""Breaking exported files, in ways that leave them looking whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from stawm.export.file import sealing

Change = Callable[[onnx.ModelProto], None]


def broken(source: Path, target: Path, change: Change) -> Path:
    """A copy of a file with a change in it, sealed like the original."""
    proto = onnx.load_model_from_string(source.read_bytes())
    change(proto)
    kept = [entry for entry in proto.metadata_props if entry.key != sealing.KEY]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    target.write_bytes(sealing.seal(proto.SerializeToString()))
    return target


def set_weight(proto: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    old = numpy_helper.to_array(tensor)
    array = change(old.copy()).astype(old.dtype)
    tensor.CopyFrom(numpy_helper.from_array(array, name))


def producer(proto: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in proto.graph.node if name in node.output)


def consumers(proto: onnx.ModelProto, name: str, op: str) -> list[onnx.NodeProto]:
    return [node for node in proto.graph.node if name in node.input and node.op_type == op]


def replace_input(node: onnx.NodeProto, old: str, new: str) -> None:
    node.input[list(node.input).index(old)] = new


def set_metadata(proto: onnx.ModelProto, key: str, change: Callable[[str], str]) -> None:
    entry = next(entry for entry in proto.metadata_props if entry.key == key)
    entry.value = change(entry.value)
