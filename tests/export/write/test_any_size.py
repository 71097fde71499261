"""Graphs of models that take images of any size: height and width are free, and the values PyTorch's at every size."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from stawm.core import thumbnail
from stawm.errors import ExportError
from stawm.export.file.describing import describe
from stawm.export.file.files import GraphFile, open_graph
from stawm.export.file.metadata import contradictions
from stawm.export.file.proto import shapes_of
from stawm.export.graphs import fields
from stawm.export.graphs.plan import Kind, Plan
from stawm.export.graphs.prepared import example_sizes, prepare
from stawm.export.proof.report import Report
from stawm.export.proof.verification import examine, probed_session
from stawm.export.write.exporting import build
from tests.models.test_any_size import eyes
from tests.shared import once
from tests.small import shaken, tiny

GLIMPSES = 1


def exported(model: Any, kind: Kind, glimpses: int = GLIMPSES) -> tuple[dict[str, GraphFile], Report]:
    plan = Plan(kind, glimpses, fields.choose(model, ("logits", "pose", "corners", "glimpses")), False)
    prepared = prepare(model, plan, "fp32")
    data = build(prepared, describe(model, prepared), 18)
    files = {part: open_graph(Path(f"{part}.onnx"), value) for part, value in data.items()}
    return files, examine(Path("x"), files, model, (1, 3, 4), "cpu", prepared)


@pytest.fixture(scope="module")
def rollout(few_levels: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return once(tmp_path_factory, "any-size", lambda folder: exported(shaken(eyes()).eval(), "rollout"))


def test_a_rollout_is_its_model_at_three_sizes(rollout: Any):
    files, report = rollout
    assert not report.failures, report
    detail = next(check.detail for check in report.checks if check.name == "batches")
    assert detail == "runs with 1 of 24x24, 3 of 37x24, 4 of 10x17 images"
    kernels = next(check for check in report.checks if check.name == "CUDA kernels")
    assert kernels.ok, kernels.detail
    assert shapes_of(files["rollout"].proto)["image"] == ("b", 1, "h", "w")


def test_its_values_are_those_of_pytorch_at_any_other_size(rollout: Any, few_levels: Any):
    model, session = shaken(eyes()).eval(), probed_session(rollout[0]["rollout"].proto, ())
    for height, width in ((10, 60), (33, 31), (59, 10)):
        image = torch.randn(2, 1, height, width, generator=torch.Generator().manual_seed(0))
        (logits,) = session.run(["logits"], {"image": image.numpy()})
        expected = model(image, glimpses=GLIMPSES).logits
        assert torch.allclose(torch.from_numpy(logits), expected, atol=1e-4)


def test_the_file_says_which_sides_are_free(rollout: Any):
    info = rollout[0]["rollout"].info
    assert info.any_size
    assert info.least_side == 10
    assert info.image == (1, 24, 24)
    assert info.for_others()["preprocessing"]["free"] == ["height", "width"]
    assert info.for_others()["preprocessing"]["least"] == 10


def test_a_file_with_fixed_sides_contradicts_what_it_says(rollout: Any):
    file = rollout[0]["rollout"]
    proto = onnx.ModelProto()
    proto.CopyFrom(file.proto)
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 24
    (fault,) = contradictions(file.info, shapes_of(proto))
    assert fault == "image is (b, 1, 24, w), by the metadata (b, 1, h, w)"


def test_sides_are_free_only_where_the_model_takes_any(rollout: Any):
    info = describe(*_plain())["rollout"]
    shapes = {name: (*shape,) for name, shape in shapes_of(rollout[0]["rollout"].proto).items()}
    found = contradictions(info, {"image": ("b", 1, "h", "w"), **{n: s for n, s in shapes.items() if n != "image"}})
    assert any("where only the batch may be dynamic" in fault for fault in found)


def _plain() -> Any:
    model = tiny(heads=("classification",)).eval()
    return model, prepare(model, Plan("rollout", 1, ("logits",), False), "fp32")


def test_metadata_of_no_size_is_refused(rollout: Any):
    from stawm.export.file.form import malformed

    info = rollout[0]["rollout"].info
    read = {
        "config": {**info.config, "context_size": "ten"},
        "graph": {"fields": [], "inputs": [], "outputs": []},
        "versions": {},
    }
    assert any("context_size and glimpse_size are no sizes" in fault for fault in malformed(read))


def test_three_sizes_are_tried_and_none_is_beyond_what_is_taken():
    config = eyes().config
    sizes = example_sizes(config)
    assert len(set(sizes)) == 3
    assert all(config.takes((1, *size)) for size in sizes)
    assert example_sizes(tiny().config) == [(12, 12)]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["rollout", "step"])
@pytest.mark.parametrize("name", ["affine", "crop", "filterbank"])
def test_every_locator_is_exported(kind: Kind, name: str, few_levels: Any):
    files, report = exported(shaken(eyes(locator={"name": name})).eval(), kind, 2)
    assert not report.failures, report
    assert all(check.ok for check in report.checks if check.name == "CUDA kernels")
    takes = [shapes_of(file.proto)["image"] for part, file in files.items() if part != "read"]
    assert set(takes) == {("b", 1, "h", "w")}


@pytest.mark.long
def test_with_all_its_levels_a_graph_is_its_model_on_a_large_image():
    model = shaken(eyes()).eval()
    files, report = exported(model, "rollout")
    assert not report.failures, report
    image = torch.randn(1, 1, 1500, 2100, generator=torch.Generator().manual_seed(0))
    (logits,) = probed_session(files["rollout"].proto, ()).run(["logits"], {"image": image.numpy()})
    assert torch.allclose(torch.from_numpy(logits), model(image, glimpses=GLIMPSES).logits, atol=1e-4)


@pytest.mark.long
def test_a_component_that_fixes_the_size_is_told(monkeypatch: pytest.MonkeyPatch):
    model = eyes(locator={"antialias": False, "square": False, "scales": 1}).eval()
    shrink = thumbnail.shrink
    monkeypatch.setattr(thumbnail, "shrink", lambda image, side: shrink(image, side) * int(image.shape[2]))
    with pytest.raises(ExportError):
        exported(model, "rollout")
