"""What can be told of a graph without running it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import onnx
from onnx import TensorProto

from stawm.export.file.metadata import GraphInfo
from stawm.export.file.proto import opset_of, shape_of, shapes_of
from stawm.export.proof import kernels
from stawm.export.proof.report import Check
from stawm.models.config import SharedConfig

SHAPES = ("Shape", "Size", "ConstantOfShape", "NonZero", "Range")
UNWANTED = {
    "shape arithmetic": SHAPES,
    "control flow": ("If", "Loop", "Scan"),
    "sequences": ("SequenceConstruct", "SequenceAt", "SplitToSequence", "ConcatFromSequence"),
    "randomness": ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Dropout"),
}

Shapes = Mapping[str, tuple[int, ...]]


def checks(
    proto: onnx.ModelProto, info: GraphInfo, config: SharedConfig, shapes: Shapes, inputs: Iterable[str]
) -> list[Check]:
    """Check everything that can be told without running.

    Args:
        proto: The graph.
        info: What it says of itself.
        config: The model's configuration.
        shapes: The shapes of its inputs and outputs without the batch, in their order.
        inputs: Which of them are inputs.
    """
    legal = _legal(proto)
    found = [
        legal,
        _check("metadata", lies(info, shapes_of(proto)), "says what the graph is"),
        _names(proto, list(inputs), list(shapes)),
        _axes(proto, shapes),
    ]
    found += [_arithmetic(proto, config), _sampling(proto, config), _used(proto), _shared(proto)]
    return [*found, _kernels(proto)] if legal.ok else found


def _check(name: str, faults: list[str], fine: str) -> Check:
    return Check(name, not faults, "; ".join(faults) if faults else fine)


def _legal(proto: onnx.ModelProto) -> Check:
    try:
        onnx.checker.check_model(proto, full_check=True)
    except Exception as error:  # the checker raises errors of several kinds
        return Check("checker", False, " ".join(str(error).split()))
    return Check("checker", True, f"a legal ONNX model of opset {opset_of(proto)}")


def lies(info: GraphInfo, shapes: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Return where a graph's metadata contradicts itself or the graph's inputs and outputs.

    Args:
        info: What the graph says of itself.
        shapes: The shapes of its inputs and outputs, with the batch.
    """
    faults = [
        f"{key} is {list(getattr(info, key))} beside {info.config.get(key)} in its configuration"
        for key in ("mean", "std", "class_names")
        if list(getattr(info, key)) != info.config.get(key)
    ]
    missing = [name for name in (*info.inputs, *info.outputs) if name not in shapes]
    if missing:
        faults.append(f"the graph has no {', '.join(missing)}")
    expected: dict[str, tuple[int, ...]] = {"image": info.image, "canvas": info.image}
    expected |= {"logits": (info.classes,)} if info.classes is not None else {}
    for name, form in expected.items():
        if name in shapes and tuple(shapes[name][1:]) != tuple(form):
            faults.append(f"{name} is {_form(shapes[name])} and not {_form(('b', *form))}")
    if info.kind == "rollout" and "pose" in shapes and shapes["pose"][1:2] != (info.glimpses,):
        faults.append(f"{info.glimpses} glimpses are claimed, poses are {_form(shapes['pose'])}")
    if info.kind == "rollout" and info.fields != info.outputs:
        faults.append(f"the outputs {', '.join(info.fields)} are claimed, {', '.join(info.outputs)} are there")
    return faults


def _form(shape: Iterable[Any]) -> str:
    return f"({', '.join(map(str, shape))})"


def _names(proto: onnx.ModelProto, inputs: list[str], names: list[str]) -> Check:
    given = [value.name for value in proto.graph.input]
    gives = [value.name for value in proto.graph.output]
    outputs = [name for name in names if name not in inputs]
    faults = []
    if given != inputs:
        faults.append(f"inputs are {', '.join(given)} and not {', '.join(inputs)}")
    if gives != outputs:
        faults.append(f"outputs are {', '.join(gives)} and not {', '.join(outputs)}")
    return _check("names", faults, f"{', '.join(given)} to {', '.join(gives)}")


def _axes(proto: onnx.ModelProto, shapes: Shapes) -> Check:
    faults = []
    for value in (*proto.graph.input, *proto.graph.output):
        batch, *rest = shape_of(value)
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            faults.append(f"{value.name} is no float32")
        if batch != "b":
            faults.append(f"the batch of {value.name} is fixed at {batch}")
        if value.name in shapes and tuple(rest) != shapes[value.name]:
            faults.append(f"{value.name} is {_form(('b', *rest))} and not {_form(('b', *shapes[value.name]))}")
    return _check("axes", faults, "the batch is dynamic, the others are as in PyTorch")


def _arithmetic(proto: onnx.ModelProto, config: SharedConfig) -> Check:
    ops = Counter(node.op_type for node in proto.graph.node)
    foreign = "timm" in (part.name.partition(":")[0] for part in (config.backbone, getattr(config, "context", config)))
    if foreign and sum(ops.pop(op, 0) for op in SHAPES):
        return _check("plain arithmetic", _unwanted(ops), "no shape arithmetic but what the network of timm does")
    return _check("plain arithmetic", _unwanted(ops), "no shape arithmetic, control flow or randomness")


def _unwanted(ops: Counter[str]) -> list[str]:
    return [f"{ops[op]} {op} ({why})" for why, names in UNWANTED.items() for op in names if ops[op]]


def _sampling(proto: onnx.ModelProto, config: SharedConfig) -> Check:
    locator = getattr(config, "locator", None)
    faults = set()
    samplers = [node for node in proto.graph.node if node.op_type == "GridSample"]
    for node in samplers:
        has = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        mode = has.get("mode", b"linear").decode()
        if mode not in ("bilinear", "linear"):
            faults.add(f"the image is sampled by {mode!r} and not bilinearly")
        if bool(has.get("align_corners", 0)) != getattr(locator, "align_corners", False):
            faults.add("align_corners is not the locator's")
        if has.get("padding_mode", b"zeros").decode() not in ("zeros", getattr(locator, "padding", "zeros")):
            faults.add("the padding is not the locator's")
    return _check("sampling", sorted(faults), f"{len(samplers)} bilinear samplers" if samplers else "by products")


def _used(proto: onnx.ModelProto) -> Check:
    used = {name for node in proto.graph.node for name in node.input} | {v.name for v in proto.graph.output}
    idle = [value.name for value in proto.graph.input if value.name not in used]
    idle += [tensor.name for tensor in proto.graph.initializer if tensor.name not in used]
    return _check("inputs", [f"{name} is never used" for name in idle], "each input and each weight is used")


def _shared(proto: onnx.ModelProto) -> Check:
    large = [(t.data_type, *t.dims, t.raw_data) for t in proto.graph.initializer if len(t.raw_data) > 64]
    twice = len(large) - len(set(large))
    faults = [f"{twice} weights are there more than once"] if twice else []
    return _check("sharing", faults, "each weight is there once")


def _kernels(proto: onnx.ModelProto) -> Check:
    missing = kernels.without_kernel(proto)
    table = kernels.table()["onnxruntime"]
    return _check("CUDA kernels", [f"none for {m}" for m in missing], f"one for each node in onnxruntime-gpu {table}")
