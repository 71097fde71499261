"""Parts of arrays and of TIFF files, against means that are taken pixel by pixel."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from stawm.errors import InputError, MissingPackageError
from stawm.large import levels
from stawm.large.levels import ArraySource
from stawm.large.source import Box, check_source, read_part, reduced
from stawm.large.tiff import TiffSource
from tests.large.tiffs import TILE, write_pyramid

EPS = np.finfo(np.float64).eps


def naive(image: np.ndarray, box: Box, size: tuple[int, int], factor: int) -> np.ndarray:
    """The mean of what each pixel covers of the image, in [0, 1]."""
    top, left, bottom, right = box
    found = np.empty((*size, image.shape[2]))
    for row in range(size[0]):
        for column in range(size[1]):
            rows = slice(top + row * factor, min(top + (row + 1) * factor, bottom))
            columns = slice(left + column * factor, min(left + (column + 1) * factor, right))
            found[row, column] = image[rows, columns].astype(float).mean(axis=(0, 1))
    return found / 255


@st.composite
def parts(draw: st.DrawFn) -> tuple[np.ndarray, Box, int]:
    height, width, channels = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 3]))
    image = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width, channels), np.uint8)
    factor = 2 ** draw(st.integers(0, 6))
    rows, columns = reduced((height, width), factor)
    top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    bottom, right = draw(st.integers(top + 1, rows)), draw(st.integers(left + 1, columns))
    return image, (top * factor, left * factor, min(bottom * factor, height), min(right * factor, width)), factor


@given(parts(), st.sampled_from([levels.OVERVIEW, 64, 1]), st.booleans())
def test_a_part_of_an_array_is_the_mean_of_its_squares(
    part: tuple[np.ndarray, Box, int], overview: int, floats: bool
) -> None:
    image, box, factor = part
    size = reduced((box[2] - box[0], box[3] - box[1]), factor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "OVERVIEW", overview)
        patch.setattr("stawm.large.means.BLOCK", 16)
        source = ArraySource(image / 255 if floats else image)
        found = read_part(source, box, size, image.shape[2]).numpy()
    exact = naive(image, box, size, factor)
    # As many roundings as numbers are added up, and a few for shares of a last row and for the division; one more, to
    # single precision, in an overview.
    rounding = (factor**2 + 8) * EPS + (np.finfo(np.float32).eps if overview <= 64 else 0)
    assert np.abs(found - np.moveaxis(exact, 2, 0)).max() <= rounding


def test_an_overview_is_read_once_and_then_served(monkeypatch: pytest.MonkeyPatch) -> None:
    image, reads = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64), []

    class Watched(np.ndarray):
        def __getitem__(self, index: Any) -> Any:
            reads.append(index)
            return np.asarray(self)[index]

    monkeypatch.setattr(levels, "OVERVIEW", 64)
    source = ArraySource(image.view(Watched))
    first = source.read((0, 0, 64, 64), (8, 8))
    once = len(reads)
    assert (source.read((0, 0, 64, 64), (8, 8)) == first).all()
    source.read((0, 0, 64, 64), (1, 1))
    assert len(reads) == once > 0


@pytest.mark.parametrize("form", ["rgb", "grey", "planar", "negative", "floor"])
def test_a_part_of_a_tiff_is_that_of_its_nearest_level(form: str, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (201, 330, 3), dtype=np.uint8)
    path, options = tmp_path / "a.tif", {}
    if form in ("grey", "negative"):
        image = image[:, :, :1]
        options = {"photometric": "miniswhite" if form == "negative" else "minisblack"}
    if form == "planar":
        with tifffile.TiffWriter(path) as file:
            file.write(np.moveaxis(image, 2, 0), tile=TILE, photometric="rgb", planarconfig="separate")
        written = [image]
    elif form == "floor":
        written = [image, image[:200:2, :330:2]]
        with tifffile.TiffWriter(path) as file:
            file.write(image, tile=TILE, photometric="rgb", subifds=1)
            file.write(written[1], tile=TILE, photometric="rgb", subfiletype=1)
    else:
        stored = 255 - image if form == "negative" else image
        written = write_pyramid(path, stored[:, :, 0] if image.shape[2] == 1 else stored, **options)
        written = [255 - level if form == "negative" else level for level in written]
    source = TiffSource(path)
    assert source.size == (201, 330)
    assert sorted(source.levels) == [2**i for i in range(len(written))]
    box = (60, 100, 140, 300)
    for number, level in enumerate(written):
        factor = 2**number
        found = source.read(box, (80 // factor, 200 // factor))
        part = level[60 // factor : 140 // factor, 100 // factor : 300 // factor]
        assert (found == part.reshape(found.shape)).all()
    whole = source.read((0, 0, 201, 330), reduced((201, 330), 64))
    # Each level is rounded to bytes once, from the one before; of the picture without its last row a row lacks.
    slack = (len(written) - 1) * 0.5 / 255 + 1e-12
    if form != "floor":
        assert np.abs(whole - naive(image, (0, 0, 201, 330), whole.shape[:2], 64)).max() <= slack
    assert whole.shape[:2] == (4, 6)


def test_a_level_that_is_no_halving_is_left_out(tmp_path: Path) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(image, tile=TILE, photometric="rgb", subifds=2)
        file.write(image[:100, :150], tile=TILE, photometric="rgb", subfiletype=1)
        file.write(image[:70, :110], tile=TILE, photometric="rgb", subfiletype=1)
    assert sorted(TiffSource(tmp_path / "a.tif").levels) == [1, 2]


def test_grey_and_colour_become_each_other() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    grey = read_part(ArraySource(colour), (0, 0, 4, 5), (4, 5), 1)
    assert np.allclose(grey[0].numpy(), colour @ [0.299, 0.587, 0.114] / 255, atol=1e-12)
    shown = read_part(ArraySource(colour[:, :, 0]), (0, 0, 4, 5), (4, 5), 3)
    assert all((plane.numpy() == colour[:, :, 0] / 255).all() for plane in shown)


IMAGE = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)


def _bad(path: Path, kind: str) -> None:
    data = IMAGE
    if kind == "strips":
        tifffile.imwrite(path, data, photometric="rgb")
    elif kind == "deep":
        tifffile.imwrite(path, data.astype(np.uint16), photometric="rgb", tile=TILE)
    elif kind == "pages":
        tifffile.imwrite(path, np.zeros((5, 128, 128), np.uint8), photometric="minisblack", tile=TILE)
    elif kind == "alpha":
        tifffile.imwrite(
            path, np.zeros((128, 128, 4), np.uint8), photometric="rgb", extrasamples=["unassalpha"], tile=TILE
        )
    elif kind == "turned":
        tifffile.imwrite(path, data, photometric="rgb", tile=TILE, extratags=[(274, 3, 1, 6, True)])
    elif kind == "png":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        write_pyramid(path, data)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("strips", r"without tiles, so that no part can be read without the rest; .*tile=\(256, 256\)"),
        ("deep", "has pixels of uint16"),
        ("pages", "several pictures"),
        ("alpha", "4 channels"),
        ("turned", "turned"),
        ("png", "cannot be read as a TIFF"),
        ("empty", "cannot be read as a TIFF"),
        ("folder", "a folder"),
        ("missing", "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_in_parts_is_refused(kind: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    _bad(path, kind)
    with pytest.raises(InputError, match=words) as caught:
        TiffSource(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    whole, path = tmp_path / "a.tif", tmp_path / "b.tif"
    write_pyramid(whole, IMAGE)
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"truncated|cannot be read as a TIFF") as caught:
        TiffSource(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_tile_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_pyramid(path, IMAGE)
    with tifffile.TiffFile(path) as file:
        start = file.pages.first.dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    source = TiffSource(path)
    assert (source.read((64, 64, 128, 128), (64, 64)) == IMAGE[64:, 64:128]).all()
    with pytest.raises(InputError, match="cannot be read as a TIFF"):
        source.read((0, 0, 64, 64), (64, 64))


@pytest.mark.parametrize("package", ["tifffile", "zarr"])
def test_a_package_that_lacks_is_named_with_its_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pyramid(tmp_path / "a.tif", IMAGE)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"needs {package}: pip install 'stawm\[large\]'"):
        TiffSource(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 4), np.uint8), r"got \(0, 4\)"),
        (np.zeros((4, 0, 3), np.uint8), r"got \(4, 0, 3\)"),
        (np.zeros((3, 40, 40), np.uint8), r"got \(3, 40, 40\)"),
        (np.zeros(5, np.uint8), r"got \(5,\)"),
        (np.zeros((4, 4), np.int64), "got int64"),
        (np.zeros((4, 4), np.uint16), "got uint16"),
    ],
)
def test_an_array_of_another_form_is_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ArraySource(array)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 8, 8), (3, 3)),
        ((2, 0, 6, 4), (1, 1)),
        ((0, 0, 17, 8), (17, 8)),
        ((-1, 0, 7, 8), (8, 8)),
        ((4, 4, 4, 8), (0, 4)),
        ((0, 0, 8, 16), (2, 2)),
    ],
)
def test_a_part_that_there_is_not_is_refused(box: Box, size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="The part"):
        ArraySource(np.zeros((16, 16), np.uint8)).read(box, size)


class Own:
    """A source of somebody else's."""

    def __init__(self, gives: Any, size: Any = (8, 8)) -> None:
        self.gives, self.size = gives, size

    def read(self, box: Box, size: tuple[int, int]) -> Any:
        return self.gives


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        (np.zeros((4, 5), np.uint8), r"must give an array of shape \(4, 4\).*it gave an array of shape \(4, 5\)"),
        (np.zeros((4, 4, 2), np.uint8), r"gave an array of shape \(4, 4, 2\)"),
        (None, "gave NoneType"),
        (np.zeros((4, 4), int), "gave int64"),
        (np.full((4, 4), 2.0), r"must be in \[0, 1\]"),
        (np.full((4, 4), np.nan), r"must be in \[0, 1\]"),
    ],
)
def test_a_read_that_gives_something_else_is_refused(gives: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_part(Own(gives), (0, 0, 8, 8), (4, 4), 3)


@pytest.mark.parametrize("size", [(0, 8), (8,), (8, 8, 3), [8, 8], (8.0, 8), None])
def test_a_source_whose_size_is_none_is_refused(size: Any) -> None:
    with pytest.raises(InputError, match=r"Own\.size must be height and width"):
        check_source(Own(None, size))
