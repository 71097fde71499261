"""For every check of the verification a file that breaks it, refused for that reason."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from stawm.errors import InputError
from stawm.export import Check, OnnxModel, Report, VerificationError, to_onnx, verify
from stawm.export.file.files import GraphFile, read_graphs
from stawm.export.file.metadata import contradictions
from stawm.export.file.proto import shapes_of
from stawm.export.graphs.fields import available
from stawm.export.graphs.prepared import Prepared, prepare
from stawm.export.proof import structure, verification
from stawm.export.proof.reference import Reference
from stawm.export.proof.report import Comparison
from stawm.export.proof.verdicts import agreement, live_memory, resolution, values
from stawm.export.proof.verification import examine, probed_session
from stawm.models.model import Model
from tests.export.broken import broken, set_metadata
from tests.small import shaken, tiny

Change = Callable[[onnx.ModelProto], None]
Checker = Callable[..., dict[str, Check]]


@pytest.fixture(scope="module")
def prepared(classifier: Model, rollout: Path) -> Prepared:
    info = read_graphs(rollout)["rollout"].info
    return prepare(classifier, info.plan, info.precision)


@pytest.fixture
def checked(rollout: Path, classifier: Any, prepared: Prepared) -> Checker:
    """All that is told of the classifier's file without running it, after a change."""

    def run(change: Change = lambda proto: None, config: Any = classifier.config, device: str = "cpu") -> Any:
        file = read_graphs(rollout)["rollout"]
        change(file.proto)
        shapes, inputs = prepared.shapes["rollout"], prepared.graphs["rollout"].inputs
        return {check.name: check for check in structure.checks(file, config, shapes, inputs, device)}

    return run


def failed(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.detail for name, check in checks.items() if not check.ok}


def insert(op: str, *given: str, **attributes: Any) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.node.append(helper.make_node(op, given or ("image",), [f"a_new_{op}"], **attributes))

    return change


def samplers(**attributes: Any) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        for node in [node for node in proto.graph.node if node.op_type == "GridSample"]:
            kept = [a for a in node.attribute if a.name not in attributes]
            del node.attribute[:]
            node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in attributes.items())])

    return change


def test_an_intact_file_passes_every_check(checked: Checker) -> None:
    assert list(checked()) == [
        *("checker", "metadata", "names", "axes", "plain arithmetic", "sampling", "inputs", "sharing", "CUDA kernels")
    ]
    assert failed(checked(device="cuda")) == {}


def test_an_operator_that_is_not_onnx(checked: Checker) -> None:
    found = checked(insert("NoSuchOperator"))
    assert "NoSuchOperator" in failed(found)["checker"]
    assert "CUDA kernels" not in found


@pytest.mark.parametrize(
    ("why", "op"),
    [
        *(("shape arithmetic", op) for op in ("Shape", "Size", "ConstantOfShape", "NonZero", "Range")),
        *(("control flow", op) for op in ("If", "Loop", "Scan")),
        *(("sequences", op) for op in ("SequenceConstruct", "SequenceAt", "SplitToSequence", "ConcatFromSequence")),
        *(("randomness", op) for op in ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")),
        *(("randomness", op) for op in ("Bernoulli", "Multinomial", "Dropout")),
    ],
)
def test_every_unwanted_operator(why: str, op: str, checked: Checker) -> None:
    assert failed(checked(insert(op)))["plain arithmetic"] == f"1 {op} ({why})"


def test_networks_of_timm_may_do_arithmetic_on_shapes_and_nothing_else(checked: Checker, classifier: Any) -> None:
    for part in ("backbone", "context"):
        named = dataclasses.replace(classifier.config.backbone, name="timm:resnet18")
        config = classifier.config.replace(**{part: named})
        assert "plain arithmetic" not in failed(checked(insert("Shape"), config))
        assert checked(insert("Shape"), config)["plain arithmetic"].detail.endswith("the network of timm")
        assert failed(checked(insert("If"), config))["plain arithmetic"] == "1 If (control flow)"
    assert failed(checked(insert("Shape")))["plain arithmetic"] == "1 Shape (shape arithmetic)"


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({"mode": "nearest"}, "sampling is 'nearest' and not bilinear"),
        ({"mode": "bicubic"}, "sampling is 'bicubic' and not bilinear"),
        ({"align_corners": 1}, "align_corners is not False, as the locator's"),
        ({"padding_mode": "border"}, "padding is 'border' and not 'zeros'"),
        ({"padding_mode": "reflection"}, "padding is 'reflection' and not 'zeros'"),
    ],
)
def test_every_way_to_sample_otherwise(attributes: dict[str, Any], fault: str, checked: Checker) -> None:
    assert failed(checked(samplers(**attributes))) == {"sampling": fault}


def test_sampling_is_the_locators(checked: Checker, classifier: Any) -> None:
    def config(**changes: Any) -> Any:
        return classifier.config.replace(locator=dataclasses.replace(classifier.config.locator, **changes))

    corners, border = config(align_corners=True), config(padding="border")
    assert failed(checked(config=corners)) == {"sampling": "align_corners is not True, as the locator's"}
    assert failed(checked(samplers(align_corners=1), corners)) == {}
    assert failed(checked(config=border)) == {"sampling": "padding is 'zeros' and not 'border'"}
    assert failed(checked(samplers(padding_mode="border"), border)) == {}


def test_sketches_are_placed_on_nothing(checked: Checker, painter: Any, classifier: Any) -> None:
    border = dataclasses.replace(classifier.config.locator, padding="border")
    config = classifier.config.replace(locator=border, heads=painter.config.heads)
    assert "sampling" not in failed(checked(config=config))


def test_inputs_in_another_order(painting: Path, painter: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        given = list(proto.graph.input)
        del proto.graph.input[:]
        proto.graph.input.extend(reversed(given))

    with pytest.raises(VerificationError) as caught:
        verify(broken(painting, tmp_path / "m.onnx", change), painter, batches=(1,))
    (fault,) = caught.value.report.failures
    assert (fault.name, fault.detail) == (
        "names",
        "inputs are noise_mask, noise_latent, image; they must be image, noise_latent, noise_mask",
    )


def test_an_output_that_is_not_in_single_precision(checked: Checker) -> None:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE

    assert failed(checked(change))["axes"] == "pose is not float32"


def test_an_axis_of_another_size(checked: Checker) -> None:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 13

    assert failed(checked(change))["axes"] == "image is (b, 1, 13, 12) and not (b, 1, 12, 12)"


def test_a_weight_that_is_not_used(checked: Checker) -> None:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.initializer.append(numpy_helper.from_array(torch.ones(1).numpy(), "left_over"))

    assert failed(checked(change)) == {"inputs": "left_over is not used"}


def test_small_constants_may_be_there_twice_and_large_ones_not(checked: Checker) -> None:
    def copies(count: int) -> Change:
        def change(proto: onnx.ModelProto) -> None:
            for name in ("once", "twice"):
                proto.graph.initializer.append(numpy_helper.from_array(torch.ones(count).numpy(), name))
            proto.graph.node.append(helper.make_node("Add", ["once", "twice"], ["both"]))

        return change

    assert failed(checked(copies(16))) == {}
    assert failed(checked(copies(17))) == {"sharing": "1 weights are stored more than once"}


def test_a_node_without_a_kernel_matters_where_a_gpu_is_asked_for(checked: Checker) -> None:
    for device, severity in (("cpu", "warning"), ("cuda", "error"), ("tensorrt", "error")):
        check = checked(insert("Tan"), device=device)["CUDA kernels"]
        assert (check.ok, check.severity) == (False, severity)
        assert check.detail == "none for Tan(float, float) at a_new_Tan"


@pytest.fixture
def elu() -> Any:
    """A model with an ELU, which from opset 22 on has no kernel in the CUDA provider."""
    model = tiny(heads="classification", glimpses=1)
    blocks = model.loop.backbone.blocks
    blocks[-1] = nn.Sequential(*list(blocks[-1])[:-1], nn.ELU())
    return shaken(model)


def test_a_missing_kernel_is_a_warning_on_the_cpu_and_refused_on_a_gpu(
    elu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: Any = {"opset": 22, "outputs": ["logits"], "batches": (2,)}
    report = to_onnx(elu, tmp_path / "m.onnx", **options)
    assert report.ok
    assert report.failures == ()
    (warning,) = report.warnings
    assert warning.name == "CUDA kernels"
    assert "none for Elu(float, float)" in warning.detail
    assert any(line.startswith("WARNING  CUDA kernels") for line in str(report).splitlines())
    said = report.as_dict()
    assert said["ok"]
    assert [(c["name"], c["severity"]) for c in said["checks"] if not c["ok"]] == [("CUDA kernels", "warning")]
    assert verify(tmp_path / "m.onnx", elu, batches=(2,)).warnings == report.warnings
    images = torch.rand(2, 1, 12, 12)
    found = OnnxModel(tmp_path / "m.onnx", device="cpu")(images).logits
    assert torch.allclose(torch.as_tensor(found), elu.eval()(elu.normalise(images)).logits, atol=1e-5)

    # A machine that has a GPU, whose sessions are on the CPU none the less.
    monkeypatch.setattr(verification, "probed_session", lambda proto, probes, device: probed_session(proto, probes))
    for device in ("cuda", "tensorrt"):
        with pytest.raises(VerificationError, match=r"CUDA kernels: none for Elu"):
            verify(tmp_path / "m.onnx", elu, batches=(2,), device=device)
    with pytest.raises(VerificationError, match=r"CUDA kernels: none for Elu"):
        to_onnx(elu, tmp_path / "gpu.onnx", device="cuda", **options)
    assert not (tmp_path / "gpu.onnx").exists()


@pytest.mark.usefixtures("unchecked")
def test_devices_that_are_not_there_are_named(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    devices: Any = "gpu"
    with pytest.raises(InputError, match="device must be 'auto', 'cpu', 'cuda' or 'tensorrt'; got 'gpu'"):
        verify(rollout, classifier, device=devices)
    with pytest.raises(InputError, match="got 'gpu'"):
        to_onnx(classifier, tmp_path / "m.onnx", device=devices)


def test_the_device_reaches_the_session(rollout: Path, classifier: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def session(proto: onnx.ModelProto, probes: Any, device: str) -> Any:
        raise RuntimeError(f"asked for {device}")

    monkeypatch.setattr(verification, "probed_session", session)
    monkeypatch.setattr("stawm.export.run.providers.has_gpu", lambda: True)
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    opened = {"cpu": "cpu", "cuda": "cuda", "tensorrt": "tensorrt", "auto": "cuda"}
    for device, expected in opened.items():
        with pytest.raises(VerificationError, match=f"asked for {expected}"):
            verify(rollout, classifier, batches=(1,), device=device)


def test_outputs_that_the_model_does_not_have(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        set_metadata(proto, "stawm.graph", lambda text: text.replace('"logits"', '"canvas"'))

    with pytest.raises(VerificationError, match="model: the model has no output canvas"):
        verify(broken(rollout, tmp_path / "m.onnx", change), classifier)


@pytest.mark.parametrize(
    ("name", "shape", "fault"),
    [
        ("image", ("b", 1, 12, 13), r"image is (b, 1, 12, 13), by the metadata (b, 1, 12, 12)"),
        ("canvas", ("b", 3, 12, 12), r"canvas is (b, 3, 12, 12), by the metadata (b, 1, 12, 12)"),
        ("logits", ("b", 7), r"logits is (b, 7), by the metadata (b, 10)"),
        ("pose", ("b", 2, 6), r"pose is (b, 2, 6), by the metadata there are 3 glimpses"),
        ("masks", ("b", 3, 1, "h", 12), r"masks is (b, 3, 1, h, 12), where only the batch may be dynamic"),
        ("mu", None, "the graph has no mu"),
    ],
)
def test_every_contradiction_of_metadata_and_graph(name: str, shape: Any, fault: str, painting: Path) -> None:
    file: GraphFile = read_graphs(painting)["rollout"]
    shapes = shapes_of(file.proto)
    assert contradictions(file.info, shapes) == []
    changed = {key: value for key, value in (shapes | {name: shape}).items() if value is not None}
    assert contradictions(file.info, changed) == [fault]


def test_outputs_beside_the_fields(painting: Path) -> None:
    file = read_graphs(painting)["rollout"]
    info = dataclasses.replace(file.info, fields=("logits", "canvas"))
    (fault,) = contradictions(info, shapes_of(file.proto))
    assert fault.startswith("fields are logits, canvas, outputs are pose, ")


def test_only_steps_may_give_more_than_the_fields(steps: Path, classifier: Any) -> None:
    for file in read_graphs(steps).values():
        assert contradictions(file.info, shapes_of(file.proto)) == []
    assert set(read_graphs(steps)["init"].info.fields) < set(available(classifier))


def compared(output: str, tolerance: float, scale: float = 1.0, error: float = 0.0, glimpse: int | None = None) -> Any:
    return Comparison(output, glimpse, error, tolerance, scale)


def reference(**exact: list[Any]) -> Reference:
    return Reference([], [{name.replace("_", "."): torch.tensor(value) for name, value in exact.items()}], {})


@pytest.mark.parametrize(
    ("exact", "found", "ok"),
    [
        ([[1.0, 0.0]], [[0.0, 1.0]], False),
        ([[1.0, 0.79]], [[0.0, 1.0]], False),  # 0.21 apart, with a tolerance of 0.1 for each
        ([[1.0, 0.81]], [[0.0, 1.0]], True),
        ([[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.4, 0.6]], True),
        ([[1.0], [2.0]], [[1.0], [2.0]], True),
    ],
)
def test_classes_are_the_same_where_there_is_no_doubt(exact: Any, found: Any, ok: bool) -> None:
    check = agreement(
        [compared("pose", 9.0), compared("logits", 0.1)], reference(logits=exact), [{"logits": torch.tensor(found)}]
    )
    assert check.ok == ok
    assert check.name == "classes"


def test_classes_are_counted() -> None:
    exact, found = [[1.0, 0.0], [0.5, 0.5]], {"logits": torch.tensor([[1.0, 0.0], [0.4, 0.6]])}
    check = agreement([compared("logits", 0.1)], reference(logits=exact), [found])
    assert check.detail == "the class is the same for 1 of 2 images"


def test_a_memory_that_reads_zeros_is_named() -> None:
    alive = live_memory(reference(recall_drawing=[[-2.0, 1.0]], recall_classification=[[0.25]], logits=[[0.0]]))
    assert alive.ok
    assert alive.detail == "drawing reads up to 2, classification reads up to 0.25"
    dead = live_memory(reference(recall_drawing=[[0.0, 0.0]], recall_classification=[[1.0]]))
    assert dead.detail == "drawing reads only zeros, which proves nothing about the memory"
    assert not dead.ok
    assert not live_memory(reference(recall_drawing=[[float("nan")]])).ok


def test_the_widest_tolerance_decides_whether_anything_is_told() -> None:
    fine = [compared("pose", 0.01, glimpse=2), compared("logits", 0.5, scale=1.0), compared("mu", 0.0, scale=0.0)]
    assert resolution(fine).ok
    assert resolution(fine).detail == "the widest tolerance, of logits, is 0.5 of the greatest value"
    wide = [*fine, compared("pose", 0.51, glimpse=2)]
    assert not resolution(wide).ok
    assert "of pose at glimpse 2" in resolution(wide).detail


def test_the_first_glimpse_that_differs_is_named() -> None:
    exact = reference(pose=[[0.0]])
    both = [compared("pose", 0.1, error=1.0, glimpse=g) for g in (3, 2)] + [compared("canvas", 0.1, error=9.0)]
    (check,) = values([*both, compared("mu", 0.1)], exact, [])
    assert check.detail == "pose at glimpse 2 is off by 1.00e+00, where 1.00e-01 is allowed; 3 of 4 comparisons fail"
    assert [check.name for check in values([compared("pose", 0.1)], exact, [])] == ["values", "resolution"]


@pytest.mark.parametrize(
    ("error", "tolerance", "ok"), [(0.1, 0.1, True), (0.11, 0.1, False), (0.0, float("inf"), False), (0.0, 0.0, True)]
)
def test_a_difference_is_within_its_tolerance_or_not(error: float, tolerance: float, ok: bool) -> None:
    assert compared("pose", tolerance, error=error).ok == ok


def test_a_report_is_as_good_as_its_worst_check() -> None:
    def report(*checks: Check) -> Report:
        empty: dict[str, Any] = {"nodes": {"init": 3, "read": 4}, "size": 2_000_000, "comparisons": ()}
        return Report(path=Path("m"), graph="step", precision="fp16", opset=18, checks=checks, **empty)

    good, bad = Check("a", True, "fine"), Check("b", False, "not fine")
    warned, passed = Check("c", False, "elsewhere", "warning"), Check("d", True, "everywhere", "warning")
    assert report(good, warned, passed).ok
    assert report(good, warned, passed).warnings == (warned,)
    assert report(good, bad, warned).failures == (bad,)
    assert not report(good, bad).ok
    lines = str(report(good, bad, warned, passed)).splitlines()
    assert lines[0] == "m: step, fp16, opset 18, 3 + 4 nodes, 2.0 MB"
    assert [line.split()[0] for line in lines[3:]] == ["ok", "FAILED", "WARNING", "ok"]
    error = VerificationError(report(good, bad, warned))
    assert str(error) == "m is not equal to the model:\nb: not fine"


def test_a_check_of_several_parts_names_the_part_and_keeps_its_severity(
    steps: Path, classifier: Any, tmp_path: Path
) -> None:
    for part in ("init", "glimpse", "read"):
        broken(steps / f"{part}.onnx", tmp_path / f"{part}.onnx", lambda proto: None)
    state = next(v.name for v in read_graphs(steps)["read"].proto.graph.input)
    broken(steps / "read.onnx", tmp_path / "read.onnx", insert("Tan", state))
    report = examine(tmp_path, read_graphs(tmp_path), classifier, (1,))
    (warning,) = report.warnings
    assert warning.detail == "read: none for Tan(float, float) at a_new_Tan"
