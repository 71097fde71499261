"""Glimpses of several scales, averaged, and square in images that are not: what locators have in common there."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from stawm.core.affine import invert
from stawm.core.pyramid import Pyramid
from stawm.errors import ConfigError
from stawm.nn.locators.affine import Affine
from stawm.nn.locators.crop import Crop
from stawm.nn.locators.filterbank import FilterBank
from stawm.nn.testing import check_locator
from tests.core.twins import EXACT
from tests.strategies import assert_near, normal

each = pytest.mark.parametrize("cls", [Affine, Crop])
WHOLE = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]).double()


def made(cls: Any, glimpse: int = 4, image: tuple[int, int] = (16, 16), **fields: Any) -> Any:
    return cls(cls.Config(**fields), glimpse_size=glimpse, image_size=image).double()


def window(cls: Any, x: float, y: float, scale: float) -> Tensor:
    return torch.tensor([[scale, 0, x, 0, scale, y]] if cls is Affine else [[x, y, scale]], dtype=torch.float64)


@each
@pytest.mark.parametrize(
    "fields", [{"scales": 3}, {"antialias": True}, {"scales": 2, "antialias": True, "square": True}]
)
def test_the_contract_holds(cls: Any, fields: dict[str, Any]):
    check_locator(cls, config=cls.Config(**fields), seeds=(0,), export=False)


@pytest.mark.parametrize("fields", [{"scales": 3}, {"antialias": True}, {"scales": 2, "antialias": True}])
def test_the_contract_of_the_filters_holds(fields: dict[str, Any]):
    check_locator(FilterBank, config=FilterBank.Config(**fields), seeds=(0,), export=False)


@pytest.mark.parametrize("antialias", [False, True])
def test_each_view_of_the_filters_is_that_of_a_pose_twice_as_wide(antialias: bool):
    (image,) = normal(0, (1, 2, 16, 16))
    several, single = made(FilterBank, scales=2, antialias=antialias), made(FilterBank, antialias=antialias)
    pose = torch.tensor([[0.1, -0.2, 0.3, -1.5, 0.1]], dtype=torch.float64)
    wider = torch.tensor([[0.1, -0.2, 0.3 + 2 * math.log(2), -1.5 + math.log(2), 0.1]], dtype=torch.float64)
    expected = torch.cat([single.glimpse(image, pose), single.glimpse(image, wider)], dim=1)
    assert_near(several.glimpse(image, pose), expected, EXACT)


@each
@pytest.mark.parametrize("antialias", [False, True])
def test_each_view_is_the_glimpse_of_a_pose_twice_as_wide(cls: Any, antialias: bool):
    (image,) = normal(0, (1, 2, 16, 16))
    several, single = made(cls, scales=3, antialias=antialias), made(cls, antialias=antialias)
    seen = several.glimpse(image, window(cls, 0.1, -0.2, 0.15))
    assert seen.shape == (1, 6, 4, 4)
    for view in range(3):
        alone = single.glimpse(image, window(cls, 0.1, -0.2, 0.15 * 2**view))
        assert_near(seen[:, 2 * view : 2 * view + 2], alone, EXACT)


@each
def test_a_model_starts_with_its_widest_view_on_the_whole_image(cls: Any):
    locator = made(cls, scales=4)
    start, whole = (pose().double()[None] for pose in (locator.start_pose, locator.identity_pose))
    frames = locator.frames(start)
    assert torch.equal(frames[0, -1], WHOLE)
    assert torch.equal(frames[0, 0], WHOLE / 8)
    assert torch.equal(locator.frame(whole)[0], WHOLE)
    assert torch.equal(made(cls).start_pose(), made(cls).identity_pose())


@each
def test_what_was_prepared_once_gives_the_same_glimpses(cls: Any):
    (image,) = normal(1, (2, 1, 13, 16))
    locator, pose = made(cls, antialias=True, scales=2, outside=-0.5), window(cls, 0.2, 0.1, 0.4).expand(2, -1)
    whole = locator.prepare(image)
    assert isinstance(whole, Pyramid)
    assert torch.equal(locator.glimpse(whole, pose), locator.glimpse(image, pose))
    assert made(cls).prepare(image) is image


@each
@pytest.mark.parametrize("antialias", [False, True])
def test_a_square_glimpse_sees_no_stretched_pixels(cls: Any, antialias: bool):
    """In an image of 8x32 whose pixels are squares of 4x4, a glimpse of 8x8 pixels sees squares too."""
    (coarse,) = normal(2, (1, 1, 2, 8))
    image = coarse.repeat_interleave(4, 2).repeat_interleave(4, 3)
    locator = made(cls, 8, (8, 32), square=True, antialias=antialias)
    seen = locator.glimpse(image, window(cls, 0.25, 0.0, 0.25))  # a quarter of the longer side, from 16 on
    assert_near(seen, image[..., 16:24], EXACT)
    frame = locator.frame(window(cls, 0.25, 0.0, 0.25))[0]
    assert torch.allclose(frame, torch.tensor([[0, -1], [0.5, -1], [0.5, 1], [0, 1]]).double())


@each
def test_a_square_sketch_is_placed_where_a_square_glimpse_was_taken(cls: Any):
    locator = made(cls, 8, (8, 32), square=True)
    pose = window(cls, 0.25, 0.0, 0.25)
    back = invert(pose) if cls is Affine else torch.tensor([[-1.0, 0.0, 4.0]]).double()
    # Positions of the inverse are in halves of the sketch, and the canvas is squeezed by 4 along y.
    (sketch,) = normal(3, (1, 1, 8, 8))
    placed = locator.place(sketch, back)
    assert_near(placed[..., 16:24], sketch, EXACT)
    assert not placed[..., :16].any()
    assert torch.allclose(locator.placed_frame(back), locator.frame(pose))


@each
def test_what_goes_by_areas_does_not_go_with_aligned_corners(cls: Any):
    for name in ("antialias", "square"):
        with pytest.raises(ConfigError, match=f"{name} goes by the areas of pixels, so align_corners must be false"):
            cls.Config(align_corners=True, **{name: True})
