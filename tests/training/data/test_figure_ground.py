"""Digits pasted on photographs: what is figure is known, and cannot be told by brightness or place."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.errors import ConfigError, InputError
from stawm.training import data
from stawm.training.data import figure_ground
from stawm.training.data.figure_ground import CONTRAST, FigureGround, paste
from tests.training.files import make_folder, make_idx


def some_digits(count: int, side: int = 4) -> Tensor:
    """Squares of full and of half opacity, each digit with another pixel missing."""
    digits = torch.full((count, 1, side, side), 255, dtype=torch.uint8)
    digits[:, :, 0, 0] = 100
    return digits


def flat_photographs(levels: list[int], channels: int = 3, size: tuple[int, int] = (9, 8)) -> Tensor:
    """Photographs of one level each, so that a patch says where it is from."""
    return torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, channels, *size).contiguous()


@given(st.integers(1, 9), st.sampled_from([1, 3]), st.integers(0, 5), st.integers(4, 9), st.integers(4, 8))
def test_each_image_is_a_digit_on_a_patch(count: int, channels: int, seed: int, h: int, w: int):
    digits, photographs = some_digits(count), flat_photographs([10, 120, 240], channels)
    images, masks = paste(digits, photographs, (h, w), seed)
    assert images.shape == (count, channels, h, w)
    assert masks.shape == (count, 1, h, w)
    for image, mask in zip(images, masks[:, 0], strict=True):
        assert mask.sum() == 15, "all but the pixel of less than half opacity"
        rows, columns = mask.nonzero().T
        assert (rows.max() - rows.min(), columns.max() - columns.min()) == (3, 3)
        faint = torch.zeros_like(mask)
        faint[rows.min(), columns.min()] = True
        ground = image[:, ~mask & ~faint]
        assert ground.unique().numel() <= 1
        level = int(ground[0, 0]) if ground.numel() else None
        for channel in image:
            (colour,) = channel[mask].unique().tolist()
            if level is not None:
                assert level in (10, 120, 240)
                assert abs(colour - level) >= CONTRAST - 1
                blended = level + 100 / 255 * (colour - level)
                assert abs(channel[faint].item() - blended) <= 1, "the colour itself is rounded"


def test_patches_are_cut_from_the_photographs_as_they_are():
    photographs = torch.arange(2 * 3 * 7 * 6, dtype=torch.uint8).view(2, 3, 7, 6)
    nothing = torch.zeros(40, 1, 2, 2, dtype=torch.uint8)
    images, masks = paste(nothing, photographs, (5, 4), 0)
    cut = {
        tuple(photographs[i, :, t : t + 5, l : l + 4].flatten().tolist())
        for i in range(2)
        for t in range(3)
        for l in range(3)  # noqa: E741
    }
    found = {tuple(image.flatten().tolist()) for image in images}
    assert found <= cut
    assert len(found) > 12, "many places of both photographs are used"
    assert not masks.any()


@given(st.floats(0, 1), st.integers(0, 5))
def test_a_photograph_keeps_so_much_of_its_contrast(contrast: float, seed: int):
    photographs = torch.randint(256, (3, 3, 9, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    digits = some_digits(6)
    full, masks = paste(digits, photographs, (9, 8), seed)
    images, same = paste(digits, photographs, (9, 8), seed, contrast)
    assert torch.equal(masks, same)
    outside = ~F.max_pool2d(masks.float(), 3, 1, 1).bool().expand_as(full)  # the half-covered pixel is left out too
    patches = photographs.float()[:, None]  # as large as the images, so every patch is a whole photograph
    for image, ours, where in zip(full.float(), images.float(), outside, strict=True):
        patch = next(p[0] for p in patches if torch.equal(p[0][where], image[where]))
        means = patch.mean(dim=(1, 2), keepdim=True).expand_as(patch)
        expected = means + contrast * (patch - means)
        assert (ours - expected)[where].abs().max() <= 0.501, "rounded once"


def test_all_of_the_contrast_is_the_photograph_itself_and_none_is_one_colour():
    photographs = torch.randint(256, (4, 3, 9, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    digits = some_digits(20)
    assert torch.equal(paste(digits, photographs, (9, 8), 1, 1.0)[0], paste(digits, photographs, (9, 8), 1)[0])
    nothing = torch.zeros_like(digits)
    whole = paste(nothing, photographs, (9, 8), 1, 1.0)[0]
    assert all(any(torch.equal(image, photograph) for photograph in photographs) for image in whole)
    flat = paste(nothing, photographs, (9, 8), 1, 0.0)[0]
    assert torch.equal(flat.amin(dim=(2, 3)), flat.amax(dim=(2, 3)))


@pytest.mark.parametrize("contrast", [-0.1, 1.5])
def test_a_contrast_is_a_share(contrast: float):
    with pytest.raises(ConfigError, match=r"contrast must be a number in \[0, 1\]"):
        FigureGround.Config(root="a", photographs="b", contrast=contrast)


def test_a_seed_repeats_the_images_and_another_gives_others(monkeypatch: pytest.MonkeyPatch):
    digits, photographs = some_digits(20), flat_photographs([*range(0, 250, 10)])
    images, masks = paste(digits, photographs, (9, 8), 4)
    again, masks_again = paste(digits, photographs, (9, 8), 4)
    assert torch.equal(images, again)
    assert torch.equal(masks, masks_again)
    assert not torch.equal(images, paste(digits, photographs, (9, 8), 5)[0])


def test_colours_keep_their_distance_from_the_ground_and_use_all_that_is_left():
    """Of 256 steps around the circle, 128 are too near; a distance of 64 is seen, and none below."""
    images, masks = paste(some_digits(400), flat_photographs([128]), (9, 8), 0)
    colours = torch.stack([i[:, m[0]][:, 0] for i, m in zip(images, masks, strict=True)]).long()
    distances = (colours - 128).abs()
    assert 64 - 1 <= distances.min() < 64 + 3
    assert distances.max() > 125


def test_a_pixel_is_figure_where_the_digit_covers_half_of_it_or_more():
    digits = torch.tensor([126, 127, 128, 129], dtype=torch.uint8).view(1, 1, 2, 2)
    _, masks = paste(digits, flat_photographs([10], size=(2, 2)), (2, 2), 0)
    assert masks.flatten().tolist() == [False, False, True, True]


def test_digits_are_lighter_and_darker_than_their_ground():
    images, masks = paste(some_digits(200), flat_photographs([128]), (9, 8), 0)
    brighter = [bool(i[0][m[0]].float().mean() > 128) for i, m in zip(images, masks, strict=True)]
    assert 0.3 < np.mean(brighter) < 0.7


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("figure-ground")
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("t10k", 4)):
        make_idx(root / "MNIST" / "raw" / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28)))
        make_idx(root / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte", np.arange(count))
    for part in ("train", "test"):
        make_folder(root / "photographs" / part, {"a": 3, "b": 2}, size=(32, 32))
    return root, root / "photographs"


@pytest.mark.parametrize("image", [None, (3, 32, 32), (1, 28, 28), (3, 30, 29)])
def test_the_set_by_name(roots: tuple[Path, Path], image: tuple[int, int, int] | None):
    train, test = data.load(f"figure-ground:{roots[0]},{roots[1]}", image=image)
    assert train.shape == (image or (3, 32, 32))
    assert (len(train), len(test)) == (6, 4)
    assert test.labels.tolist() == [0, 1, 2, 3]
    assert train.masks is not None
    assert train.masks.shape == (6, 1, *train.shape[1:])
    assert not torch.equal(train.masks[:4], test.masks)


def test_digits_to_test_on_are_pasted_elsewhere_than_those_to_learn_from(tmp_path: Path):
    """Digits and photographs are the same here: only where they are put can differ."""
    for part in ("train", "t10k"):
        make_idx(tmp_path / "MNIST" / "raw" / f"{part}-images-idx3-ubyte", np.full((8, 28, 28), 255))
        make_idx(tmp_path / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte", np.zeros(8))
    for part in ("train", "test"):
        make_folder(tmp_path / "photographs" / part, {"a": 1}, size=(40, 40))
    train, test = data.load(f"figure-ground:{tmp_path},{tmp_path / 'photographs'}")
    assert not torch.equal(train.masks, test.masks)


def test_the_set_for_larger_images_is_resized_with_its_masks(roots: tuple[Path, Path]):
    source = f"figure-ground:{roots[0]},{roots[1]}"
    small = data.load(source).train
    large = data.load(source, image=(3, 64, 64), resize=True).train
    assert large.shape == (3, 64, 64)
    assert torch.equal(large.masks[:, :, ::2, ::2], small.masks)
    with pytest.raises(InputError, match=r"are 3x32x32, the model takes 3x64x64.*--resize"):
        data.load(source, image=(3, 64, 64))


def test_photographs_smaller_than_digits_are_refused():
    with pytest.raises(InputError, match="photographs have 20x27 pixels; digits of 28x28 do not fit"):
        figure_ground.fitting_size((28, 28), (27, 20), None)
