"""Graphs that were made to do harm: every kind that was ever met, made by code and sealed like an honest file."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.export.broken import set_metadata

Change = Callable[[onnx.ModelProto], None]
HONEST = Path(__file__).parent / "first_version" / "rollout.onnx"
"""A small graph of a model that classifies and draws with random numbers."""
SECRET = "../../secret"


def outside(name: str = "stolen") -> TensorProto:
    """A tensor whose numbers are those of another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=SECRET)
    return tensor


def body(*nodes: onnx.NodeProto, initializer: Any = (), gives: str = "inner") -> onnx.GraphProto:
    return helper.make_graph(
        list(nodes), "body", [], [helper.make_tensor_value_info(gives, TensorProto.FLOAT, [4])], list(initializer)
    )


def node(op: str, *given: str, gives: str = "made", **attributes: Any) -> Change:
    """Put a node at the start, whose output nobody needs."""

    def change(proto: onnx.ModelProto) -> None:
        proto.graph.node.insert(0, helper.make_node(op, list(given), [gives], **attributes))

    return change


def constant(**arrays: Any) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items())

    return change


def together(*changes: Change) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        for each in changes:
            each(proto)

    return change


def branches(**graphs: onnx.GraphProto) -> Change:
    return together(constant(condition=np.array(True)), node("If", "condition", **graphs))


def chain(op: str, count: int, **attributes: Any) -> Change:
    """A node that is given its own output twice, again and again."""

    def change(proto: onnx.ModelProto) -> None:
        start = helper.make_node("ConstantOfShape", ["side"], ["made0"])
        nodes = [helper.make_node(op, [f"made{n}"] * 2, [f"made{n + 1}"], **attributes) for n in range(count)]
        for each in reversed([start, *nodes]):
            proto.graph.node.insert(0, each)

    return change


def entry(key: str, change: Callable[[Any], Any]) -> Change:
    """Change an entry of the metadata, as JSON."""

    def write(proto: onnx.ModelProto) -> None:
        set_metadata(proto, f"stawm.{key}", lambda text: json.dumps(change(json.loads(text))))

    return write


def said(**fields: Any) -> Change:
    """Say something else in the configuration and wherever it is said again, so that nothing contradicts it."""

    def write(proto: onnx.ModelProto) -> None:
        for key in ("config", "preprocessing"):
            entry(key, lambda known: known | {n: fields[n] for n in fields if n in known or n == "resize"})(proto)
        if "class_names" in fields:
            entry("class_names", lambda known: fields["class_names"])(proto)

    return write


def graph_entry(**fields: Any) -> Change:
    return entry("graph", lambda known: known | fields)


def raw_entry(key: str, text: str) -> Change:
    return lambda proto: set_metadata(proto, f"stawm.{key}", lambda _: text)


def _function(proto: onnx.ModelProto) -> None:
    inner = helper.make_node("Constant", [], ["y"], value=outside())
    proto.functions.append(helper.make_function("here", "Stolen", [], ["y"], [inner], [helper.make_opsetid("", 18)]))


def _sparse(proto: onnx.ModelProto) -> None:
    sparse = proto.graph.sparse_initializer.add(dims=[4])
    sparse.values.CopyFrom(outside())
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(4), "at"))


def _training(proto: onnx.ModelProto) -> None:
    proto.training_info.add().algorithm.CopyFrom(body(initializer=[outside()]))


def _attribute(kind: str) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        attribute = AttributeProto(name="alpha")
        if kind == "t":
            attribute.type = AttributeProto.TENSOR
            attribute.t.CopyFrom(outside())
        else:
            attribute.type = AttributeProto.TENSORS
            attribute.tensors.append(outside())
        proto.graph.node[0].attribute.append(attribute)

    return change


def _unknown_field(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].MergeFromString(b"\xfa\x3e\x01x")  # field 1007, of four letters fewer than nothing


def _empty_initializer(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(TensorProto(name="vast", data_type=TensorProto.FLOAT, dims=[2**40]))


def _input(name: str, shape: Any, kind: int = TensorProto.FLOAT) -> Change:
    return lambda proto: proto.graph.input.append(helper.make_tensor_value_info(name, kind, shape))


def _sequence(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_sequence_value_info("many", TensorProto.FLOAT, [4]))


def _opsets(*pairs: tuple[str, int]) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        del proto.opset_import[:]
        proto.opset_import.extend(helper.make_opsetid(*pair) for pair in pairs)

    return change


def _sizes(*sizes: int) -> Change:
    return constant(sizes=np.array(sizes, np.int64))


def _lying_shape(proto: onnx.ModelProto) -> None:
    """A value whose size depends on what is computed, with the claim that it is small."""
    together(
        node("Range", "zero", "image_sum", "one"),
        node("ReduceSum", "image", gives="image_sum", keepdims=0),
        constant(zero=np.float32(0), one=np.float32(1)),
    )(proto)
    proto.graph.value_info.append(helper.make_tensor_value_info("made", TensorProto.FLOAT, [1]))


_PLACE = helper.make_node("Constant", [], ["inner"], value=outside())
_ENDLESS = helper.make_graph(
    [helper.make_node("Identity", ["go_in"], ["go_out"])],
    "body",
    [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
    ],
    [helper.make_tensor_value_info("go_out", TensorProto.BOOL, [])],
)

READS_FILES: Mapping[str, Change] = {
    "initializer": lambda proto: proto.graph.initializer.append(outside()),
    "constant": node("Constant", value=outside()),
    "initializer of a branch": branches(then_branch=body(initializer=[outside("inner")]), else_branch=body(_PLACE)),
    "constant of a branch": branches(then_branch=body(_PLACE), else_branch=body(_PLACE)),
    "loop": node("Loop", "", "", body=body(_PLACE)),
    "scan": node("Scan", "image", body=body(_PLACE), num_scan_inputs=1),
    "function": _function,
    "sparse initializer": _sparse,
    "training": _training,
    "tensor in any attribute": _attribute("t"),
    "tensors in any attribute": _attribute("tensors"),
}
FOREIGN: Mapping[str, Change] = {
    "endless loop": node("Loop", "", "", body=_ENDLESS),
    "branch": branches(then_branch=body(), else_branch=body()),
    "domain": lambda proto: setattr(proto.graph.node[0], "domain", "com.example"),
    "operator": node("NoSuchOperator", "image"),
    "operator of another opset": node("RMSNormalization", "image", "image"),
    "randomness": node("RandomNormal", shape=[4]),
    "size by value": node("NonZero", "image"),
    "strings": node("Constant", value_strings=["a"]),
    "text that is none": lambda proto: proto.graph.node[0].MergeFromString(b"\x22\x02\xff\xfe"),
    "equation without an end": node("Einsum", "image", equation="i...j...->\xff"),
    "sequence": _sequence,
    "unknown field": _unknown_field,
    "no opset": _opsets(),
    "foreign opset": _opsets(("com.example", 1)),
    "two opsets": _opsets(("", 18), ("com.example", 1)),
    "opset of the future": _opsets(("", 99)),
    "name twice": lambda proto: proto.graph.initializer.append(proto.graph.initializer[0]),
    "metadata twice": lambda proto: proto.metadata_props.append(proto.metadata_props[0]),
    "escape sequence": _input("noise_\x1b[2J", ["b", 1]),
}
TOO_MUCH: Mapping[str, Change] = {
    "dims without data": _empty_initializer,
    "fill": together(_sizes(2**20, 2**20), node("ConstantOfShape", "sizes")),
    "expand": together(_sizes(2**30, 1, 12, 12), node("Expand", "image", "sizes")),
    "tile": together(_sizes(1, 2**20, 2**10, 1), node("Tile", "image", "sizes")),
    "pad": together(_sizes(0, 0, 0, 0, 0, 0, 2**30, 2**10), node("Pad", "image", "sizes")),
    "resize": together(constant(scales=np.float32([1, 1, 1e5, 1e5])), node("Resize", "image", "", "scales")),
    "resize by what is no number": together(
        constant(scales=np.float32([1, 1, np.nan, 1e30])), node("Resize", "image", "", "scales")
    ),
    "range": together(
        constant(zero=np.int64(0), last=np.int64(2**40), one=np.int64(1)), node("Range", "zero", "last", "one")
    ),
    "one-hot": together(
        constant(depth=np.int64(2**30), values=np.float32([0, 1])), node("OneHot", "image", "depth", "values")
    ),
    "outer product": node("Einsum", *["image"] * 4, equation="abcd,aefg,ahij,aklm->abcdefghijklm"),
    "doubling": together(constant(side=np.int64([1024])), chain("Concat", 40, axis=0)),
    "products": together(constant(side=np.int64([4096, 4096])), chain("MatMul", 20)),
    "square of the batch": together(
        node("MatMul", "flat", "across"),
        node("Transpose", "flat", gives="across"),
        node("Flatten", "image", gives="flat"),
    ),
    "size that is not known": together(
        node("Expand", "image", "by"), node("Cast", "image", gives="by", to=TensorProto.INT64)
    ),
    "claim of a size": _lying_shape,
    "claim of a vast output": lambda proto: setattr(
        proto.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 2**31 - 1
    ),
    "noise": _input("noise_vast", ["b", 10**9]),
}
LIES: Mapping[str, Change] = {
    "glimpses": graph_entry(glimpses=10**9),
    "glimpses just too many": graph_entry(glimpses=10_001),
    "no number of glimpses": graph_entry(glimpses="3"),
    "inputs": graph_entry(inputs=[1]),
    "fields": graph_entry(fields=[None]),
    "outputs of text": graph_entry(outputs="logits"),
    "kind": graph_entry(kind=["rollout"]),
    "part": graph_entry(part={}),
    "precision": graph_entry(precision=16),
    "graph": entry("graph", lambda known: [known]),
    "config": entry("config", lambda known: "config"),
    "depth": raw_entry("config", "[" * 5000 + "]" * 5000),
    "depth of a mapping": raw_entry("versions", '{"a":' * 900 + "1" + "}" * 900),
    "digits": raw_entry("graph", "1" * 5000),
    "infinity": raw_entry("preprocessing", "Infinity"),
    "versions": raw_entry("versions", "null"),
    "image": said(image=[1, float("1e999"), 12]),
    "image of halves": said(image=[1, 12.5, 12]),
    "image of texts": said(image=["1", "12", "12"]),
    "vast image": said(image=[1, 2**40, 12]),
    "no image": said(image=[]),
    "mean": said(mean=["0.3"]),
    "no mean": said(mean=[]),
    "infinite mean": said(mean=[float("1e999")]),
    "vast mean": said(mean=[1e300]),
    "std": said(std=[True]),
    "tiny std": said(std=[1e-300]),
    "negative std": said(std=[-1.0]),
    "class names": said(class_names=list(range(10))),
    "too few class names": said(class_names=["a"]),
    "lines in class names": said(class_names=["a\nb", *"bcdefghij"]),
    "name of a parent": said(name="../x"),
    "absolute name": said(name="/abs"),
    "name of a folder in a folder": said(name="a/b"),
    "name of dots": said(name=".."),
    "name of a device": said(name="con"),
    "name with a null": said(name="a\0b"),
    "long name": said(name="a" * 300),
    "name of no text": said(name=["stawm-digits"]),
    "resize": said(resize="stretch"),
    "resize of another type": said(resize=["crop"]),
    "heads": said(heads="classification"),
    "head without a name": said(heads=[{}]),
    "classes": said(heads=[{"name": "classification", "classes": 1e999}]),
}
EVERYWHERE: Mapping[str, Change] = {
    f"{kind}: {name}": change
    for kind, changes in {"reads": READS_FILES, "foreign": FOREIGN, "too much": TOO_MUCH, "lies": LIES}.items()
    for name, change in changes.items()
}
"""What is refused wherever a graph is opened."""


def _face(place: int, change: Callable[[Any], Any]) -> Change:
    return lambda proto: change(proto.graph.input[place].type.tensor_type)


def _fix_batch(proto: onnx.ModelProto) -> None:
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2


def _wider_noise(proto: onnx.ModelProto) -> None:
    proto.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 7


UNUSABLE: Mapping[str, Change] = {
    "further input": _input("further", ["b", 4]),
    "input that is named too": together(
        _input("further", ["b", 4]),
        entry("graph", lambda known: known | {"inputs": [*known["inputs"], "further"]}),
    ),
    "fixed batch": _fix_batch,
    "input of integers": _face(0, lambda kind: setattr(kind, "elem_type", TensorProto.INT64)),
    "noise of another length": _wider_noise,
    "sample": graph_entry(sample=False),
    "output less": lambda proto: proto.graph.output.pop(),
}
"""What can be looked at, and not be used."""
