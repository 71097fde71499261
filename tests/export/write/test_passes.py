"""Batch normalisation goes into the convolution before it, once for all glimpses."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from torch import nn

from stawm.errors import ExportError
from stawm.export.graphs.graph import Graph, State
from stawm.export.write.passes import clean
from stawm.export.write.tracing import trace


class Twice(Graph):
    """The same block on two halves of an input, as a glimpse network runs at each glimpse."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.inputs, self.outputs = ("image",), ("first", "second")

    def compute(self, given: State) -> State:
        a, b = given["image"].split(3, dim=1)
        return {"first": self.block(a), "second": self.block(b)}


def random_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        assert tensor is not None
        tensor.uniform_(0.5, 2)
    return norm


BLOCKS = {
    "conv": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), random_norm(4), nn.ReLU()),
    "conv without bias": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), random_norm(4)),
    "grouped": lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3, bias=False), random_norm(6)),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2), random_norm(4)),
    "grouped and transposed": lambda: nn.Sequential(nn.ConvTranspose2d(3, 6, 3, groups=3), random_norm(6)),
    "used twice": lambda: Branch(),
}


class Branch(nn.Module):
    """A convolution that something else sees too, so that nothing may be folded into it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), random_norm(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y + self.norm(y)


@pytest.mark.parametrize("name", BLOCKS)
def test_folding_changes_no_value(name: str) -> None:
    graph = Twice(BLOCKS[name]()).eval()
    image = torch.randn(2, 6, 5, 5)
    traced = trace(graph, {"image": image}, 18)
    before = run(ir.to_proto(traced), image)
    clean(traced)
    proto = ir.to_proto(traced)
    onnx.checker.check_model(proto, full_check=True)
    kept = name in ("used twice", "grouped and transposed")
    assert ("BatchNormalization" in {node.op_type for node in proto.graph.node}) == kept
    for a, b in zip(before, run(proto, image), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    large = [t for t in proto.graph.initializer if len(t.dims) == 4]
    assert len(large) == 1


def run(proto: onnx.ModelProto, image: torch.Tensor) -> Any:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["first", "second"], {"image": image.numpy()})


def test_where_files_come_from_is_left_out() -> None:
    traced = trace(Twice(BLOCKS["conv"]()), {"image": torch.randn(2, 6, 5, 5)}, 18)
    clean(traced)
    assert b"test_passes" not in ir.to_proto(traced).SerializeToString()


def parsed(body: str, inputs: str, outputs: str) -> ir.Model:
    """A graph in ONNX's own notation, with all its types and shapes."""
    proto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 18]> g ({inputs}) => ({outputs}) {{ {body} }}'
    )
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


HALF, SINGLE = "to = 10", "to = 1"


@pytest.mark.parametrize(
    ("given", "there", "back", "kept"),
    [
        ("float", HALF, SINGLE, ["Relu", "Cast", "Cast", "Relu"]),  # rounds
        ("double", SINGLE, "to = 11", ["Relu", "Cast", "Cast", "Relu"]),  # rounds
        ("float16", SINGLE, HALF, ["Relu", "Relu"]),
        ("float", "to = 11", SINGLE, ["Relu", "Cast", "Cast", "Relu"]),  # would be exact, and is never written
        ("float", "to = 7", SINGLE, ["Relu", "Cast", "Cast", "Relu"]),  # drops what is behind the point
        ("float16", SINGLE, "to = 11", ["Relu", "Cast", "Cast", "Relu"]),  # two casts make a third
        ("float", SINGLE, SINGLE, ["Relu", "Relu"]),
    ],
)
def test_only_casts_that_lose_nothing_are_taken_out(given: str, there: str, back: str, kept: list[str]) -> None:
    gives = {"to = 1": "float", "to = 10": "float16", "to = 11": "double"}[back]
    body = f"a = Relu (x)  c = Cast <{there}> (a)  d = Cast <{back}> (c)  y = Relu (d)"
    model = parsed(body, f"{given}[b, 4] x", f"{gives}[b, 4] y")
    clean(model)
    assert operators(model) == kept


def test_a_value_rounded_to_half_precision_stays_rounded() -> None:
    model = parsed("c = Cast <to = 10> (x)  d = Cast <to = 1> (c)  y = Neg (d)", "float[b] x", "float[b] y")
    clean(model)
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"])
    y: Any = session.run(["y"], {"x": np.array([1 + 2**-12, 2.0], dtype=np.float32)})[0]
    assert y.tolist() == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("node", "idle"),
    [
        ("Identity (a)", True),
        ("Reshape (a, same)", True),
        ("Reshape (a, flat)", False),
        ("Expand (a, same)", True),
        ("Expand (a, wide)", False),
        ("Neg (a)", False),
    ],
)
def test_nodes_that_give_what_they_are_given_are_taken_out(node: str, idle: bool) -> None:
    constants = (
        "same = Constant <value_ints = [2, 3]> ()  flat = Constant <value_ints = [6, 1]> ()"
        "  wide = Constant <value_ints = [5, 2, 3]> ()"
    )
    rank = "6, 1" if "flat" in node else "5, 2, 3" if "wide" in node else "2, 3"
    model = parsed(f"{constants} a = Relu (x)  i = {node}  y = Relu (i)", "float[2, 3] x", f"float[{rank}] y")
    clean(model)
    assert [op for op in operators(model) if op != "Constant"] == ["Relu", *([] if idle else [node.split()[0]]), "Relu"]


def test_an_output_keeps_its_name() -> None:
    model = parsed("a = Relu (x)  y = Identity (a)", "float[b] x", "float[b] y")
    clean(model)
    assert [value.name for value in model.graph.outputs] == ["y"]
    assert model.graph.name == "stawm"


def test_what_is_computed_twice_is_computed_once() -> None:
    model = parsed("a = Exp (x)  b = Exp (x)  y = Add (a, b)", "float[n] x", "float[n] y")
    clean(model)
    assert operators(model) == ["Exp", "Add"]


@pytest.mark.parametrize(("epsilon", "kernels"), [(1e-5, 1), (1e-2, 2)])
def test_folded_weights_are_shared_where_all_is_the_same(epsilon: float, kernels: int) -> None:
    """Two normalisations of one convolution's weight: the same fold once, others by themselves."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 4, 3), random_norm(4)
    other = random_norm(4)
    other.load_state_dict(norm.state_dict())
    other.eps = epsilon
    graph = Pair(conv, norm, other).eval()
    image = torch.randn(2, 6, 5, 5)
    traced = trace(graph, {"image": image}, 18)
    before = run(ir.to_proto(traced), image)
    clean(traced)
    proto = ir.to_proto(traced)
    assert sum(len(t.dims) == 4 for t in proto.graph.initializer) == kernels
    for a, b in zip(before, run(proto, image), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


class Pair(Twice):
    """One convolution, normalised in two ways."""

    def __init__(self, conv: nn.Module, first: nn.Module, second: nn.Module) -> None:
        super().__init__(conv)
        self.first, self.second = first, second

    def compute(self, given: State) -> State:
        a, b = given["image"].split(3, dim=1)
        return {"first": self.first(self.block(a)), "second": self.second(self.block(b))}


@pytest.mark.parametrize("opset", [18, 26])
def test_the_opset_is_the_one_that_is_asked_for(opset: int) -> None:
    traced = trace(Twice(nn.ReLU()), {"image": torch.randn(2, 6, 5, 5)}, opset)
    assert traced.opset_imports[""] == opset


def test_the_cause_of_a_failure_is_told() -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match=r"PyTorch cannot export block \(Branching\), at .*: [A-Za-z]+: "):
        trace(Twice(Branching()), {"image": torch.randn(2, 6, 5, 5)}, 18)
