"""What can be told of a graph without running it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import onnx
from onnx import TensorProto

from stawm.export.file.faces import in_brackets
from stawm.export.file.files import GraphFile
from stawm.export.file.metadata import contradictions
from stawm.export.file.proto import opset_of, shape_of, shapes_of
from stawm.export.proof import kernels
from stawm.export.proof.report import Check
from stawm.models.config import SharedConfig

SHAPES = ("Shape", "Size", "ConstantOfShape", "NonZero", "Range")
UNWANTED = {
    "shape arithmetic": SHAPES,
    "control flow": ("If", "Loop", "Scan"),
    "sequences": ("SequenceConstruct", "SequenceAt", "SplitToSequence", "ConcatFromSequence"),
    "randomness": (
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("Bernoulli", "Multinomial", "Dropout"),
    ),
}

TOLD = 5
"""How many nodes without a kernel are told one by one."""

Shapes = Mapping[str, tuple[int | str, ...]]


def checks(file: GraphFile, config: SharedConfig, shapes: Shapes, inputs: Iterable[str], device: str) -> list[Check]:
    """Check everything that can be told without running.

    Args:
        file: The graph.
        config: The model's configuration.
        shapes: The shapes of its inputs and outputs without the batch, in their order.
        inputs: Which of them are inputs.
        device: Where it shall run; what only matters elsewhere is a warning.
    """
    proto = file.proto
    legal = _legal(proto)
    found = [
        legal,
        _check("metadata", contradictions(file.info, shapes_of(proto)), "says what the graph is"),
        _names(proto, list(inputs), list(shapes)),
        _axes(proto, shapes),
    ]
    found += [_arithmetic(proto, config), _sampling(proto, config), _used(proto), _shared(proto)]
    return [*found, _kernels(proto, device)] if legal.ok else found


def _check(name: str, faults: list[str], fine: str) -> Check:
    return Check(name, not faults, "; ".join(faults) if faults else fine)


def _legal(proto: onnx.ModelProto) -> Check:
    try:
        onnx.checker.check_model(proto, full_check=True)
    except Exception as error:  # the checker raises errors of several kinds
        return Check("checker", False, " ".join(str(error).split()))
    return Check("checker", True, f"a legal ONNX model of opset {opset_of(proto)}")


def _names(proto: onnx.ModelProto, inputs: list[str], names: list[str]) -> Check:
    given = [value.name for value in proto.graph.input]
    gives = [value.name for value in proto.graph.output]
    outputs = [name for name in names if name not in inputs]
    faults = []
    if given != inputs:
        faults.append(f"inputs are {', '.join(given)}; they must be {', '.join(inputs)}")
    if gives != outputs:
        faults.append(f"outputs are {', '.join(gives)}; they must be {', '.join(outputs)}")
    return _check("names", faults, f"{', '.join(given)} to {', '.join(gives)}")


def _axes(proto: onnx.ModelProto, shapes: Shapes) -> Check:
    faults = []
    for value in (*proto.graph.input, *proto.graph.output):
        batch, *rest = shape_of(value)
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            faults.append(f"{value.name} is not float32")
        if batch != "b":
            faults.append(f"the batch of {value.name} is fixed at {batch}")
        if value.name in shapes and tuple(rest) != shapes[value.name]:
            faults.append(
                f"{value.name} is {in_brackets(('b', *rest))} and not {in_brackets(('b', *shapes[value.name]))}"
            )
    free = "the batch, and the height and width of images, are" if ("h" in shapes.get("image", ())) else "the batch is"
    return _check("axes", faults, f"{free} dynamic, the others are as in PyTorch")


def _arithmetic(proto: onnx.ModelProto, config: SharedConfig) -> Check:
    ops = Counter(node.op_type for node in proto.graph.node)
    foreign = "timm" in (
        part.name.partition(":")[0] for part in (config.backbone, getattr(config, "context", None) or config)
    )
    if foreign and sum(ops.pop(op, 0) for op in SHAPES):
        return _check("plain arithmetic", _unwanted(ops), "no shape arithmetic except in the network of timm")
    return _check("plain arithmetic", _unwanted(ops), "no shape arithmetic, control flow or randomness")


def _unwanted(ops: Counter[str]) -> list[str]:
    return [f"{ops[op]} {op} ({why})" for why, names in UNWANTED.items() for op in names if ops[op]]


def _sampling(proto: onnx.ModelProto, config: SharedConfig) -> Check:
    locator = getattr(config, "locator", None)
    drawn = {"zeros"} if config.draws else set()  # beside a sketch there is nothing
    usual = "border" if getattr(locator, "antialias", False) else "zeros"  # of filters, which have no choice
    paddings = {getattr(locator, "padding", usual)} | drawn
    faults = set()
    samplers = [node for node in proto.graph.node if node.op_type == "GridSample"]
    for node in samplers:
        has = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        mode = _text(has.get("mode", b"linear"))
        if mode not in ("bilinear", "linear"):
            faults.add(f"sampling is {mode!r} and not bilinear")
        if bool(has.get("align_corners", 0)) != getattr(locator, "align_corners", False):
            faults.add(f"align_corners is not {getattr(locator, 'align_corners', False)}, as the locator's")
        padding = _text(has.get("padding_mode", b"zeros"))
        if padding not in paddings:
            faults.add(f"padding is {padding!r} and not {' or '.join(map(repr, sorted(paddings)))}")
    return _check("sampling", sorted(faults), f"{len(samplers)} bilinear samplers" if samplers else "by products")


def _text(value: object) -> str:
    """Return an attribute as text, whatever a file holds in its place."""
    return value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else repr(value)


def _used(proto: onnx.ModelProto) -> Check:
    used = {name for node in proto.graph.node for name in node.input} | {v.name for v in proto.graph.output}
    idle = [value.name for value in proto.graph.input if value.name not in used]
    idle += [tensor.name for tensor in proto.graph.initializer if tensor.name not in used]
    return _check("inputs", [f"{name} is not used" for name in idle], "each input and each weight is used")


def _shared(proto: onnx.ModelProto) -> Check:
    large = [(t.data_type, *t.dims, t.raw_data) for t in proto.graph.initializer if len(t.raw_data) > 64]
    twice = len(large) - len(set(large))
    faults = [f"{twice} weights are stored more than once"] if twice else []
    return _check("sharing", faults, "each weight is stored once")


def _kernels(proto: onnx.ModelProto, device: str) -> Check:
    """Whether a GPU runs every node; on the CPU that does not matter."""
    missing = [f"none for {node}" for node in kernels.without_kernel(proto)]
    if len(missing) > TOLD:
        counted = Counter(fault.partition("(")[0] for fault in missing)
        missing = [f"{fault} ({count} nodes)" for fault, count in counted.items()]
    fine = f"one for each node in onnxruntime-gpu {kernels.table()['onnxruntime']}"
    return replace(_check("CUDA kernels", missing, fine), severity="warning" if device == "cpu" else "error")
