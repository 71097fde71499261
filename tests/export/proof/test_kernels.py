"""What the CUDA provider has a kernel for, told from its own table."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from stawm.export.proof.kernels import has_kernel, table, without_kernel

FLOAT, HALF, LONG = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64


def model(nodes: list[onnx.NodeProto], inputs: dict[str, Any], outputs: dict[str, int], opset: int) -> onnx.ModelProto:
    given = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    gives = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()]
    return helper.make_model(
        helper.make_graph(nodes, "g", given, gives), opset_imports=[helper.make_opsetid("", opset)]
    )


def sampling(kind: int, opset: int) -> onnx.ModelProto:
    node = helper.make_node("GridSample", ["x", "grid"], ["y"])
    return model([node], {"x": (kind, [1, 1, 4, 4]), "grid": (kind, [1, 2, 2, 2])}, {"y": kind}, opset)


@pytest.mark.parametrize("opset", [18, 20, 22])
def test_sampling_has_a_kernel_in_single_precision_alone(opset: int) -> None:
    assert without_kernel(sampling(FLOAT, opset)) == []
    assert without_kernel(sampling(HALF, opset)) == ["GridSample(float16, float16, float16) at y"]


def test_affine_grids_have_none() -> None:
    node = helper.make_node("AffineGrid", ["theta", "size"], ["y"])
    proto = model([node], {"theta": (FLOAT, [1, 2, 3]), "size": (LONG, [4])}, {"y": FLOAT}, 20)
    assert without_kernel(proto) == ["AffineGrid(float, int64, float) at y"]


def test_a_kernel_without_a_last_version_serves_its_first_alone() -> None:
    """Elu's is for the version of opset 6, which lasts until a new one comes with opset 22."""
    elu = helper.make_node("Elu", ["x"], ["y"])
    assert without_kernel(model([elu], {"x": (FLOAT, [2])}, {"y": FLOAT}, 21)) == []
    assert without_kernel(model([elu], {"x": (FLOAT, [2])}, {"y": FLOAT}, 22)) == ["Elu(float, float) at y"]


def test_the_last_of_many_inputs_counts_for_all() -> None:
    concat = helper.make_node("Concat", ["x", "y", "z"], ["w"], axis=0)
    inputs = {name: (FLOAT, [1]) for name in "xyz"}
    assert without_kernel(model([concat], inputs, {"w": FLOAT}, 18)) == []


def test_operators_of_other_domains_have_none() -> None:
    assert not has_kernel(helper.make_node("Gelu", ["x"], ["y"], domain="com.example"), 18, {})


def test_the_table_is_of_a_version_and_small() -> None:
    path = Path(__file__).parents[3] / "stawm" / "export" / "proof" / "cuda_kernels.json"
    assert path.stat().st_size < 60_000
    assert json.loads(path.read_text()) == table()
    assert table()["onnxruntime"].count(".") == 2
