"""Pictures of glimpses of several views, and of images of any size."""

import pytest
import torch

from stawm import viz
from stawm.viz.seen import fovea, look
from tests.models.test_any_size import eyes
from tests.small import shaken


def test_narrow_views_lie_in_the_middle_of_wide_ones():
    narrow, wide, widest = (torch.full((1, 1, 2, 2), value) for value in (1.0, 2.0, 3.0))
    picture = fovea([narrow, wide, widest])
    assert picture.shape == (1, 1, 8, 8)
    assert (picture[..., 3:5, 3:5] == 1).all()
    assert picture.eq(2).sum() == 16 - 4
    assert picture.eq(3).sum() == 64 - 16
    assert (picture[..., 2:6, 2:6] < 3).all()


def test_views_of_an_odd_side_have_their_middle_between_pixels():
    narrow, wide = torch.full((1, 1, 3, 3), 1.0), torch.arange(9.0).view(1, 1, 3, 3) + 2
    picture = fovea([narrow, wide])
    assert picture.shape == (1, 1, 12, 12)
    assert (picture[..., 3:9, 3:9] == 1).all()
    assert torch.equal(picture[..., ::11, ::11], wide[..., ::2, ::2])


def test_one_view_is_shown_as_it_is():
    glimpse = torch.rand(4, 3, 5, 5)
    assert torch.equal(fovea([glimpse]), glimpse)


@pytest.mark.parametrize("size", [(24, 24), (20, 45)])
def test_looks_and_animations_are_of_images_of_any_size(size: tuple[int, int]):
    model, pixels = shaken(eyes()), torch.rand(2, 1, *size)
    seen = look(model, pixels)
    assert seen.glimpses(0).shape == (3, 1, 24, 24)
    corners = seen.frames(1)
    edges = (corners - corners.roll(1, dims=1)) * torch.tensor([size[1], size[0]]) / 2
    assert torch.isfinite(edges).all()
    assert viz.looks(model, pixels, torch.tensor([0, 1])).axes
    assert len(viz.animate(model, pixels).frames) == 3
