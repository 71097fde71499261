"""One reader: whoever reads a picture sees what people see, or says what is wrong with it."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps
from torch import Tensor

from stawm.errors import InputError
from stawm.export.file.metadata import GraphInfo
from stawm.export.graphs.fields import OnnxOutput
from stawm.export.serve.folder import run_folder
from stawm.export.serve.pixels import prepare
from stawm.export.serve.session import OnnxModel
from stawm.pictures import LIGHT, measure
from stawm.training import data
from stawm.training.data.files import read_images
from stawm.training.data.pictures import read
from tests.training.data.drawn import COLOUR, GREY, KINDS, REFUSED, Kind, frames, save

Reader = Callable[[Path, int, tuple[int, int], Any], Tensor]
EASY = "!.png"
"""A picture that comes before every other in a folder, so that no other is the first that is read."""


def info(channels: int, size: tuple[int, int], resize: str) -> GraphInfo:
    config = {"name": "x", "image": [channels, *size], "mean": [0], "std": [1], "resize": resize, "class_names": []}
    rest: dict[str, Any] = {"precision": "fp32", "fields": (), "inputs": (), "outputs": (), "versions": {}}
    return GraphInfo(
        kind="rollout", part=None, glimpses=1, sample=False, config=config, weights="", version="0", **rest
    )


class Seeing(OnnxModel):
    """Stands for a graph: keeps what it is given."""

    def __init__(self, info: GraphInfo) -> None:
        self.info, self.batch_size, self.seen = info, 8, list[Tensor]()

    def __call__(self, pixels: Any, **options: Any) -> OnnxOutput:
        self.seen.append(pixels)
        return OnnxOutput(logits=torch.zeros(len(pixels), 2))


def by_reader(path: Path, channels: int, size: tuple[int, int], rule: Any) -> Tensor:
    return read(path, channels, size, rule)


def by_open_file(path: Path, channels: int, size: tuple[int, int], rule: Any) -> Tensor:
    if not path.is_file() or not 0 < path.stat().st_size < 2**28:
        pytest.skip("only what is in a file of some size can be sent")
    return read(io.BytesIO(path.read_bytes()), channels, size, rule)


def by_images(path: Path, channels: int, size: tuple[int, int], rule: Any) -> Tensor:
    return read_images([path.parent / EASY, path], channels, size, rule)[1]


def by_training(path: Path, channels: int, size: tuple[int, int], rule: Any, memory: int | None = None) -> Tensor:
    source = f"folder:{path.parents[1]}"
    held = data.load(source, image=(channels, *size), resize=rule, held_out=1, memory=memory)
    return held.test.images[:][1]


def by_stream(path: Path, channels: int, size: tuple[int, int], rule: Any) -> Tensor:
    return by_training(path, channels, size, rule, memory=0)


def by_session(path: Path, channels: int, size: tuple[int, int], rule: Any) -> Tensor:
    return torch.from_numpy(255 * prepare([path.parent / EASY, path], info(channels, size, rule))[1]).round().byte()


def by_run(path: Path, channels: int, size: tuple[int, int], rule: Any) -> Tensor:
    graph: Any = Seeing(info(channels, size, rule))
    run_folder(graph, path.parent)
    return (255 * graph.seen[0][1]).round().byte()


READERS = [by_reader, by_open_file, by_images, by_training, by_stream, by_session, by_run]


def put(folder: Path, name: str, write: Callable[[Path], Any]) -> Path:
    place = folder / "pictures" / "class"
    place.mkdir(parents=True)
    Image.fromarray(GREY).save(place / EASY)
    write(place / name)
    return place / name


def assert_seen(found: Tensor, kind: Kind, channels: int) -> None:
    seen = Image.fromarray(kind.seen).convert("L" if channels == 1 else "RGB")
    expected = torch.from_numpy(np.array(seen)).reshape(16, 24, channels).permute(2, 0, 1)
    assert found.shape == expected.shape
    assert (found.int() - expected.int()).abs().max() <= kind.tolerance


@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_a_picture_is_read_as_people_see_it(tmp_path: Path, kind: Kind, reader: Reader) -> None:
    path = put(tmp_path, kind.name, kind.write)
    assert_seen(reader(path, 3, (16, 24), "crop"), kind, 3)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_its_brightness_and_its_size_are_those_that_people_see(tmp_path: Path, kind: Kind) -> None:
    kind.write(tmp_path / kind.name)
    assert_seen(read(tmp_path / kind.name, 1), kind, 1)
    assert measure(tmp_path / kind.name) == (16, 24)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.__name__)
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_for_all_that_it_holds_is_refused_by_name(
    tmp_path: Path, name: str, reader: Reader
) -> None:
    write, words = REFUSED[name]
    path = put(tmp_path, name, write)
    with pytest.raises(InputError) as caught:
        reader(path, 3, (16, 24), "crop")
    assert words in str(caught.value)
    assert (str(path) if reader is not by_open_file else "The picture") in str(caught.value)


def test_no_paths_are_refused() -> None:
    with pytest.raises(InputError, match="no images to read"):
        read_images([], 1, (4, 4))


@pytest.mark.parametrize("place", ["", "nowhere/x.png", "null\0.png"])
def test_a_path_that_leads_to_no_file_is_refused(tmp_path: Path, place: str) -> None:
    for reading in (read, lambda path, _: measure(path)):
        with pytest.raises(InputError, match="cannot be read as an image"):
            reading(tmp_path / place, 3)


def test_previews_behind_the_picture_of_a_phone_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    Image.fromarray(GREY).save(path, "MPO", save_all=True, append_images=[Image.fromarray(0 * GREY)], quality=100)
    with Image.open(path) as file:
        assert file.format == "MPO"
        assert getattr(file, "n_frames", 1) == 2
    assert (read(path, 1)[0].int() - torch.from_numpy(GREY).int()).abs().max() <= 2


@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.__name__)
@pytest.mark.parametrize("size", [(16, 16), (8, 24), (20, 10), (40, 60)])
def test_every_reader_resizes_by_the_rule_that_is_given(tmp_path: Path, reader: Reader, size: tuple[int, int]) -> None:
    path, image = put(tmp_path, "x.png", save(COLOUR)), Image.fromarray(COLOUR)
    h, w = size
    fitted = {
        "crop": ImageOps.fit(image, (w, h), Image.Resampling.BILINEAR),
        "squeeze": image.resize((w, h), Image.Resampling.BILINEAR),
    }
    for rule, expected in fitted.items():
        found = reader(path, 3, size, rule)
        assert torch.equal(found, torch.from_numpy(np.array(expected)).permute(2, 0, 1))


def test_of_one_frame_an_animation_is_a_picture(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "one.gif", save_all=True)
    assert torch.equal(read(tmp_path / "one.gif", 1)[0], torch.from_numpy(GREY))
    frames()(tmp_path / "two.gif")
    with pytest.raises(InputError, match=r"two\.gif has more than one frame"):
        measure(tmp_path / "two.gif")


shades = hnp.arrays(np.uint8, (4, 5, 4))


@given(shades)
def test_what_is_opaque_stays_and_what_is_not_is_of_the_other_brightness(rgba: np.ndarray) -> None:
    opacity = rgba[..., 3]
    file = io.BytesIO()
    Image.fromarray(rgba).save(file, "PNG")
    if not opacity.any():
        with pytest.raises(InputError, match="transparent throughout"):
            read(file, 3)
        return
    light = np.average(np.array(Image.fromarray(rgba).convert("L")), weights=opacity) > LIGHT
    share = opacity[..., None] / 255
    expected = share * rgba[..., :3] + (1 - share) * (0 if light else 255)
    found = read(file, 3).permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() <= 1, "Pillow computes it in whole numbers"


@given(st.integers(0, 255), hnp.arrays(np.bool_, (4, 5)))
def test_no_figure_vanishes(level: int, figure: np.ndarray) -> None:
    if not figure.any() or figure.all():
        return
    file = io.BytesIO()
    Image.fromarray(np.dstack([np.full((4, 5, 3), level), 255 * figure]).astype(np.uint8)).save(file, "PNG")
    found = read(file, 1)[0].numpy().astype(int)
    assert (found[figure] == level).all()
    assert (np.abs(found[~figure] - level) >= 127).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_digit_drawn_on_nothing_is_the_digit(tmp_path: Path, mode: str) -> None:
    """Of one colour, and as opaque as it is strong, as drawing programs and pages in a browser send it."""
    for digit in data.load("digits").test.images[:20, 0].numpy():
        for level, seen in ((255, digit), (0, 255 - digit)):
            planes = [Image.new("L", (16, 16), level)] * (len(mode) - 1)
            Image.merge(mode, [*planes, Image.fromarray(digit)]).save(tmp_path / "digit.png")
            assert np.array_equal(read(tmp_path / "digit.png", 1)[0].numpy(), seen)


@given(st.binary(max_size=200), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"]), st.integers(0))
def test_damaged_files_are_read_or_refused_in_one_way(noise: bytes, form: str, place: int) -> None:
    whole = io.BytesIO()
    Image.fromarray(COLOUR).save(whole, form)
    damaged = bytearray(whole.getvalue())
    at = place % len(damaged)
    damaged[at : at + len(noise)] = noise
    with contextlib.suppress(InputError):
        assert read(io.BytesIO(damaged), 1).dtype == torch.uint8
