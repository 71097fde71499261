"""What is written for clients elsewhere: the oldest form that will do, weights in half, what a graph says of itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from stawm.errors import ExportError, InputError
from stawm.export import inspect, to_onnx, verify
from stawm.export.file import sealing
from stawm.export.graphs.fields import available, choose
from stawm.export.graphs.plan import Plan, make_graphs
from stawm.export.proof.report import Check, Report, VerificationError
from stawm.export.run.walk import roll
from stawm.export.write.passes import clean, store_as_halves
from tests.export.opened import answers, opened
from tests.shared import once
from tests.small import inputs, shaken, small, tiny


@pytest.fixture(scope="module")
def model() -> Any:
    """A model with weights that fp16 does not hold."""
    return shaken(tiny(heads="classification", glimpses=2)).eval()


@pytest.fixture(scope="module")
def halved(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model with weights in half, every output, a sidecar, judged on images; and the report."""
    images = model.normalise(inputs(model, batch=7)[0])
    options: Any = {"weights": "fp16", "outputs": "all", "sidecar": True, "images": images, "batches": (1, 3)}

    def make(folder: Path) -> Any:
        return folder / "m.onnx", to_onnx(model, folder / "m.onnx", **options)

    return once(tmp_path_factory, "halved", make)


def test_the_ir_version_is_the_lowest_that_the_opset_has(rollout: Path) -> None:
    """IR 8 came with opset 18, and ONNX Runtime 1.16 reads it."""
    proto = onnx.load(rollout)
    assert (proto.ir_version, proto.opset_import[0].version) == (8, 18)
    onnx.checker.check_model(proto, full_check=True)


def test_no_reshape_speaks_of_zeros(rollout: Path) -> None:
    reshapes = [node for node in onnx.load(rollout).graph.node if node.op_type == "Reshape"]
    assert reshapes
    assert not any(attribute.name == "allowzero" for node in reshapes for attribute in node.attribute)


def reshape(shape: list[int]) -> Any:
    sizes = ", ".join(map(str, shape))
    text = f"""<ir_version: 8, opset_import: ["": 18]> g (float[b, 4] x) => (float[a, c] y)
        <int64[{len(shape)}] s = {{{sizes}}}> {{ y = Reshape <allowzero = 1> (x, s) }}"""
    return ir.from_proto(onnx.parser.parse_model(text))


@pytest.mark.parametrize(("shape", "kept"), [([-1, 2], False), ([0, 2], True)])
def test_zeros_that_mean_something_are_kept(shape: list[int], kept: bool) -> None:
    traced = reshape(shape)
    clean(traced)
    (node,) = traced.graph
    assert ("allowzero" in node.attributes) == kept


def test_weights_in_half_are_computed_with_in_single(halved: Any) -> None:
    """Each is widened once, and nothing else is in half."""
    proto = onnx.load(halved[0])
    halves = {t.name for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    casts = [node for node in proto.graph.node if halves & {*node.input}]
    assert halves
    assert {node.op_type for node in casts} == {"Cast"}
    assert len(casts) == len(halves)
    computed = {name for node in proto.graph.node for name in node.output}
    types = [value for value in onnx.shape_inference.infer_shapes(proto).graph.value_info if value.name in computed]
    assert not any(value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16 for value in types)


def test_half_the_weights_are_half_the_file(halved: Any) -> None:
    """All but the folded convolutions and the short vectors."""
    arrays = [onnx.numpy_helper.to_array(t) for t in onnx.load(halved[0]).graph.initializer]
    in_half = sum(a.size for a in arrays if a.dtype == np.float16)
    assert in_half > 0.6 * sum(a.size for a in arrays if a.dtype in (np.float16, np.float32))


def test_the_graph_is_proved_as_tightly_as_any(halved: Any, model: Any) -> None:
    """Against the model with its weights rounded: tolerances are those of fp32."""
    _, report = halved
    assert report.ok
    assert max(c.tolerance / c.scale for c in report.comparisons) < 1e-4
    assert verify(halved[0], model, batches=(1,)).ok


def test_the_distance_to_the_model_itself_is_reported(halved: Any, model: Any) -> None:
    path, report = halved
    said = {check.name: check.detail for check in report.checks}
    pixels, _ = inputs(model, batch=7)
    found, expected = opened(path)(pixels), answers(model, pixels)
    gap = (found.logits - expected.logits).abs().max().item()
    assert 0 < gap < 2e-3
    assert f"logits within {gap:.2g}, probabilities within" in said["real images"]
    assert said["real images"].endswith("0 of 7 images change their class")
    assert "of 4 images" in said["half precision"]


def test_a_changed_class_is_a_warning() -> None:
    check = Check("real images", False, "1 of 7 images change their class", severity="warning")
    report = Report(
        path=Path("m"), graph="rollout", precision="fp16", opset=18, nodes={}, size=0, checks=(check,), comparisons=()
    )
    assert report.ok
    assert report.warnings == (check,)


def test_what_is_no_half_is_stored_as_it_is() -> None:
    """Bit by bit: also what would overflow, and what is too short to be worth a node."""
    arrays = {"even": np.arange(100), "odd": np.arange(100) + 1e-5, "large": np.full(100, 1e6), "short": np.arange(4)}
    text = '<ir_version: 8, opset_import: ["": 18]> g (float[b, 1] x) => (float[b, 1] y) { y = Identity(x) }'
    traced = ir.from_proto(onnx.parser.parse_model(text))
    for name, array in arrays.items():
        tensor = ir.tensor(array.astype(np.float32), name=name)
        traced.graph.register_initializer(ir.Value(name=name, const_value=tensor, shape=ir.Shape(array.shape)))
    store_as_halves(traced.graph)
    types = {value.name: value.const_value.dtype for value in traced.graph.initializers.values() if value.const_value}
    half, single = ir.DataType.FLOAT16, ir.DataType.FLOAT
    assert types == {"even.half": half, "odd": single, "large": single, "short": single}


def test_a_weight_beyond_fp16_is_refused(tmp_path: Path) -> None:
    huge = tiny(heads="classification")
    huge.loop.what.weight.data[0, 0] = 1e6
    with pytest.raises(
        ExportError, match=r"loop.what.weight holds 1e\+06, which fp16 cannot store: use weights='fp32'"
    ):
        to_onnx(huge, tmp_path / "m.onnx", weights="fp16")


def test_metadata_tell_how_weights_are_stored(halved: Any, rollout: Path) -> None:
    assert (inspect(halved[0]).info.stored, inspect(rollout).info.stored) == ("fp16", "fp32")
    assert "weights stored as fp16" in str(inspect(halved[0]))


def test_the_sidecar_says_all_that_the_file_says(halved: Any) -> None:
    path, _ = halved
    said, facts = json.loads((path.parent / "m.onnx.json").read_text()), inspect(path)
    assert said["path"] == "m.onnx"
    assert str(path.parent) not in json.dumps(said)
    for key in ("class_names", "config", "inputs", "outputs", "sha256", "weights", "stored", "precision", "opset"):
        assert said[key] == json.loads(json.dumps(facts.as_dict()))[key]
    assert said["sha256"] == {"rollout": sealing.digest(path.read_bytes())}
    sizes = {"channels": 1, "height": 12, "width": 12, "range": [0.0, 1.0]}
    assert said["preprocessing"] == {
        **sizes,
        "mean": list(facts.info.mean),
        "std": list(facts.info.std),
        "resize": "crop",
    }
    assert said["axes"]["corners"] == "b n 4 2"
    assert said["locator"]["align_corners"] is False


@pytest.mark.parametrize("there", ["notes", "{}", "[1]", None])
def test_a_sidecar_replaces_nothing_else(there: str | None, tmp_path: Path, model: Any) -> None:
    place = tmp_path / "m.onnx.json"
    place.mkdir() if there is None else place.write_text(there)
    with pytest.raises(InputError, match="is no sidecar of a graph"):
        to_onnx(model, tmp_path / "m.onnx", sidecar=True)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx.json"]


def test_all_outputs_are_had_by_a_word(halved: Any, model: Any) -> None:
    assert choose(model, "all") == available(model)
    assert inspect(halved[0]).info.fields == available(model)
    assert "corners" not in choose(model, None)


@pytest.mark.parametrize("locator", ["affine", "crop", "filterbank"])
def test_corners_are_those_of_the_window(locator: str) -> None:
    """In a rollout and by steps, glimpse by glimpse."""
    model = shaken(tiny(heads="classification", locator=locator)).eval()
    images, _ = inputs(model, batch=2)
    with torch.no_grad():
        pose = model(images, glimpses=3).trace.pose
        expected = torch.stack([model.locator.frame(pose[:, n]) for n in range(3)], dim=1)
        whole = make_graphs(model, Plan("rollout", 3, ("corners",), False))["rollout"].run({"image": images})
        parts = make_graphs(model, Plan("step", 3, ("logits", "corners"), False))
        takes = {part: graph.inputs for part, graph in parts.items()}
        steps = roll(lambda part, given: parts[part].run(given), takes, {"image": images}, 3, every=False)
    assert expected.shape == (2, 3, 4, 2)
    for found in (whole, steps):
        torch.testing.assert_close(found["corners"], expected, atol=1e-6, rtol=1e-6)


def test_baselines_have_no_corners() -> None:
    assert "corners" not in available(small("bvae-cifar"))


@pytest.mark.usefixtures("unchecked")
def test_other_storage_is_refused(tmp_path: Path, model: Any) -> None:
    with pytest.raises(InputError, match="weights must be 'fp32' or 'fp16'; got 'int8'"):
        to_onnx(model, tmp_path / "m.onnx", weights="int8")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"takes float32 images of shape \(b, 1, 12, 12\)"):
        to_onnx(model, tmp_path / "m.onnx", weights="fp16", images=torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("live memory",), "cannot be proved equal"),
        (("values",), "is not equal"),
        (("values", "live memory"), "is not equal"),
    ],
)
def test_a_proof_that_says_nothing_is_not_called_a_difference(names: tuple[str, ...], words: str) -> None:
    checks = tuple(Check(name, False, "why") for name in names)
    report = Report(
        path=Path("m"), graph="rollout", precision="fp32", opset=18, nodes={}, size=0, checks=checks, comparisons=()
    )
    assert words in str(VerificationError(report))
