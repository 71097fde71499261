"""The retina: only where it is can be chosen."""

import pytest
import torch

from stawm.core import crop
from stawm.nn.locators.crop import Crop
from stawm.nn.locators.retina import Retina
from stawm.nn.testing import check_locator
from tests.strategies import assert_near, normal


@pytest.mark.parametrize("fields", [{"antialias": True}, {"square": True}])
def test_with_its_usual_width_it_keeps_the_contract(fields: dict[str, bool]):
    check_locator(Retina, config=Retina.Config(**fields), seeds=(0,), export=False)


@pytest.mark.parametrize(("scales", "width", "expected"), [(1, None, 1.0), (3, None, 0.25), (3, 0.1, 0.1)])
def test_it_sees_what_a_crop_of_its_width_sees(scales: int, width: float | None, expected: float):
    how = {"glimpse_size": 4, "image_size": (16, 16)}
    retina = Retina(Retina.Config(scales=scales, width=width, antialias=True), **how).double()
    crops = Crop(Crop.Config(scales=scales, antialias=True), **how).double()
    image, pose = normal(0, (2, 3, 16, 16), (2, 2))
    wide = torch.cat([pose, torch.full((2, 1), expected, dtype=torch.float64)], dim=1)
    assert_near(retina.glimpse(image, pose), crops.glimpse(image, wide), 1e-12)
    assert torch.equal(retina.as_affine(pose), crop.as_affine(wide))
    assert torch.equal(retina.frames(pose), crops.frames(wide))


def test_a_model_starts_in_the_middle():
    assert Retina(glimpse_size=4, image_size=(9, 9)).start_pose().tolist() == [0, 0]
