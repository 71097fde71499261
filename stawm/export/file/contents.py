"""What the file of a graph may be made of; whatever else it holds is refused before anything reads it for its meaning.

The list is one of what is allowed, for messages of protobuf as for operators: what ONNX adds tomorrow is refused
until it is listed. So there is no graph inside a node, no function, no sparse tensor and no string, nothing that
is stored outside the file, and no operator that loops, draws random numbers, or whose output has a size that
depends on values.
"""

import re
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from onnx import TensorProto

from stawm.errors import ExportError
from stawm.export.file.form import NAME

MAX_NODES = 2**17
"""The most nodes of a graph; the largest that ship with stawm have some hundreds."""
MESSAGES = {
    *("ModelProto", "GraphProto", "NodeProto", "AttributeProto", "TensorProto", "ValueInfoProto"),
    *("TypeProto", "TypeProto.Tensor", "TensorShapeProto", "TensorShapeProto.Dimension"),
    *("OperatorSetIdProto", "StringStringEntryProto"),
}
OPERATORS = frozenset(
    re.findall(
        r"\w+",
        """
        Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitwiseAnd
        BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose
        Cos Cosh CumSum DepthToSpace DequantizeLinear Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike
        Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater
        GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf
        IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul
        MatMulInteger Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg Not OneHot Or PRelu Pad Pow
        QuantizeLinear RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
        ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND
        Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze
        Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor
        """,
    )
)
STORED: Mapping[int, tuple[int, str]] = {
    TensorProto.FLOAT: (4, "float_data"),
    TensorProto.DOUBLE: (8, "double_data"),
    TensorProto.FLOAT16: (2, "int32_data"),
    TensorProto.BFLOAT16: (2, "int32_data"),
    TensorProto.INT8: (1, "int32_data"),
    TensorProto.INT16: (2, "int32_data"),
    TensorProto.INT32: (4, "int32_data"),
    TensorProto.INT64: (8, "int64_data"),
    TensorProto.UINT8: (1, "int32_data"),
    TensorProto.UINT16: (2, "int32_data"),
    TensorProto.UINT32: (4, "uint64_data"),
    TensorProto.UINT64: (8, "uint64_data"),
    TensorProto.BOOL: (1, "int32_data"),
}
"""The types of tensors: the bytes of a number, and where numbers are kept that are not kept as raw bytes."""
DATA = ("raw_data", *sorted({field for _, field in STORED.values()}))
_TERM = r"[A-Za-z]*(\.{3})?[A-Za-z]*"
EQUATION = re.compile(rf"{_TERM}(,{_TERM})*(->{_TERM})?")
"""What an Einsum may compute; of other equations ONNX's inference of shapes can fail to return."""


def check_contents(proto: onnx.ModelProto, path: Path) -> None:
    """Raise an ExportError unless a file is made of nothing but what stawm writes."""
    try:
        fault = next(_faults(proto), None)
    except (UnicodeDecodeError, RecursionError) as error:
        raise ExportError(f"{path} is damaged: its text cannot be read ({error}).") from error
    if fault is not None:
        raise ExportError(f"{path} {fault}")


def _faults(proto: onnx.ModelProto) -> Iterator[str]:
    """Yield what is wrong, each as the end of a sentence that begins with the file's name."""
    if len(proto.graph.node) > MAX_NODES:
        yield f"has {len(proto.graph.node):,} nodes, where at most {MAX_NODES:,} are read."
    for message in _messages(proto):
        yield from _of_message(message)
    yield from _opsets(proto)
    yield from _names(proto)


def _messages(message: Message) -> Iterator[Message]:
    """Yield a message and every message inside it, at any depth."""
    waiting = [message]
    while waiting:
        message = waiting.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += [value] if isinstance(value, Message) else value


def _of_message(message: Message) -> Iterator[str]:
    kind = message.DESCRIPTOR.full_name.partition(".")[2]
    if kind not in MESSAGES or len(UnknownFieldSet(message)):
        yield f"holds {kind if kind not in MESSAGES else 'unknown fields'}, which stawm never writes."
    if isinstance(message, onnx.NodeProto):
        yield from _of_node(message)
    if isinstance(message, onnx.AttributeProto) and (message.HasField("g") or message.graphs or message.ref_attr_name):
        yield f"holds a graph inside a node ({message.name}), or a reference to one; stawm writes plain nodes only."
    if isinstance(message, onnx.TensorProto):
        yield from _of_tensor(message)


def _of_node(node: onnx.NodeProto) -> Iterator[str]:
    if node.domain not in ("", "ai.onnx"):
        yield f"holds operators of the domain {node.domain!r}; stawm writes ONNX's own operators only."
    if node.op_type not in OPERATORS:
        yield f"holds the operator {node.op_type!r}, which no graph of stawm has: only plain operators on tensors."
    for attribute in node.attribute:
        if node.op_type == "Constant" and attribute.name.startswith(("value_string", "sparse")):
            yield "holds a constant that is no tensor of numbers, which stawm never writes."
        if node.op_type == "Einsum" and attribute.name == "equation":
            equation = attribute.s.decode("ascii", "replace").replace(" ", "")
            if not EQUATION.fullmatch(equation):
                yield f"holds an Einsum without a legal equation; got {equation!r}."


def _of_tensor(tensor: onnx.TensorProto) -> Iterator[str]:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        places = {entry.key: entry.value for entry in tensor.external_data}
        yield (
            f"asks for data outside itself ({places.get('location', '?')!r} for {tensor.name}); "
            "stawm writes a graph as one file and reads nothing else."
        )
    if tensor.data_type not in STORED:
        yield f"holds a tensor of the type {tensor.data_type} ({tensor.name}), which stawm never writes."
        return
    size, field = STORED[tensor.data_type]
    used = [name for name in DATA if len(getattr(tensor, name))]
    stored = len(tensor.raw_data) / size if used == ["raw_data"] else len(getattr(tensor, field))
    if min(tensor.dims, default=0) < 0 or stored != prod(tensor.dims) or not set(used) <= {"raw_data", field}:
        yield f"is damaged: the tensor {tensor.name!r} of shape {list(tensor.dims)} holds {stored:g} numbers."


def _opsets(proto: onnx.ModelProto) -> Iterator[str]:
    opsets = [(entry.domain, entry.version) for entry in proto.opset_import]
    last = onnx.defs.onnx_opset_version()
    if len(opsets) != 1 or opsets[0][0] not in ("", "ai.onnx") or not 1 <= opsets[0][1] <= last:
        yield f"is of the opsets {opsets}; stawm writes one of ONNX's own, and this onnx knows them up to {last}."
        return
    for op in sorted({node.op_type for node in proto.graph.node}):
        if not onnx.defs.has(op, opsets[0][1], ""):
            yield f"holds the operator {op!r}, which opset {opsets[0][1]} does not have."


def _names(proto: onnx.ModelProto) -> Iterator[str]:
    graph = proto.graph
    faces = [value.name for value in (*graph.input, *graph.output)]
    for name in faces:
        if not NAME.fullmatch(name):
            yield f"has an input or output of the name {name[:200]!r}, which is not legal."
    made = [value.name for value in graph.input] + [tensor.name for tensor in graph.initializer]
    made += [name for node in graph.node for name in node.output if name]
    if len(set(made)) < len(made):
        yield "is damaged: a name is given to more than one of its values."
    if len({value.name for value in graph.output}) < len(graph.output):
        yield "is damaged: it gives an output twice."
    keys = [entry.key for entry in proto.metadata_props]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        yield f"says {', '.join(twice)} twice."
