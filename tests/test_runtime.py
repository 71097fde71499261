"""Graphs are run without PyTorch, and come to what they come to with it."""

import json
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stawm import runtime
from stawm.errors import ExportError, InputError
from stawm.export import OnnxModel
from stawm.export.file import sealing
from stawm.export.file.faces import read_faces
from stawm.export.file.proto import faces_of
from stawm.export.graphs.fields import flatten
from stawm.export.serve.noise import settle
from stawm.heads.config import NOISES, TRACE
from stawm.heads.output import Noise, Trace
from stawm.models.pixels import to_unit
from tests.export.hostile import HONEST
from tests.moments import MOMENTS, assert_distributed

STEPS = HONEST.parent / "steps"
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 12, 12), dtype=np.uint8)
NOISE = {
    "latent": np.random.default_rng(1).standard_normal((5, 3, 4), np.float32),
    "mask": np.random.default_rng(2).uniform(0.1, 0.9, (5, 3, 1, 12, 12)).astype(np.float32),
}
PACKAGES = {"numpy", "onnxruntime", "PIL"}
ALONE = """
import importlib.abc, json, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {allowed} and not top.startswith("_"):
            raise ModuleNotFoundError(f"No module named {{top!r}}", name=top)

sys.meta_path.insert(0, Missing())
import stawm
from stawm import runtime
said = {{}}
session = runtime.Session({path!r}, "cpu", trusted=True, threads=1)
import numpy as np
said["label"] = session.look(np.zeros((2, 12, 12), np.uint8), until=1.0).labels.tolist()
for name, call in (("graph", lambda: runtime.Session({path!r})), ("build", lambda: stawm.build("stawm-digits"))):
    try:
        call()
    except stawm.errors.MissingPackageError as error:
        said[name] = str(error)
tops = {{name.partition(".")[0] for name in sys.modules if not name.startswith("_")}}
said["imported"] = sorted(tops - set(sys.stdlib_module_names))
print(json.dumps(said))
"""


def test_three_packages_are_enough_to_run_a_graph_and_the_others_are_named() -> None:
    """Everything else cannot be imported there."""
    allowed = {*PACKAGES, "stawm", "google", "flatbuffers", "packaging", "cython_runtime"}
    code = ALONE.format(allowed=allowed, path=str(STEPS))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said["imported"]) - {"stawm", "cython_runtime", "sitecustomize"} == PACKAGES
    blank: Any = OnnxModel(STEPS, "cpu", threads=1).look(np.zeros((2, 12, 12), np.uint8), until=1.0)
    assert said["label"] == blank.labels.tolist()
    assert "pip install onnx" in said["graph"]
    assert "trusted=True" in said["graph"]
    assert "pip install torch" in said["build"]


@pytest.mark.parametrize("path", [HONEST, STEPS], ids=["rollout", "steps"])
@pytest.mark.parametrize("trusted", [False, True])
def test_a_session_gives_in_arrays_what_the_graph_gives_in_tensors(path: Path, trusted: bool) -> None:
    session = runtime.Session(path, "cpu", threads=1, batch_size=2, trusted=trusted)
    graph: Any = OnnxModel(path, "cpu", threads=1, batch_size=2)
    assert session.info == graph.info
    taken = {name: value for name, value in NOISE.items() if name in session._noise}
    tensors = Noise(**{name: torch.from_numpy(value) for name, value in taken.items()})
    for images in (PIXELS, PIXELS[:, None] / np.float32(255), PIXELS[:0], list(PIXELS)):
        rows = slice(0, len(images))
        noise = {name: value[rows] for name, value in taken.items()}
        same = Noise(*(None if value is None else value[rows] for value in tensors))
        found, wanted = session(images, noise=noise), flatten(graph(images, noise=same))
        assert {*found} == {*wanted}
        for name, value in wanted.items():
            assert isinstance(found[name], np.ndarray)
            assert np.array_equal(found[name], value.numpy()), name


@pytest.mark.parametrize("until", [0.1, 0.2, 1.0])
def test_a_session_looks_as_long_as_the_graph_does(until: float) -> None:
    session, graph = (made(STEPS, "cpu", threads=1, batch_size=2) for made in (runtime.Session, OnnxModel))
    generator = [np.random.default_rng(0), torch.Generator()]
    found, wanted = (s.look(PIXELS, until=until, generator=g) for s, g in zip((session, graph), generator, strict=True))
    assert found.as_dict() == wanted.as_dict()
    assert isinstance(found.logits, np.ndarray)
    assert isinstance(wanted.logits, torch.Tensor)
    assert np.array_equal(found.logits, wanted.logits.numpy())


def test_tensors_are_images_too_where_there_is_pytorch() -> None:
    session = runtime.Session(HONEST, "cpu", threads=1)
    found = [session(images, noise=NOISE)["logits"] for images in (PIXELS, torch.from_numpy(PIXELS))]
    assert isinstance(found[1], np.ndarray)
    assert np.array_equal(*found)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": {"canvas": PIXELS}}, "no noise named 'canvas'; it takes latent, mask"),
        ({"noise": {"latent": NOISE["latent"][:1]}}, r"latent noise must be an array of shape \(5, 3, 4\); got \(1,"),
        ({"noise": {"mask": 3}}, "mask noise must be an array.*got int"),
        ({"noise": 3}, "noise must be arrays by name; got int"),
        ({"generator": torch.Generator()}, r"generator must be a numpy\.random\.Generator; got Generator"),
        ({"glimpses": 2}, "takes 3 glimpses"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_a_session_is_given_is_checked(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        runtime.Session(HONEST, "cpu", threads=1, trusted=True)(PIXELS, **options)


def test_a_session_can_be_pickled() -> None:
    session = runtime.Session(HONEST, "cpu", threads=1, trusted=True)
    again = pickle.loads(pickle.dumps(session))
    assert np.array_equal(again(PIXELS, noise=NOISE)["logits"], session(PIXELS, noise=NOISE)["logits"])


@pytest.mark.parametrize("kind", NOISES)
def test_noise_that_is_not_given_is_drawn_as_models_draw_it(kind: str) -> None:
    drawn = settle(None, {kind: (3, 40)}, 2_000, np.random.default_rng(0))[kind]
    assert kind in MOMENTS
    assert drawn.dtype == np.float32
    assert_distributed(kind, torch.from_numpy(drawn))
    assert np.array_equal(drawn, settle({}, {kind: (3, 40)}, 2_000, np.random.default_rng(0))[kind])


def test_names_are_those_of_what_models_give_and_take() -> None:
    assert Noise._fields == NOISES
    assert Trace._fields == TRACE


FILES = [HONEST, *sorted(STEPS.glob("*.onnx"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_a_file_takes_and_gives_is_read_as_onnx_reads_it(file: Path) -> None:
    data = file.read_bytes()
    assert read_faces(data, file) == faces_of(onnx.load_model_from_string(data))


@given(st.data())
def test_damaged_bytes_are_refused_or_read(data: Any) -> None:
    """Whatever they are: nothing but an ExportError is raised, and nothing goes on for ever."""
    start = HONEST.read_bytes()
    changed = bytearray(start[: data.draw(st.integers(0, 600))] + start[-data.draw(st.integers(1, 6_000)) :])
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(changed) - 1), st.integers(0, 255)), max_size=9)
    ):
        changed[place] = byte
    with suppress(ExportError):
        read_faces(bytes(changed), HONEST)


def test_the_seal_is_an_entry_as_onnx_writes_it() -> None:
    digest = "0123456789abcdef" * 4
    entry = onnx.StringStringEntryProto(key=sealing.KEY, value=digest)
    assert sealing._record(digest) == onnx.ModelProto(metadata_props=[entry]).SerializeToString()


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_pixels_are_the_same_numbers_in_arrays_and_tensors(dtype: Any) -> None:
    pixels = PIXELS if dtype == np.uint8 else (PIXELS / 255).astype(dtype)
    assert np.array_equal(to_unit(pixels), to_unit(torch.from_numpy(pixels)).numpy())
    if dtype != np.uint8:
        for wrong in (pixels - 1, pixels + 1, np.full_like(pixels, np.nan)):
            for images in (wrong, torch.from_numpy(wrong)):
                with pytest.raises(InputError, match=r"must be in \[0, 1\]"):
                    to_unit(images)


WITHOUT = """
import sys
from importlib.machinery import PathFinder

class Less(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        gone = name.partition(".")[0] in {"onnx", "onnxscript", "onnxruntime", "onnx_ir"}
        return None if gone else PathFinder.find_spec(name, path, target)

sys.meta_path = [Less if finder is PathFinder else finder for finder in sys.meta_path]
from stawm.cli import main
codes = [main(["run", sys.argv[1], sys.argv[2]]), main(["export", sys.argv[1], sys.argv[2] + ".onnx"])]
print(codes)
"""


def test_a_model_answers_pictures_where_nothing_of_onnx_is_installed(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(PIXELS[0]).save(picture)
    command = [sys.executable, "-c", WITHOUT, str(HONEST.parent / "model.safetensors"), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout.splitlines()[-1] == "[0, 1]", done.stderr
    assert "a.png" in done.stdout
    assert "pip install 'stawm[export]'" in done.stderr
