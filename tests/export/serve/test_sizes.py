"""Images of several sizes: files and arrays, through graphs, models, commands and workers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stawm.cli import main
from stawm.errors import InputError
from stawm.export.bulk import Predictor
from stawm.export.file.describing import describe
from stawm.export.file.files import read_graphs
from stawm.export.file.writing import write_graphs
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import prepare
from stawm.export.run.host import HostRunner
from stawm.export.run.providers import open_session
from stawm.export.run.runners import KEPT, BoundRunner
from stawm.export.serve.folder import run_folder
from stawm.export.serve.grouping import groups_of
from stawm.export.serve.live import LiveModel
from stawm.export.write.exporting import build
from tests.export.opened import opened
from tests.models.test_any_size import eyes
from tests.shared import once
from tests.small import shaken

SIZES = ((24, 24), (13, 30), (24, 24), (40, 17), (13, 30))


@pytest.fixture(scope="module")
def model(few_levels: None) -> Any:
    return shaken(eyes(glimpses=1)).eval()


@pytest.fixture(scope="module")
def graph(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A step graph that is written without its proof, which others test."""

    def make(folder: Path) -> Path:
        prepared = prepare(model, Plan("step", 1, ("logits", "pose"), False), "fp32")
        write_graphs(folder / "m", build(prepared, describe(model, prepared), 18))
        return folder / "m"

    return once(tmp_path_factory, "sizes", make)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, made = tmp_path_factory.mktemp("pictures"), []
    for number, pixels in enumerate(arrays()):
        made.append(folder / f"{number}.png")
        Image.fromarray(pixels[0]).save(made[-1])
    return made


def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (1, *size), dtype=np.uint8) for size in SIZES]


def one_by_one(model: Any) -> torch.Tensor:
    return torch.cat([model.predict(torch.from_numpy(pixels)[None]).logits for pixels in arrays()])


def runners(model: Any, graph: Path) -> dict[str, Any]:
    return {"graph": opened(graph), "model": LiveModel(model)}


@pytest.mark.parametrize("kind", ["graph", "model"])
def test_answers_are_those_of_each_image_in_the_order_given(
    kind: str, model: Any, graph: Path, pictures: list[Path]
) -> None:
    runner, wanted = runners(model, graph)[kind], one_by_one(model)
    for given in (pictures, arrays(), [torch.from_numpy(pixels) for pixels in arrays()]):
        found = runner(given)
        assert torch.allclose(found.logits, wanted, atol=1e-5)
    looked = runner.look(pictures, until=1.0)
    assert torch.allclose(looked.logits, wanted, atol=1e-5)
    assert looked.glimpses.tolist() == [1] * len(SIZES)
    assert torch.allclose(runner(pictures[1]).logits, wanted[1:2], atol=1e-5)
    assert torch.allclose(runner([pictures[1], pictures[4]]).logits, wanted[[1, 4]], atol=1e-5)


def test_images_of_one_size_are_run_together(model: Any, pictures: list[Path]) -> None:
    info = LiveModel(model).info
    assert groups_of(pictures, info) == [[0, 2], [1, 4], [3]] == groups_of(arrays(), info)
    assert groups_of(arrays()[0], info) == []
    fixed = LiveModel(shaken(eyes(context_size=None)))
    assert groups_of(pictures, fixed.info) == []


def test_a_model_of_one_size_brings_files_to_it_as_before(pictures: list[Path]) -> None:
    fixed = LiveModel(shaken(eyes(context_size=None)))
    assert fixed(pictures).logits.shape == (5, 10)
    with pytest.raises(InputError, match="arrays of one type and shape"):
        fixed(arrays())


def test_a_folder_of_any_pictures_is_run_unsqueezed(
    model: Any, graph: Path, pictures: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = one_by_one(model)
    for runner in runners(model, graph).values():
        found = run_folder(runner, pictures[0].parent).answers
        assert [answer.label for answer in found] == wanted.argmax(dim=1).tolist()
    looked = run_folder(LiveModel(model), pictures[0].parent, until=1.0).answers
    assert [answer.label for answer in looked] == wanted.argmax(dim=1).tolist()
    assert main(["run", str(graph), str(pictures[0].parent), "--device", "cpu", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["answers"]
    assert [answer["label"] for answer in said] == wanted.argmax(dim=1).tolist()


def test_workers_take_a_column_of_pictures_of_any_size(model: Any, graph: Path) -> None:
    column = np.empty(len(SIZES), dtype=object)
    column[:] = [pixels[0] for pixels in arrays()]
    found = Predictor(graph, device="cpu")({"image": column, "key": np.arange(5)})
    assert found["label"].tolist() == one_by_one(model).argmax(dim=1).tolist()
    assert found["key"].tolist() == [0, 1, 2, 3, 4]


def test_what_is_too_small_is_named(graph: Path, pictures: list[Path], tmp_path: Path) -> None:
    Image.new("L", (30, 9)).save(tmp_path / "small.png")
    small, session = tmp_path / "small.png", opened(graph)
    for given in (small, [small], [*pictures, small]):
        with pytest.raises(InputError, match=r"small\.png has 9x30 pixels; .* h and w from 10 to 16,384") as caught:
            session(given)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"takes pixels of shape \(b, 1, h, w\).*got uint8 of shape \(2, 9, 30\)"):
        session(np.zeros((2, 9, 30), np.uint8))
    with pytest.raises(InputError, match=r"got uint8 of shape \(0, 1, 40, 9\)"):
        session(np.zeros((0, 1, 40, 9), np.uint8))


@pytest.mark.parametrize(
    "shape", [(1, 11, 30), (11, 30), (11, 30, 1), (2, 11, 30), (2, 11, 30, 1), (2, 1, 11, 30), (0, 11, 30)]
)
def test_arrays_may_lie_as_they_may_for_one_size(shape: tuple[int, ...], model: Any) -> None:
    pixels = np.random.default_rng(0).random(shape).astype(np.float32)
    flat = torch.from_numpy(pixels.reshape(-1, 1, 11, 30))
    found = LiveModel(model)(pixels).logits
    assert found.shape == (len(flat), 10)
    if len(flat):
        assert torch.allclose(found, model.predict(flat).logits, atol=1e-6)


def test_buffers_are_kept_for_few_sizes_of_images(graph: Path) -> None:
    """The path of GPUs, with its buffers on the CPU."""
    part = open_session(read_graphs(graph)["init"].data, "cpu", allow_fallback=False, threads=1)
    bound, plain = BoundRunner(part, torch.device("cpu"), [1, 2, 4]), HostRunner(part)
    for wide in (20, *range(11, KEPT + 14), 20):
        given = {"image": torch.rand(3, 1, 12, wide, generator=torch.Generator().manual_seed(wide))}
        found = bound(given)
        assert all(torch.allclose(found[name], value, atol=1e-6) for name, value in plain(given).items())
    assert len(bound.slots) == KEPT
