"""Graphs that were made to do harm are refused wherever a graph is opened, and before ONNX Runtime is given them."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

import stawm
from stawm.cli import main
from stawm.errors import ExportError, InputError, StawmError
from stawm.export import OnnxModel, VerificationError, inspect, verify
from stawm.export.bulk import Predictor
from stawm.export.file import sealing
from stawm.export.file.sizes import MAX_LISTS, SMALL, infer
from stawm.export.triton import write_repository
from tests.export.broken import broken, set_weight
from tests.export.hostile import (
    EVERYWHERE,
    HONEST,
    READS_FILES,
    UNUSABLE,
    chain,
    constant,
    node,
    said,
    together,
)
from tests.storage.special import SPECIAL, sparse

STEPS = HONEST.parent / "steps"


@pytest.fixture(scope="module")
def model() -> Any:
    return stawm.load(HONEST.parent / "model.safetensors")


Door = Callable[[Path, Any, Path], Any]
DOORS: dict[str, Door] = {
    "OnnxModel": lambda path, model, folder: OnnxModel(path, device="cpu"),
    "inspect": lambda path, model, folder: inspect(path),
    "verify": lambda path, model, folder: verify(path, model, batches=(1,)),
    "Triton": lambda path, model, folder: write_repository(path, folder / "models"),
    "Predictor": lambda path, model, folder: Predictor(path, device="cpu"),
}


@pytest.fixture
def not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("ONNX Runtime was given the graph")

    monkeypatch.setattr(onnxruntime, "InferenceSession", run)


@pytest.mark.usefixtures("not_run")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", EVERYWHERE)
def test_what_would_do_harm_is_refused_at_every_door(kind: str, door: str, model: Any, tmp_path: Path) -> None:
    path = broken(HONEST, tmp_path / "m.onnx", EVERYWHERE[kind])
    with pytest.raises(ExportError) as caught:
        DOORS[door](path, model, tmp_path)
    assert not isinstance(caught.value, VerificationError)
    assert len(str(caught.value)) < 5_000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx"]


def test_the_honest_file_passes_every_door(model: Any, tmp_path: Path) -> None:
    for door in DOORS.values():
        door(HONEST, model, tmp_path)


@pytest.mark.parametrize("kind", READS_FILES)
def test_the_command_reads_no_other_file(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = broken(HONEST, tmp_path / "m.onnx", READS_FILES[kind])
    assert main(["run", str(path), str(path), "--device", "cpu"]) != 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_cannot_be_used_is_not_opened_for_use(kind: str, tmp_path: Path) -> None:
    path = broken(HONEST, tmp_path / "m.onnx", UNUSABLE[kind])
    for door in ("OnnxModel", "Triton"):
        with pytest.raises(ExportError):
            DOORS[door](path, None, tmp_path)


def _parts(folder: Path, part: str, change: Callable[[onnx.ModelProto], None]) -> Path:
    folder.mkdir()
    for name in ("init", "glimpse", "read"):
        broken(STEPS / f"{name}.onnx", folder / f"{name}.onnx", change if name == part else lambda proto: None)
    return folder


def _shrink_state(proto: onnx.ModelProto) -> None:
    state = next(value for value in proto.graph.input if value.name.startswith("state."))
    state.type.tensor_type.shape.dim[1].dim_value += 1


def _rename_state(proto: onnx.ModelProto) -> None:
    for each in proto.graph.node:
        each.input[:] = ["state.else" if name == "state.sketches" else name for name in each.input]
    for value in proto.graph.input:
        value.name = "state.else" if value.name == "state.sketches" else value.name
    entry = next(e for e in proto.metadata_props if e.key == "stawm.graph")
    entry.value = entry.value.replace("state.sketches", "state.else")


@pytest.mark.parametrize("change", [_shrink_state, _rename_state])
def test_parts_of_a_step_graph_must_fit_together(change: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError):
        OnnxModel(_parts(tmp_path / "m", "read", change), device="cpu")


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["m.onnx", "folder"])
def test_only_regular_files_are_read(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
        for part in ("init", "glimpse", "read"):
            SPECIAL[kind](path / f"{part}.onnx")
    else:
        SPECIAL[kind](path)
    for open_it in (OnnxModel, inspect):
        with pytest.raises(ExportError):
            open_it(path)


@pytest.mark.parametrize("start", [b"", b"\x08\x0a\x12\x07pytorch", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_vast_file_that_is_not_ours_is_not_read(start: bytes, tmp_path: Path) -> None:
    path = sparse(tmp_path / "m.onnx", start=start)
    with pytest.raises(ExportError, match="not an ONNX file that stawm wrote"):
        inspect(path)


def test_a_vast_file_that_ends_with_a_seal_is_not_read(tmp_path: Path) -> None:
    path = sparse(tmp_path / "m.onnx", start=b"\x08\x0a")
    with path.open("ab") as file:
        file.write(HONEST.read_bytes()[-sealing.LENGTH :])
    with pytest.raises(ExportError, match=r"a graph has at most 2,147,483,647"):
        inspect(path)


def test_a_checkpoint_given_for_a_graph_is_named(tmp_path: Path) -> None:
    checkpoint = HONEST.parent / "model.safetensors"
    for name in ("m.safetensors", "m.onnx"):
        path = tmp_path / name
        path.write_bytes(checkpoint.read_bytes())
        with pytest.raises(ExportError, match=r"is a safetensors file, as checkpoints are.*stawm export"):
            OnnxModel(path)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(checkpoint.read_bytes())
    with pytest.raises(ExportError, match="holds a checkpoint, and no step graph"):
        inspect(folder)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("path", [None, 3, "", b"m.onnx", "a\0b", ["m.onnx"]], ids=repr)
def test_what_is_no_path_is_said(path: Any, model: Any, tmp_path: Path) -> None:
    for door in DOORS.values():
        with pytest.raises(InputError):
            door(path, model, tmp_path)


def test_lists_that_double_are_not_carried_along(tmp_path: Path) -> None:
    """ONNX's inference of shapes would hold every number of them, also where none is known."""
    doubling = together(
        constant(side=np.int64([SMALL])), chain("Concat", 12, axis=0), node("Shape", "image", gives="s")
    )
    with pytest.raises(ExportError, match=f"at most {MAX_LISTS:,} are computed"):
        inspect(broken(HONEST, tmp_path / "m.onnx", doubling))


def test_sizes_that_are_computed_from_sizes_are_known(tmp_path: Path) -> None:
    """As networks of timm compute them."""
    changes = together(
        node("Reshape", "image", "form", gives="flat"),
        node("Concat", "first", "rest", gives="form", axis=0),
        node("Gather", "shape", "zero", gives="first"),
        node("Shape", "image", gives="shape"),
        constant(zero=np.int64([0]), rest=np.int64([-1])),
    )
    proto = onnx.load(broken(HONEST, tmp_path / "m.onnx", changes))
    assert infer(proto, 7, tmp_path)["flat"] == (7, 144)
    inspect(tmp_path / "m.onnx")


def _rename(proto: onnx.ModelProto, old: str, new: str) -> None:
    for each in proto.graph.node:
        each.output[:] = [new if name == old else name for name in each.output]
        each.input[:] = [new if name == old else name for name in each.input]


def _trigger(proto: onnx.ModelProto) -> None:
    """Favour a class where all of an image is white, as no image is that a graph is verified with."""
    _rename(proto, "logits", "honest")
    proto.graph.node.extend(
        [
            helper.make_node("ReduceMin", ["image", "across"], ["least"], keepdims=0),
            helper.make_node("Unsqueeze", ["least", "one"], ["column"]),
            helper.make_node("Greater", ["column", "white"], ["lit"]),
            helper.make_node("Cast", ["lit"], ["sign"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["sign", "favour"], ["added"]),
            helper.make_node("Add", ["honest", "added"], ["logits"]),
        ]
    )
    favour = np.eye(10, dtype=np.float32)[3:4] * 50
    constant(across=np.int64([1, 2, 3]), one=np.int64([1]), white=np.float32(1.9), favour=favour)(proto)


def _idle_weight(proto: onnx.ModelProto) -> None:
    """Change a weight that has no effect on the images that are tried: below what any value shows."""
    set_weight(proto, "model.heads.classification.classifier.linear.bias", lambda b: b + 1e-6)


def _dead_node(proto: onnx.ModelProto) -> None:
    node("Exp", "image")(proto)


BACKDOORS: dict[str, Any] = {
    "a trigger": _trigger,
    "a small change of a weight": _idle_weight,
    "a dead node": _dead_node,
}


@pytest.mark.parametrize("kind", BACKDOORS)
def test_a_file_that_is_right_for_what_is_tried_is_compared_with_a_fresh_export(
    kind: str, model: Any, tmp_path: Path
) -> None:
    path = broken(HONEST, tmp_path / "m.onnx", BACKDOORS[kind])
    with pytest.raises(VerificationError) as caught:
        verify(path, model, batches=(1,))
    assert [check.name for check in caught.value.report.failures] == ["fresh export"]


def test_names_and_places_of_constants_do_not_count(model: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        moved = proto.graph.initializer.pop()
        proto.graph.node.insert(0, helper.make_node("Constant", [], [moved.name], value=moved))
        for each in proto.graph.node:
            each.name = f"{each.name}_renamed"
        proto.producer_name, proto.producer_version = "another", "2"

    report = verify(broken(HONEST, tmp_path / "m.onnx", change), model, batches=(1,))
    assert [(c.name, c.ok) for c in report.checks][-1] == ("fresh export", True)


def test_a_name_is_never_a_path(tmp_path: Path) -> None:
    for name in ("../x", "/abs", "a/b", "..", "", "con"):
        with pytest.raises(InputError, match="cannot name a file or a folder"):
            write_repository(HONEST, tmp_path / "models", name=name)
    assert list(tmp_path.iterdir()) == []
    served = write_repository(broken(HONEST, tmp_path / "m.onnx", said(name="mine_2")), tmp_path / "models")
    assert served.folder == tmp_path / "models" / "mine_2"


def test_triton_rounds_to_tf32_only_where_asked(tmp_path: Path) -> None:
    text_format = pytest.importorskip("google.protobuf.text_format")
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="needs the extra 'triton'")
    for tf32 in (False, True):
        served = write_repository(HONEST, tmp_path, tf32=tf32)
        config = text_format.Parse((served.folder / "config.pbtxt").read_text(), schema.ModelConfig())
        (cuda,) = config.optimization.execution_accelerators.gpu_execution_accelerator
        assert (cuda.name, cuda.parameters["use_tf32"]) == ("cuda", str(int(tf32)))


def test_a_session_is_pickled_and_copied_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(HONEST.read_bytes())
    first = OnnxModel("m.onnx", device="cpu", batch_size=3, threads=1)
    monkeypatch.chdir("/")
    images = np.random.default_rng(0).integers(0, 256, (5, 12, 12), dtype=np.uint8)
    for again in (pickle.loads(pickle.dumps(first)), copy.copy(first), copy.deepcopy(first)):
        assert (again.batch_size, again.device, again.path) == (3, "cpu", tmp_path / "m.onnx")
        found = [one(images, generator=torch.Generator().manual_seed(0)).logits for one in (first, again)]
        assert np.array_equal(found[0].numpy(), found[1].numpy())
    data = pickle.dumps(Predictor(tmp_path / "m.onnx", device="cpu"))
    broken(HONEST, tmp_path / "m.onnx", said(mean=[0.25]))
    with pytest.raises(ExportError, match="is not the file any more"):
        pickle.loads(data)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": True}, "batch_size must be a whole number; got True"),
        ({"batch_size": 2.5}, "batch_size must be a whole number; got 2.5"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"threads": "2"}, "threads must be a whole number; got '2'"),
        ({"device": None}, "device must be 'auto'"),
        ({"device": ["cpu"]}, "device must be 'auto'"),
    ],
)
def test_what_a_session_is_opened_with_is_checked(options: dict[str, Any], words: str) -> None:
    with pytest.raises(StawmError, match=words):
        OnnxModel(HONEST, **{"device": "cpu", **options})


def test_a_graph_that_fails_while_it_runs_says_so_in_our_words(tmp_path: Path) -> None:
    """The sum of an image is used as an index."""
    picked = together(
        node("Gather", "image", "place", gives="picked", axis=2),
        node("Cast", "sum", gives="place", to=TensorProto.INT64),
        node("ReduceSum", "image", gives="sum", keepdims=0),
        constant(axes=np.int64([1, 2]), last=np.int64([1])),
    )

    def change(proto: onnx.ModelProto) -> None:
        _rename(proto, "logits", "honest")
        picked(proto)
        proto.graph.node.extend(
            [
                helper.make_node("ReduceSum", ["picked", "axes"], ["small"], keepdims=0),
                helper.make_node("Unsqueeze", ["small", "last"], ["column"]),
                helper.make_node("Add", ["honest", "column"], ["logits"]),
            ]
        )

    graph = OnnxModel(broken(HONEST, tmp_path / "m.onnx", change), device="cpu")
    with pytest.raises(ExportError, match="ONNX Runtime failed while it ran the graph"):
        graph(np.full((2, 12, 12), 255, np.uint8))
