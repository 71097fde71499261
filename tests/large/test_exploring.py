"""What is read in parts is what would be seen of the image in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import stawm
from benchmarks.large import write_tiff
from benchmarks.turns import forget_peak, resident
from stawm.core import thumbnail
from stawm.errors import InputError
from stawm.large import pyramid as large
from stawm.large.exploring import open_source
from stawm.large.levels import ArraySource
from stawm.large.pyramid import SourcePyramid
from stawm.large.source import Box, Source
from tests.large.tiffs import write_pyramid
from tests.small import shaken

EPS = torch.finfo(torch.float64).eps
SEES: dict[str, Any] = {
    "image": [3, 32, 32],
    "mean": [0.3, 0.4, 0.5],
    "std": [0.25, 0.2, 0.3],
    "context_size": 12,
    "glimpse_size": 8,
    "glimpses": 3,
    "memory_size": 8,
    "hidden_size": 16,
    "locator.antialias": True,
    "locator.scales": 2,
}
LARGEST = 0.7 / 0.2
"""The largest magnitude of a normalised pixel."""


def looker(**changes: Any) -> Any:
    return shaken(stawm.build("stawm-digits", seed=0, **{**SEES, **changes}), 0.3).double().eval()


def made(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def in_memory(model: Any, image: np.ndarray) -> torch.Tensor:
    return model.normalise(torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@settings(max_examples=15)
@given(
    seed=st.integers(0, 99),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    turn=st.lists(st.floats(-2, 2), min_size=4, max_size=4),
    centre=st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=2),
    square=st.booleans(),
)
def test_a_glimpse_is_that_of_the_image_in_memory(
    padding: str, seed: int, height: int, width: int, turn: list[float], centre: list[float], square: bool
) -> None:
    model = looker(**{"locator.padding": padding, "locator.square": square, "locator.outside": 0.3})
    image = made(seed, height, width)
    pose = torch.tensor([[turn[0], turn[1], centre[0], turn[2], turn[3], centre[1]]], dtype=torch.float64)
    whole = SourcePyramid(ArraySource(image), model)
    found, wanted = model.locator.glimpse(whole, pose), model.locator.glimpse(in_memory(model, image), pose)
    # A mean rounds at every halving. A coordinate, in pixels, by a few units of the numbers that it is made of; between
    # two pixels an image rises by at most twice the largest value. Folding and a pose's numbers make it no more than
    # four times as large as the image is wide.
    reach = 4 * 2 * max(height, width)
    assert (found - wanted).abs().max() <= EPS * LARGEST * (8 * 2 * reach + 64)


@given(seed=st.integers(0, 99), height=st.integers(1, 90), width=st.integers(1, 90), side=st.integers(1, 12))
def test_a_thumbnail_is_that_of_the_image_in_memory(seed: int, height: int, width: int, side: int) -> None:
    model, image = looker(), made(seed, height, width)
    whole = SourcePyramid(ArraySource(image), model)
    if min(height, width) < side:
        return
    wanted = thumbnail.shrink(torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255, side)[0]
    # Both are weighted means of as many numbers as there are rows and columns, which are no greater than 1.
    assert (whole.thumbnail(side) - wanted).abs().max() <= EPS * (height + width + 64)


@given(seed=st.integers(0, 99), height=st.integers(40, 90), width=st.integers(40, 90), side=st.integers(1, 9))
def test_a_thumbnail_of_a_coarser_level_differs_where_edges_cut_its_pixels(
    seed: int, height: int, width: int, side: int
) -> None:
    model, image = looker(), made(seed, height, width)
    with pytest.MonkeyPatch.context() as patch:
        exact = SourcePyramid(ArraySource(image), model).thumbnail(side)
        patch.setattr(large, "FINE", 2_000)
        whole = SourcePyramid(ArraySource(image), model)
        found = whole.thumbnail(side)
    assert whole.pixels <= 2_000
    number = next(n for n in range(9) if np.prod(whole.level(n)) <= 2_000)
    # An edge that cuts a pixel of the level at t takes t of its mean, and in truth at most t (1 - t) more or less: at
    # each end of a cell a quarter of a pixel, along either axis.
    bound = sum(0.5 * 2**number / (length / side) for length in (height, width))
    assert (found - exact).abs().max() <= bound + 1e-9
    if height % (side * 2**number) == width % (side * 2**number) == 0:
        assert (found - exact).abs().max() <= EPS * (height + width + 64)


@pytest.mark.parametrize(
    ("locator", "form"),
    [
        *((name, "array") for name in stawm.list_names("locator", origin="stawm")),
        *(("crop", x) for x in ("memmap", "floats", "tiff")),
    ],
)
def test_exploring_gives_what_the_model_gives(form: str, locator: str, tmp_path: Path) -> None:
    model, image = looker(locator=locator, **{"locator.antialias": True, "locator.scales": 2}), made(1, 131, 203)
    source: Any = image
    if form == "memmap":
        (tmp_path / "a.raw").write_bytes(image.tobytes())
        source = np.memmap(tmp_path / "a.raw", dtype=np.uint8, mode="r", shape=image.shape)
    elif form == "floats":
        source = image / 255
    elif form == "tiff":
        source = tmp_path / "a.tif"
        tifffile.imwrite(source, image, tile=(64, 64), photometric="rgb", compression="zlib")
    found = stawm.explore(model, source)
    with torch.no_grad():
        wanted = model(in_memory(model, image), glimpse_logits=True)
    assert found.output.named().keys() == wanted.named().keys()
    for name, value in wanted.named().items():
        # In double precision: whatever was read or computed otherwise would differ by far more.
        assert torch.allclose(found.output.named()[name], value, rtol=0, atol=1e-9), name
    assert (found.output.trace.pose[0] - model.locator.start_pose()).abs().max() > 0.01
    frames = (model.locator.frames(wanted.trace.pose[0], torch.tensor([203.0, 131.0])) + 1) / 2
    assert torch.allclose(found.corners, frames * torch.tensor([203.0, 131.0]), atol=1e-6)
    assert found.label == int(wanted.logits[0].argmax())


def test_a_pyramid_in_the_file_is_read_in_place_of_the_image(tmp_path: Path) -> None:
    model, image = looker(), made(1, 256, 256)
    write_pyramid(tmp_path / "a.tif", image, levels=3)
    source = open_source(tmp_path / "a.tif")
    pose = torch.tensor([[0.9, 0.1, 0.2, -0.1, 0.8, 0.1]], dtype=torch.float64)
    found = model.locator.glimpse(SourcePyramid(source, model), pose)
    wanted = model.locator.glimpse(in_memory(model, image), pose)
    difference = (found - wanted).abs().max()
    # Each of three levels is rounded to bytes once more.
    assert 1e-6 < difference <= 3 * 0.5 / 255 / 0.2 + 1e-9


def test_an_own_source_is_asked_for_no_more_than_is_promised() -> None:
    image, asked = made(0, 300, 500), []

    class Own:
        size = (300, 500)

        def read(self, box: Box, size: tuple[int, int]) -> np.ndarray:
            asked.append((box, size))
            return ArraySource(image).read(box, size)

    assert isinstance(Own(), Source)
    found = stawm.explore(looker(), Own())
    assert found.pixels <= sum(h * w for _, (h, w) in asked)
    for (top, left, bottom, right), (height, width) in asked:
        factors = [2**n for n in range(12) if -(-(bottom - top) // 2**n) == height]
        assert any(
            top % f == left % f == 0
            and -(-(right - left) // f) == width
            and (bottom - top == height * f or bottom == 300)
            and (right - left == width * f or right == 500)
            for f in factors
        )


@pytest.mark.parametrize("size", [(4096, 4096), (1024, 16384), (12, 5000)])
def test_glimpses_read_no_more_of_a_larger_image(size: tuple[int, int]) -> None:
    class Even:
        def __init__(self) -> None:
            self.size = size

        def read(self, box: Box, size: tuple[int, int]) -> np.ndarray:
            return np.full(size, 100, np.uint8)

    model = looker(**{"locator.square": True})
    whole = SourcePyramid(Even(), model)
    whole.thumbnail(12)
    assert whole.pixels <= large.FINE
    whole.pixels = 0
    pose = torch.tensor([[0.7, 0.7, 0.0, -0.7, 0.7, 0.0]], dtype=torch.float64)
    model.locator.glimpse(whole, pose)
    # Two views of 8x8 pixels, each turned by 45 degrees, from two levels: of the finer one a pixel covers at most two.
    assert whole.pixels <= 2 * 2 * (2 * 2**0.5 * 8 + 3) ** 2


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"context_size": None}, "images of any size, such as one with context_size"),
        ({"locator.antialias": False}, "locator.antialias=false"),
    ],
)
def test_a_model_that_cannot_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        stawm.explore(looker(**changes), np.zeros((99, 99), np.uint8))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((11, 500), np.uint8), "The image has 11x500 pixels.*at least 12x12"),
        (np.zeros((500, 11, 3), np.uint8), "500x11"),
        (torch.zeros(3, 99, 99), "got Tensor"),
        (17, "got int"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_image_to_explore_is_refused(source: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        stawm.explore(looker(), source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("glimpses", [1, 5])
def test_glimpses_are_as_many_as_are_asked_for(glimpses: int) -> None:
    found = stawm.explore(looker(), made(0, 64, 80), glimpses=glimpses)
    assert len(found.corners) == len(found.as_dict()["glimpses"]) == glimpses
    assert str(found).count("glimpse ") == glimpses


def test_a_model_stays_in_the_mode_that_it_was_in() -> None:
    model = looker().train()
    assert not stawm.explore(model, made(0, 64, 80)).output.logits.requires_grad
    assert model.training


@pytest.mark.long
def test_a_huge_file_takes_no_more_memory(tmp_path: Path) -> None:
    """400 million pixels, 1.2 GB, with less than a quarter of that; `python -m benchmarks.large` measures the time."""
    write_tiff(tmp_path / "a.tif", 20_000)
    model = looker().float()
    forget_peak()
    before = resident("VmRSS")
    found = stawm.explore(model, tmp_path / "a.tif")
    assert found.size == (20_000, 20_000)
    assert resident("VmHWM") - before <= 300e6
