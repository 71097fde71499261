"""Batch normalisation goes into the convolution before it, once for all glimpses."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from torch import nn

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
