"""What a session is given: right, or refused in a sentence that is true of what was given."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stawm
from stawm.cli import main
from stawm.errors import InputError
from stawm.export import DeviceError
from stawm.export.file.files import read_graphs
from stawm.export.run import runners
from stawm.export.run.providers import open_session
from stawm.export.run.runners import BoundRunner
from stawm.export.serve import arrays, session
from stawm.export.serve.folder import run_folder
from stawm.export.serve.live import LiveModel
from stawm.export.serve.looking import UNTIL
from stawm.heads.output import Noise
from tests.export.broken import broken
from tests.export.hostile import HONEST, graph_entry
from tests.export.opened import opened
from tests.small import tiny

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 12, 12), dtype=np.uint8)
FLOATS = (PIXELS[:, None] / 255).astype(np.float32)


@pytest.fixture(scope="module")
def steps() -> Any:
    return opened(HONEST.parent / "steps", batch_size=2, threads=1)


@pytest.fixture(scope="module")
def model() -> Any:
    return stawm.load(HONEST.parent / "model.safetensors")


@pytest.mark.parametrize(
    "images",
    [
        FLOATS.astype(">f4"),
        FLOATS.astype(">f8"),
        np.asfortranarray(FLOATS),
        FLOATS[::-1][::-1],
        list(FLOATS),
        list(torch.from_numpy(FLOATS)),
        tuple(PIXELS),
        torch.from_numpy(FLOATS).to_sparse(),
        torch.from_numpy(FLOATS).requires_grad_(),
    ],
    ids=lambda images: f"{type(images).__name__}-{getattr(images, 'dtype', '')}",
)
def test_the_same_images_in_other_forms(images: Any, steps: Any) -> None:
    assert torch.allclose(steps(images).logits, steps(PIXELS).logits, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 13, 12), np.uint8), r"got uint8 of shape \(2, 13, 12\)"),
        (np.zeros((0, 13, 12), np.uint8), r"got uint8 of shape \(0, 13, 12\)"),
        (torch.zeros(2, 12, 12, dtype=torch.int32), r"got int32 of shape \(2, 12, 12\)"),
        (np.zeros((2, 12, 12), object), "arrays of numbers.*got object"),
        (np.zeros((2, 12, 12), "U3"), "arrays of numbers.*got <U3"),
        (np.zeros((2, 12, 12), complex), "arrays of numbers.*got complex128"),
        (np.ma.masked_array(PIXELS, PIXELS > 3), "masked"),
        (torch.zeros(2, 1, 12, 12, device="meta"), "on no device"),
        (Image.new("L", (12, 12)), r"got Image\. Give a picture's path, or its pixels: np\.asarray"),
        ([Image.new("L", (12, 12))], r"one of Image\. Give a picture's path"),
        ([PIXELS[0], "a.png"], "paths of files, or arrays of one shape"),
        ([PIXELS[0], PIXELS[0][:3]], "arrays of one type and shape"),
        ([], "one of nothing"),
        (None, "got NoneType"),
        (np.float32(0.5), "got float32"),
        (np.where(np.arange(3)[:, None, None, None] == 1, np.nan, FLOATS), "1 images hold NaN or infinity, first 1"),
        (np.full((2, 1, 12, 12), np.inf), "2 images hold NaN or infinity, first 0"),
    ],
)
def test_what_is_no_image_is_told_truly(images: Any, words: str, steps: Any) -> None:
    for call in (steps, steps.look):
        with pytest.raises(InputError, match=words):
            call(images)


@pytest.mark.parametrize("shape", [(0, 1, 12, 12), (0, 12, 12, 1), (0, 12, 12)])
def test_an_empty_batch_is_answered_by_empty_arrays(shape: tuple[int, ...], steps: Any) -> None:
    for graph in (steps, opened(HONEST)):
        for empty in (np.zeros(shape, np.uint8), torch.zeros(shape)):
            found, one = graph(empty), graph(PIXELS[:1])
            assert found.logits.shape == (0, 10)
            assert found.trace.pose.shape == (0, *one.trace.pose.shape[1:])
            assert found.canvas.shape == (0, 1, 12, 12)
    looked = steps.look(np.zeros(shape, np.uint8))
    assert looked.as_dict() == {"labels": [], "confidence": [], "glimpses": []}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("until", ["x", True, 0, -1, 1.01, float("nan"), [0.5]], ids=repr)
def test_a_probability_is_one(until: Any, steps: Any, model: Any) -> None:
    for look in (steps.look, LiveModel(model).look):
        with pytest.raises(InputError, match="until must be a probability"):
            look(PIXELS, until=until)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"glimpses": True}, "glimpses must be a whole number; got True"),
        ({"glimpses": "2"}, "glimpses must be a whole number; got '2'"),
        ({"glimpses": 1.0}, "glimpses must be a whole number"),
        ({"glimpses": 0}, "room for 1 to 2 glimpses; got 0"),
        ({"noise": {"latent": 3}}, "noise must be a .*Noise; got dict"),
        ({"noise": Noise(latent=3)}, "The latent noise must be a tensor; got int"),  # pyright: ignore[reportArgumentType]
        ({"generator": 3}, r"generator must be a torch\.Generator; got int"),
    ],
    ids=repr,
)
def test_arguments_are_checked(options: dict[str, Any], words: str, steps: Any) -> None:
    for call in (steps, steps.look):
        with pytest.raises(InputError, match=words):
            call(PIXELS, **options)


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_numpy_are_numbers(steps: Any) -> None:
    assert torch.equal(steps(PIXELS, glimpses=np.int64(1)).logits, steps(PIXELS, glimpses=1).logits)
    assert steps.look(PIXELS, until=np.float32(1)).glimpses.tolist() == [2, 2, 2]


def test_looking_stops_by_default_where_labels_were_smoothed() -> None:
    """Of labels that are smoothed by 0.05 over ten classes the most probable has 0.955, which nothing may exceed."""
    assert 0.5 < UNTIL < 1 - 0.05 * 9 / 10


def test_the_model_gives_what_its_graph_gives(model: Any, steps: Any) -> None:
    live = LiveModel(model, batch_size=2)
    model.train()
    for until in (0.1, 0.2, 1.0):
        found, expected = live.look(PIXELS, until=until), opened_all(steps, model).look(PIXELS, until=until)
        assert torch.allclose(found.logits, expected.logits, atol=1e-5)
        assert torch.equal(found.glimpses, expected.glimpses)
    assert model.training
    model.eval()


HEADS: dict[str, Any] = {
    "classification": {"heads": "classification"},
    "drawing": {"heads": "drawing", "canvas": "bernoulli"},
    "both": {},
    "fields of another head": {"heads": {"name": "regression", "values": 2}},
}


@pytest.mark.parametrize("heads", HEADS)
def test_the_batches_of_a_model_are_joined_whatever_they_hold(heads: str) -> None:
    model = tiny(**HEADS[heads])
    pixels = torch.rand(5, 1, 12, 12)
    found, whole = LiveModel(model, batch_size=2)(pixels).named(), model.predict(pixels).named()
    assert found.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.allclose(found[name], value, atol=1e-6), name


def opened_all(steps: Any, model: Any) -> Any:
    """The step graph has room for two glimpses where the model takes three: let the model take two."""
    model.config.__dict__["glimpses"] = steps.info.glimpses
    return steps


def test_several_paths_and_a_model_are_run(model: Any, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for place, picture in zip((tmp_path / "a.png", folder / "b.png", folder / "c.png"), PIXELS, strict=True):
        Image.fromarray(picture).save(place)
    found = run_folder(model, [folder, tmp_path / "a.png"], save=tmp_path / "drawn")
    assert [answer.path.name for answer in found.answers] == ["b.png", "c.png", "a.png"]
    logits = model.eval()(model.normalise(torch.from_numpy(FLOATS))).logits
    assert [answer.label for answer in found.answers] == logits.argmax(1)[[1, 2, 0]].tolist()
    assert all(answer.drawing is not None and answer.drawing.is_file() for answer in found.answers)
    with pytest.raises(InputError, match="No images were given"):
        run_folder(model, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot save in"):
        run_folder(model, tmp_path / "a.png", save=tmp_path / "file" / "x")


def test_the_command_takes_checkpoints_and_several_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, picture in zip("ab", PIXELS, strict=False):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    (tmp_path / "T.ONNX").write_bytes(HONEST.read_bytes())
    (tmp_path / "graph").write_bytes(HONEST.read_bytes())
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    for graph in (HONEST.parent / "model.safetensors", tmp_path / "T.ONNX", tmp_path / "graph"):
        assert main(["run", str(graph), *paths, "--device", "cpu"]) == 0
        said = capsys.readouterr().out
        assert "a.png" in said
        assert "b.png" in said


@pytest.mark.usefixtures("unchecked")
def test_a_model_runs_where_pytorch_does(model: Any) -> None:
    with pytest.raises(InputError, match="PyTorch runs a model on 'cpu' or 'cuda'; got 'tensorrt'"):
        LiveModel(model, "tensorrt")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="needs an NVIDIA GPU that PyTorch sees"):
            LiveModel(model, "cuda")
    with pytest.raises(InputError, match="takes an OnnxModel or a model; got str"):
        run_folder("m.onnx", "x.png")  # pyright: ignore[reportArgumentType]


def test_what_half_precision_costs_on_a_cpu_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    arrays.say_slow.cache_clear()
    half = broken(HONEST, tmp_path / "m.onnx", graph_entry(precision="fp16"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            opened(half)
        opened(HONEST)
    assert [message for message in caplog.messages if "fp16" in message] == [
        "This graph is in fp16 and runs on a CPU, where it takes 3 to 15 times as long as the same graph in fp32."
    ]


def test_one_thread_makes_all_runs_on_bound_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captured graphs and handles belong to a thread: requests of many threads must not make them anew."""
    seen = set()
    real = runners.BoundRunner._run

    def run(self: Any, given: Any) -> Any:
        seen.add(threading.get_ident())
        return real(self, given)

    monkeypatch.setattr(runners.BoundRunner, "_run", run)
    graph = read_graphs(HONEST.parent / "steps")["init"]
    bound = BoundRunner(open_session(graph.data, "cpu", allow_fallback=False, threads=1), torch.device("cpu"), (4,))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: bound({"image": torch.zeros(1 + n % 4, 1, 12, 12)}), range(12)))
    assert len(seen) == 1
    assert seen != {threading.get_ident()}
    assert set(bound.slots) == {(4, ())}


@pytest.mark.parametrize("buckets", [(), (4,)])
def test_bound_buffers_belong_to_no_mode_and_no_history(buckets: tuple[int, ...]) -> None:
    """The first call makes them: whatever it is in, later calls may be in something else."""
    graph = read_graphs(HONEST.parent / "steps")["init"]
    bound = BoundRunner(open_session(graph.data, "cpu", allow_fallback=False, threads=1), torch.device("cpu"), buckets)
    image = torch.rand(3, 1, 12, 12)
    with torch.inference_mode():
        first = bound({"image": image.clone()})
    learned = bound({"image": image.clone().requires_grad_()})
    plain = bound({"image": image})
    for name, value in plain.items():
        assert torch.equal(first[name], value)
        assert torch.equal(learned[name], value)
        assert not [one for one in (value, learned[name]) if one.requires_grad]
        assert not value.is_inference()
        value.add_(1)
    slot = next(iter(bound.slots.values()))
    buffers = [*slot.inputs.values(), *slot.outputs.values()]
    assert not [buffer for buffer in buffers if buffer.requires_grad or buffer.is_inference()]


@pytest.mark.parametrize(("built", "words"), [(None, "is built without CUDA"), ("13.0", "PyTorch sees no NVIDIA GPU")])
def test_why_runs_cannot_be_captured_is_told_truly(
    built: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=words):
        session.can_capture(allow_fallback=False)
    assert not session.can_capture(allow_fallback=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU nothing falls back")
def test_the_cpu_stands_in_for_captured_runs_where_that_is_allowed() -> None:
    assert opened(HONEST, device="cuda", cuda_graphs=True, allow_fallback=True).device == "cpu"
