"""What the pictures share: a colour for each glimpse, and room for its frame."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from stawm import viz
from stawm.viz import sheet
from tests.viz.models import frames, in_pixels, pixels, sketchpad

STEPS = 3
WHOLE = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])


def panel() -> Axes:
    return Figure().add_subplot()


def edges(axis: Axes) -> list[tuple[float, ...]]:
    return [to_rgb(patch.get_edgecolor()) for patch in axis.patches if isinstance(patch, Polygon)]


def limits(axis: Axes) -> np.ndarray:
    """Left, right, top and bottom of what is shown, in pixels."""
    return np.array([*axis.get_xlim(), *reversed(axis.get_ylim())])


def lightness(colour: Any) -> float:
    return float(np.dot(to_rgb(colour), [0.299, 0.587, 0.114]))


@pytest.mark.parametrize("steps", [1, 2, 8, 12])
def test_glimpses_are_told_apart_by_colour_the_early_ones_dark(steps: int):
    light = [lightness(sheet.colour(step, steps)) for step in range(steps)]
    assert (np.diff(light) > 0.03).all()
    assert light[0] < 0.2


@pytest.fixture(scope="module")
def model() -> Any:
    return sketchpad("bernoulli").eval()


def test_a_glimpse_has_one_colour_wherever_it_stands(model: Any):
    colours = [to_rgb(sheet.colour(step, STEPS)) for step in range(STEPS)]
    scene, *glimpses, _ = viz.looks(model, pixels(1)).axes
    assert edges(scene) == colours
    assert [to_rgb(axis.spines["left"].get_edgecolor()) for axis in glimpses] == colours
    rows = [axes[1:-1] for axes in np.array_split(viz.drawings(model, pixels(1)).axes, 4)]
    for row in rows[:-1]:
        assert [to_rgb(axis.spines["left"].get_edgecolor()) for axis in row] == colours
    assert [edges(axis) for axis in rows[-1]] == [[colour] for colour in colours]


@pytest.mark.parametrize(("reach", "shown"), [(1.0, 0.03), (1.2, 0.115), (1.6, 0.315), (3.0, 0.35)])
def test_there_is_room_for_frames_that_reach_out_up_to_a_limit(reach: float, shown: float):
    """A frame that reaches 1.2, where the image ends at 1, is a tenth of a side outside of it."""
    axis = panel()
    sheet.widen(axis, torch.stack([WHOLE, reach * WHOLE]), (16, 20))
    np.testing.assert_allclose(limits(axis), [-shown * 20, (1 + shown) * 20, -shown * 16, (1 + shown) * 16], rtol=1e-6)
    left, right, top, bottom = limits(axis)
    x, y = in_pixels(reach * WHOLE).T
    inside = left < x.min() and right > x.max() and top < y.min() and bottom > y.max()
    assert inside == (reach < 1.7)


def test_every_picture_of_a_scene_gives_its_frames_room(model: Any):
    scene, *_ = viz.looks(model, pixels(1)).axes
    left, right, top, bottom = limits(scene)
    corners = np.concatenate(frames(scene))
    assert corners.min() < 0, "some frame reaches out"
    assert (left < corners[:, 0]).all()
    assert (corners[:, 0] < right).all()
    assert (top < corners[:, 1]).all()
    assert (corners[:, 1] < bottom).all()


def test_of_the_glimpses_taken_up_to_now_the_last_stands_out():
    axis = panel()
    sheet.scene(axis, pixels(1)[0], WHOLE.expand(4, 4, 2), upto=3)
    widths = [patch.get_linewidth() for patch in axis.patches]
    assert len(widths) == 3
    assert widths[0] == widths[1] < widths[2]


def test_an_image_stands_upright_and_in_its_proportions():
    axis = panel()
    sheet.show(axis, pixels(1)[0])
    assert tuple(axis.images[0].get_extent()) == (0, 20, 16, 0)
    assert axis.get_aspect() == 1
    assert axis.images[0].get_clim() == (0, 1)


def test_a_sheet_is_as_large_as_its_panels_side_by_side():
    figure, axes = sheet.panels([1.0, 2.0], [1.0, 1.0, 3.0], top=0.5, bottom=0.1)
    assert tuple(figure.get_size_inches()) == pytest.approx((5.3, 3.6))
    assert (len(axes), len(axes[0])) == (2, 3)
    boxes = [[axis.get_position(original=True) for axis in row] for row in axes]
    assert boxes[1][0].height == pytest.approx(2 * boxes[0][0].height)
    assert boxes[0][2].width == pytest.approx(3 * boxes[0][0].width)
    assert boxes[0][0].y0 > boxes[1][0].y0


def test_headings_stand_above_their_columns_and_the_title_above_all():
    figure, axes = sheet.panels([1.0], [1.0, 2.0])
    sheet.headings(figure, axes[0], ["a", "b"], [sheet.INK, sheet.RIGHT], "all")
    one, two, title = figure.texts
    assert [text.get_text() for text in figure.texts] == ["a", "b", "all"]
    for text, axis in ((one, axes[0][0]), (two, axes[0][1])):
        box = axis.get_position(original=True)
        assert text.get_position()[0] == pytest.approx((box.x0 + box.x1) / 2)
        assert box.y1 < text.get_position()[1] < title.get_position()[1]
    assert two.get_color() == sheet.RIGHT
