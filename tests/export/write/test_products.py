"""The passes that turn products and convolutions into int8, on graphs made by hand."""

from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_ir.passes import common

from stawm.export.write.convolutions import STEPS, grid, layers, measured, quantise_convolutions
from stawm.export.write.products import LARGEST, as_product, quantise_products, quantised


def value(name: str, shape: list[Any], array: np.ndarray | None = None) -> ir.Value:
    held = None if array is None else ir.tensor(array, name=name)
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT), const_value=held)


def graph_of(x: ir.Value, constants: list[ir.Value], nodes: list[ir.Node], shape: list[Any]) -> ir.Model:
    out = nodes[-1].outputs[0]
    out.name, out.type, out.shape = "y", ir.TensorType(ir.DataType.FLOAT), ir.Shape(shape)
    graph = ir.Graph([x], [out], nodes=nodes, initializers=constants, opset_imports={"": 18}, name="g")
    return ir.Model(graph, ir_version=8)


def run(model: ir.Model, x: np.ndarray) -> np.ndarray:
    common.RemoveUnusedNodesPass()(model)
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def gemm(weight: np.ndarray, bias: np.ndarray, **attributes: Any) -> ir.Model:
    x, w, b = value("x", ["b", 5]), value("w", list(weight.shape), weight), value("c", list(bias.shape), bias)
    return graph_of(x, [w, b], [ir.node("Gemm", [x, w, b], attributes)], ["b", len(bias)])


def naive_product(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A product of bytes, number by number, as ONNX defines it."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    unit = np.float32((high - low) / 255) if high > low else np.float32(1)
    zero = np.clip(np.rint(-low / unit), 0, 255)
    whole = np.clip(np.rint(x / unit) + zero, 0, 255) - zero
    found = np.zeros((len(x), weight.shape[1]))
    for column in range(weight.shape[1]):
        greatest = np.abs(weight[:, column]).max()
        one = np.float32(greatest / LARGEST) if greatest > 0 else np.float32(1)
        ints = np.rint(weight[:, column] / one)
        for row in range(len(x)):
            found[row, column] = sum(whole[row, k] * ints[k] for k in range(len(ints))) * float(unit) * float(one)
    return found


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_product_is_its_naive_twin(transposed: int) -> None:
    weight, bias, x = drawn(5, 4), drawn(4, seed=1), drawn(3, 5, seed=2)
    model = gemm(weight.T.copy() if transposed else weight, bias, transB=transposed)
    assert quantise_products(model.graph, set(model.graph)) == 1
    np.testing.assert_allclose(run(model, x), naive_product(x, weight) + bias, rtol=1e-5, atol=1e-5)


@given(seed=st.integers(0, 2**20), rows=st.integers(1, 4), scale=st.floats(1e-3, 1e3))
def test_a_product_is_off_by_no_more_than_both_roundings(seed: int, rows: int, scale: float) -> None:
    weight, x = drawn(5, 4, seed=seed) * np.float32(scale), drawn(rows, 5, seed=seed + 1)
    unit = (max(x.max(), 0) - min(x.min(), 0)) / 255
    units = np.abs(weight).max(axis=0) / LARGEST
    # Each of 5 terms is (x + a)(w + b): |a| is up to a unit, as the zero point is rounded too, |b| to half of one.
    bound = (unit * np.abs(weight) + units / 2 * np.abs(x).max() + unit * units / 2).sum(axis=0)
    assert np.all(np.abs(naive_product(x, weight) - x.astype(float) @ weight.astype(float)) <= bound * (1 + 1e-3))


def test_a_weight_of_many_uses_is_stored_once_also_behind_a_transpose() -> None:
    weight, x = drawn(5, 5), value("x", ["b", 5])
    w = value("w", [5, 5], weight)
    turned = ir.node("Transpose", [w], {"perm": [1, 0]})
    first = ir.node("MatMul", [x, turned.outputs[0]])
    second = ir.node("MatMul", [first.outputs[0], turned.outputs[0]])
    third = ir.node("Gemm", [second.outputs[0], w], {"transB": 1})
    model = graph_of(x, [w], [turned, first, second, third], ["b", 5])
    assert quantise_products(model.graph, set(model.graph)) == 3
    given = drawn(2, 5, seed=1)
    found = run(model, given)
    whole = [name for name, held in model.graph.initializers.items() if held.dtype == ir.DataType.INT8]
    assert len(whole) == 1
    expected = naive_product(naive_product(naive_product(given, weight.T), weight.T), weight.T)
    np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.3)


@pytest.mark.parametrize("attributes", [{"alpha": 0.5}, {"beta": 2.0}, {"transA": 1}])
def test_what_is_no_plain_product_stays(attributes: dict[str, Any]) -> None:
    model = gemm(drawn(5, 4), drawn(4), **attributes)
    assert as_product(model.graph[0]) is None
    assert quantise_products(model.graph, set(model.graph)) == 0


def test_nodes_that_are_not_named_stay() -> None:
    model = gemm(drawn(5, 4), drawn(4))
    assert quantise_products(model.graph, set()) == 0
    assert [node.op_type for node in model.graph] == ["Gemm"]


@given(seed=st.integers(0, 2**20))
def test_a_weight_is_rounded_to_the_nearest_and_zeros_stay(seed: int) -> None:
    weight = drawn(6, 3, seed=seed)
    weight[:, 1] = 0
    whole, scale = quantised(weight, 1)
    assert np.all(np.abs(whole * scale - weight) <= scale / 2 * (1 + 1e-5))
    assert np.all(whole[:, 1] == 0)
    assert np.abs(whole[:, [0, 2]]).max(axis=0).tolist() == [LARGEST, LARGEST]


@given(low=st.floats(-50, 50), high=st.floats(-50, 50))
def test_zero_is_a_byte_and_the_ends_are_covered(low: float, high: float) -> None:
    low, high = sorted((low, high))
    scale, zero = grid((low, high))
    least, most = (0 - float(zero)) * float(scale), (STEPS - float(zero)) * float(scale)
    assert 0 <= int(zero) <= STEPS
    assert least <= min(low, 0) + float(scale) * 0.51
    assert most >= max(high, 0) - float(scale) * 0.51


def two_convolutions() -> tuple[ir.Model, np.ndarray, np.ndarray]:
    """One kernel, used twice, as glimpses do, with ReLU between."""
    kernel, bias = drawn(2, 2, 3, 3, seed=3), drawn(2, seed=4)
    x, w, b = value("x", ["b", 2, 6, 6]), value("w", [2, 2, 3, 3], kernel), value("c", [2], bias)
    first = ir.node("Conv", [x, w, b], {"pads": [1, 1, 1, 1]})
    cut = ir.node("Relu", [first.outputs[0]])
    second = ir.node("Conv", [cut.outputs[0], w, b], {"pads": [1, 1, 1, 1]})
    last = ir.node("Relu", [second.outputs[0]])
    model = graph_of(x, [w, b], [first, cut, second, last, ir.node("Neg", [last.outputs[0]])], ["b", 2, 6, 6])
    return model, kernel, bias


def test_convolutions_are_near_and_store_kernel_bias_and_ranges_once() -> None:
    model, _, _ = two_convolutions()
    given = drawn(3, 2, 6, 6, seed=5)
    expected = run(model, given)
    named = measured(layers(set(model.graph), model.graph))
    assert list(named) == ["w:out", "w:in"]
    assert len(named["w:out"]) == 2
    greatest = float(np.abs(expected).max())
    ranges = {"w:out": (0.0, greatest), "w:in": (float(given.min()), float(given.max()))}
    assert quantise_convolutions(model.graph, set(model.graph), ranges) == 2
    found = run(model, given)
    assert sum(held.dtype == ir.DataType.INT8 for held in model.graph.initializers.values()) == 1
    assert sum(held.dtype == ir.DataType.INT32 for held in model.graph.initializers.values()) == 1
    assert not np.array_equal(found, expected)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.02 * greatest


def test_what_is_beyond_its_range_is_cut_off() -> None:
    model, _, _ = two_convolutions()
    ranges = {"w:out": (0.0, 1.0), "w:in": (-1.0, 1.0)}
    quantise_convolutions(model.graph, set(model.graph), ranges)
    found = run(model, 100 * drawn(3, 2, 6, 6, seed=5))
    assert np.abs(found).max() == pytest.approx(1.0, abs=1e-6)
