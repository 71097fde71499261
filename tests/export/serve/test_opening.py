"""A file is opened only where it is whole, ours, and does not contradict itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from stawm.errors import ExportError
from stawm.export import inspect
from stawm.export.file import sealing
from tests.export.broken import broken, set_metadata
from tests.export.opened import opened


def lie(key: str, old: str, new: str) -> Any:
    def change(proto: onnx.ModelProto) -> None:
        set_metadata(proto, f"stawm.{key}", lambda text: text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lie("config", '"image": [1, 12, 12]', '"image": [3, 12, 12]'),
            "preprocessing is .*'channels': 1,.* by its configuration .*'channels': 3",
        ),
        (lie("config", '"classes": 10', '"classes": 7'), "there are 10 class names for 7 classes"),
        (lie("graph", '"logits"', '"canvas"'), "the graph has no canvas"),
        (lie("graph", '"fields": ["pose", ', '"fields": ['), "fields are .*, outputs are pose"),
        (lie("graph", '"glimpses": 3', '"glimpses": 4'), r"pose is \(b, 3, 6\), by the metadata there are 4 glimpses"),
        (lie("preprocessing", "0.35", "0.5"), r"preprocessing is .*'std': \[0.5\].*, by its configuration .*\[0.35\]"),
        (lie("preprocessing", "[0.0, 1.0]", "[0, 255]"), r"preprocessing is .*\[0, 255\]"),
        (lie("class_names", '"3"', '"three"'), "class_names is .*'three'.*, by its configuration"),
        (lie("config", "{", "["), "cannot be understood"),
        (lie("config", '"image"', '"picture"'), "cannot be understood"),
        (lie("graph", '"kind": "rollout"', '"kind": "step"'), "not legal: part is None in a step"),
        (lie("graph", '"kind": "rollout"', '"kind": "walk"'), "kind must be 'rollout' or 'step'; got 'walk'"),
        (lie("graph", '"part": null', '"part": "init"'), "part is 'init' in a rollout"),
        (lie("graph", '"glimpses": 3', '"glimpses": -3'), "glimpses must be at least 1; got -3"),
        (lie("graph", '"glimpses": 3', '"glimpses": true'), "glimpses must be at least 1; got True"),
        (lie("graph", '"fp32"', '"int4"'), "precision must be 'fp32', 'fp16' or 'int8'; got 'int4'"),
        (lie("graph", '"fields": ["pose"', '"fields": ["posture"'), "fields must be outputs of a model; got 'posture'"),
        (lie("graph", '"sample": false', '"sample": 0'), "sample must be true or false; got 0"),
        (lie("config", '"name": "stawm-digits"', '"name": ""'), "the configuration has no name"),
        (lie("config", '"image": [1, 12, 12]', '"image": [1, 0, 12]'), r"image is \(1, 0, 12\)"),
        (lie("config", '"classes": 10', '"classes": 0'), "there are 0 classes"),
        (lie("config", '"mean": [0.3]', '"mean": [0.3, 0.3]'), r"mean \(0.3, 0.3\) or std \(0.35,\) does not fit 1"),
        (lie("config", '"std": [0.35]', '"std": [0.0]'), r"std must be above 0; got \(0.0,\)"),
        (lie("format", "1", "2"), "has format '2'; stawm .* reads '1'"),
    ],
)
def test_metadata_that_lies_is_refused(change: Any, message: str, rollout: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        opened(broken(rollout, tmp_path / "m.onnx", change))


def test_a_graph_is_used_without_the_components_of_its_model(rollout: Path, tmp_path: Path) -> None:
    graph = opened(broken(rollout, tmp_path / "m.onnx", lie("config", "hebb-rosenblatt", "a-plugin-of-mine")))
    assert graph(torch.zeros(2, 1, 12, 12)).logits.shape == (2, 10)


def test_data_outside_the_file_is_never_read(rollout: Path, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")

    with pytest.raises(ExportError, match=r"asks for data outside itself \('\.\./\.\./etc/passwd'"):
        opened(broken(rollout, tmp_path / "m.onnx", change))


def test_foreign_operators_are_refused(rollout: Path, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.node[0].domain = "com.example"

    with pytest.raises(ExportError, match=r"operators of the domain 'com\.example'"):
        opened(broken(rollout, tmp_path / "m.onnx", change))


@pytest.mark.parametrize("data", [b"", b"\x08\x0a", b"PK\x03\x04" + bytes(200), bytes(5000)])
def test_files_that_are_not_ours_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ExportError, match="not an ONNX file that stawm wrote"):
        opened(tmp_path / "m.onnx")


@pytest.mark.parametrize("kept", [1, 100, 10_000, -1, -70, -200])
def test_truncated_files_are_refused(kept: int, rollout: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(rollout.read_bytes()[:kept])
    with pytest.raises(ExportError, match=r"truncated or was altered|not an ONNX file that stawm wrote"):
        opened(tmp_path / "m.onnx")


def test_a_sealed_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(sealing.seal(b"\xff\xff nonsense"))
    with pytest.raises(ExportError, match="cannot be parsed as ONNX"):
        opened(tmp_path / "m.onnx")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No such file"):
        opened(tmp_path / "m.onnx")


def test_folders_that_are_no_step_graph(steps: Path, rollout: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"lacks init\.onnx, glimpse\.onnx, read\.onnx"):
        opened(tmp_path)
    with pytest.raises(ExportError, match="a part of a step graph, 'read': give its folder"):
        opened(steps / "read.onnx")
    shutil.copytree(steps, tmp_path / "m")
    shutil.copy(rollout, tmp_path / "m" / "read.onnx")
    with pytest.raises(ExportError, match="says that it is the part None and not 'read'"):
        opened(tmp_path / "m")


def test_parts_of_different_exports_do_not_mix(steps: Path, tmp_path: Path) -> None:
    shutil.copytree(steps, tmp_path / "m")
    broken(steps / "read.onnx", tmp_path / "m" / "read.onnx", lie("weights", "a", "b"))
    with pytest.raises(ExportError, match="are not of one export"):
        opened(tmp_path / "m")


def test_inspection_tells_what_a_file_is(rollout: Path, steps: Path) -> None:
    facts = inspect(rollout)
    said = json.loads(json.dumps(facts.as_dict()))
    assert said["outputs"]["rollout"]["pose"] == ["b", 3, 6]
    assert said["nodes"]["rollout"] == sum(facts.nodes["rollout"].values())
    assert said["sha256"]["rollout"] == sealing.digest(rollout.read_bytes())
    assert "3 glimpses" in str(facts)
    assert set(inspect(steps).nodes) == {"init", "glimpse", "read"}
    assert "glimpse takes" in str(inspect(steps))


def test_other_readers_of_onnx_see_an_ordinary_file(rollout: Path) -> None:
    proto = onnx.load(rollout)
    onnx.checker.check_model(proto, full_check=True)
    entries = {entry.key: entry.value for entry in proto.metadata_props}
    assert entries["stawm.sha256"] == sealing.digest(rollout.read_bytes())
