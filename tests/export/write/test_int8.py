"""Graphs in int8: exported, read, run and verified as any other, and refused where they are not the model's."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import stawm
from stawm.errors import ExportError, InputError
from stawm.export import Bounds, VerificationError, inspect, to_onnx, verify
from stawm.export.graphs.fields import available
from stawm.export.serve import arrays
from stawm.export.write.products import LARGEST
from stawm.models.model import Model
from tests.export.broken import broken, set_metadata, set_weight
from tests.export.opened import answers, opened
from tests.shared import once
from tests.small import inputs, shaken, tiny

IN_FLOAT = ("loop.emitter.", "loop.inverse_emitter.", "loop.what.", "loop.where.", "memory.")
"""What of a model stays in float32."""
LENIENT = Bounds(agreement=0.8, worse=1)
"""A model of 12 numbers with weights drawn at random decides some images by a hair."""


@pytest.fixture(scope="module")
def model() -> Any:
    """A model that classifies and draws, whose products are not too small to be rounded."""
    return shaken(tiny()).eval()


def images(model: Model, count: int = 40, seed: int = 3) -> torch.Tensor:
    return model.normalise(inputs(model, count, seed)[0])


@pytest.fixture(scope="module")
def static(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All glimpses in one file, convolutions in int8 too, and its report."""
    options: Any = {"images": images(model), "labels": model(images(model)).logits.argmax(dim=1), "bounds": LENIENT}
    calibration = images(model, seed=4)
    options |= {"precision": "int8", "outputs": available(model), "calibration": calibration, "sidecar": True}

    def make(folder: Path) -> Any:
        return folder / "m.onnx", to_onnx(model, folder / "m.onnx", **options)

    return once(tmp_path_factory, "static", make)


@pytest.fixture(scope="module")
def steps(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Glimpse by glimpse, convolutions in int8 too."""
    trial: Any = {"images": images(model), "calibration": images(model, seed=4), "bounds": LENIENT}

    def make(folder: Path) -> Path:
        to_onnx(model, folder / "m", graph="step", precision="int8", outputs=["logits", "canvas", "pose"], **trial)
        return folder / "m"

    return once(tmp_path_factory, "int8-steps", make)


def weights(path: Path) -> dict[str, np.ndarray]:
    proto = onnx.load_model_from_string(path.read_bytes())
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def operators(path: Path) -> dict[str, int]:
    return dict(next(iter(inspect(path).nodes.values())))


def test_products_and_convolutions_are_in_int8(static: Any) -> None:
    ops = operators(static[0])
    assert ops["MatMulInteger"] >= 3 * 3  # at each of 3 glimpses two RNNs, of which one has a past at first
    assert ops["QuantizeLinear"] > 0
    stored = weights(static[0])
    kernels = [name for name in stored if "conv.weight" in name and name.endswith(".int8")]
    assert kernels
    assert all(stored[name].dtype == np.int8 for name in kernels)


def test_each_weight_is_stored_once_for_all_glimpses(static: Any) -> None:
    whole = [value for value in weights(static[0]).values() if value.dtype == np.int8]
    assert len([value for value in whole if value.shape == (12, 48)]) == 4  # two of each RNN
    assert len({value.tobytes() for value in whole}) == len(whole)


def test_what_rounding_makes_equal_is_stored_once(static: Any) -> None:
    stored = [(value.dtype, value.shape, value.tobytes()) for value in weights(static[0]).values()]
    assert len(set(stored)) == len(stored)


def test_poses_what_where_and_memory_stay_in_float32(static: Any) -> None:
    for name, value in weights(static[0]).items():
        path = name.removeprefix("model.")
        if path.startswith(IN_FLOAT):
            assert value.dtype == np.float32, name


def test_weights_leave_room_for_processors_that_add_in_16_bits(static: Any) -> None:
    assert np.iinfo(np.int16).max >= 2 * 255 * LARGEST
    for name, value in weights(static[0]).items():
        if value.dtype == np.int8:
            assert np.abs(value.astype(int)).max() <= LARGEST, name


def test_the_operators_are_onnx_s_own(static: Any) -> None:
    proto = onnx.load_model_from_string(static[0].read_bytes())
    assert {node.domain for node in proto.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]


def test_the_report_says_how_far_it_is(static: Any) -> None:
    said = {check.name: check.detail for check in static[1].checks}
    assert static[1].ok
    assert (static[1].precision, static[1].comparisons) == ("int8", ())
    assert "of 40 images" in said["agreement"]
    assert "within 0.25 for" in said["poses"]
    assert "within 0.05 for" in said["canvases"]
    assert "the model's 0.00%; 100 points more are allowed" in said["error"]
    assert "alone an image's probabilities are within" in said["company"]
    assert "none for DynamicQuantizeLinear" in said["CUDA kernels"]
    assert "real images" not in said


def test_it_is_near_its_model_and_not_equal_to_it(model: Any, static: Any) -> None:
    pixels = inputs(model, 20, 9)[0]
    found, expected = opened(static[0])(pixels), answers(model, pixels)
    for ours, theirs in ((found.logits.exp(), expected.logits.exp()), (found.canvas, expected.canvas)):
        torch.testing.assert_close(ours, theirs, atol=0.15, rtol=0)
        assert not torch.equal(ours, theirs)


def test_the_steps_give_what_the_rollout_gives(model: Any, static: Any, steps: Path) -> None:
    """Both are rounded at the same places, by the same ranges: only what decides a tie of rounding may differ."""
    pixels = inputs(model, 20, 9)[0]
    once, by_step = opened(static[0])(pixels), opened(steps)(pixels)
    torch.testing.assert_close(by_step.logits, once.logits, atol=0.05, rtol=0.05)
    torch.testing.assert_close(by_step.trace.pose, once.trace.pose, atol=0.02, rtol=0)
    looked = opened(steps).look(pixels, until=1.0)
    torch.testing.assert_close(looked.logits, by_step.logits, atol=1e-4, rtol=1e-4)


def test_steps_and_rollout_have_the_same_ranges_and_weights(static: Any, steps: Path) -> None:
    ranges = inspect(static[0]).info.ranges
    assert ranges
    assert all(low <= high for low, high in ranges.values())
    own = inspect(steps).info.ranges
    assert own is not None
    assert own.keys() == ranges.keys()
    for name, (low, high) in ranges.items():
        assert own[name] == pytest.approx((low, high), rel=1e-4, abs=1e-5)
    whole = {value.tobytes() for value in weights(static[0]).values() if value.dtype == np.int8}
    parts = [value for part in steps.iterdir() for value in weights(part).values() if value.dtype == np.int8]
    assert {value.tobytes() for value in parts} == whole


@pytest.mark.parametrize("kind", ["rollout", pytest.param("steps", marks=pytest.mark.long)])
def test_it_is_verified_node_by_node(kind: str, model: Any, static: Any, steps: Path) -> None:
    path = {"rollout": static[0], "steps": steps}[kind]
    report = verify(path, model, images=images(model), bounds=LENIENT)
    assert {check.name for check in report.checks if check.ok} >= {"fresh export", "agreement", "poses"}


@pytest.mark.parametrize("name", ["model.loop.glimpse_down.weight.int8", "what"])
def test_an_altered_weight_is_found(name: str, model: Any, static: Any, tmp_path: Path) -> None:
    def alter(proto: onnx.ModelProto) -> None:
        there = [t.name for t in proto.graph.initializer]
        chosen = name if name in there else next(n for n in there if numpy_of(proto, n).shape == (12, 8))
        set_weight(proto, chosen, lambda array: np.where(np.arange(array.size).reshape(array.shape) == 5, 1, array))

    altered = broken(static[0], tmp_path / "m.onnx", alter)
    with pytest.raises(VerificationError, match=r"fresh export: .*differ"):
        verify(altered, model, images=images(model), bounds=LENIENT)


def numpy_of(proto: onnx.ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(t for t in proto.graph.initializer if t.name == name))


def test_ranges_of_another_model_are_refused(model: Any, static: Any, tmp_path: Path) -> None:
    def rename(proto: onnx.ModelProto) -> None:
        set_metadata(proto, "stawm.graph", lambda text: text.replace(".0.conv.weight:in", ".7.conv.weight:in"))

    other = broken(static[0], tmp_path / "m.onnx", rename)
    with pytest.raises(VerificationError, match=r"There is no range for .*: the ranges were measured on another model"):
        verify(other, model, images=images(model), bounds=LENIENT)


def test_a_graph_that_fails_is_not_written_and_the_report_says_by_how_much(model: Any, tmp_path: Path) -> None:
    strict = Bounds(agreement=1, pose=1e-6)
    with pytest.raises(
        VerificationError, match=r"poses: within 1e-06 for \d+ of 40 images .*; the median is"
    ) as raised:
        to_onnx(model, tmp_path / "m.onnx", precision="int8", images=images(model), bounds=strict)
    assert not raised.value.report.ok
    assert list(tmp_path.iterdir()) == []


def test_without_images_it_is_tried_with_some_that_are_made(model: Any, tmp_path: Path) -> None:
    report = to_onnx(model, tmp_path / "m.onnx", precision="int8", outputs=["logits"])
    assert [check.name for check in report.warnings] == ["CUDA kernels", "real images"]
    assert "give images" in report.warnings[1].detail
    assert inspect(tmp_path / "m.onnx").info.ranges is None
    assert "QuantizeLinear" not in operators(tmp_path / "m.onnx")
    halves = {name for name, value in weights(tmp_path / "m.onnx").items() if value.dtype == np.float16}
    assert all(".conv.weight" in name for name in halves)


def test_a_model_of_convolutions_alone_needs_images(tmp_path: Path) -> None:
    plain: Any = {"backbone": {"name": "conv", "layers": "4@3/2 8@3/2"}, "image": (1, 12, 12), "class_names": []}
    baseline = stawm.build("mnv2-cifar", seed=0, mean=[0.0], std=[1.0], **plain).eval()
    with pytest.raises(InputError, match=r"only by kernels of convolutions, .*: give calibration, some hundred images"):
        to_onnx(baseline, tmp_path / "m.onnx", precision="int8")
    assert list(tmp_path.iterdir()) == []
    shown = torch.rand(30, 1, 12, 12)
    trial: Any = {"calibration": shown, "images": shown, "bounds": Bounds(agreement=0.8)}
    assert to_onnx(baseline, tmp_path / "m.onnx", precision="int8", **trial).ok
    assert operators(tmp_path / "m.onnx")["QuantizeLinear"] == 3


LEGAL = {"precision": "int8", "images": torch.zeros(4, 1, 12, 12)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calibration": torch.zeros(4, 1, 8, 8)}, r"takes float32 images of shape \(b, 1, 12, 12\)"),
        ({"calibration": torch.zeros(0, 1, 12, 12)}, "calibration must hold at least one image"),
        ({"calibration": torch.full((2, 1, 12, 12), torch.nan)}, "calibration must hold .* finite numbers only"),
        ({"calibration": torch.zeros(4, 1, 12, 12), "precision": "fp32"}, "in int8; precision is 'fp32'"),
        ({"images": torch.zeros(0, 1, 12, 12)}, "images must hold at least one image; got none"),
        ({"images": None, "labels": torch.zeros(4).long()}, "labels were given, and no images"),
        ({"labels": torch.zeros(3).long()}, r"for each of 4 images; got torch.int64 of shape \(3,\)"),
        ({"labels": torch.zeros(4)}, "for each of 4 images; got torch.float32"),
    ],
)
def test_bad_input_is_refused_before_anything_is_traced(options: Any, said: str, model: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        to_onnx(model, tmp_path / "m.onnx", **{**LEGAL, **options})
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_a_gpu_it_is_run_on_the_cpu(static: Any, rollout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no kernels for it on a GPU."""
    chosen: list[str] = []
    monkeypatch.setattr(arrays, "choose_device", lambda device: chosen.append(device) or "cpu")
    assert opened(static[0], device="auto").device == "cpu"
    assert chosen == []
    opened(rollout, device="auto")
    opened(static[0], device="cpu")
    assert chosen == ["auto", "cpu"]


def test_ranges_of_another_precision_are_refused(static: Any, tmp_path: Path) -> None:
    for old, new, said in (
        ('"int8"', '"fp32"', "there are ranges in 'fp32'"),
        ('"ranges": {', '"ranges": {"x": [2, 1], ', "ranges are no pairs of numbers by name"),
        ('"ranges": {', '"ranges": {"x": [0, null], ', "ranges are no pairs of numbers by name"),
        ('"ranges": {', '"ranges": [], "x": {', "ranges are no pairs of numbers by name"),
    ):
        lie = broken(
            static[0], tmp_path / "m.onnx", lambda p, a=old, b=new: set_metadata(p, "stawm.graph", replaced(a, b))
        )
        with pytest.raises(ExportError, match=said):
            inspect(lie)


def replaced(old: str, new: str) -> Any:
    return lambda text: text.replace(old, new, 1)
