"""Pictures of DRAW: the canvas that grows, the frames of the filters, and what comes of the prior."""

from typing import Any

import numpy as np
import pytest
import torch

import stawm
from stawm import viz
from stawm.errors import InputError
from stawm.viz import sheet
from tests.models.test_draw import drawer, reader, whole
from tests.viz.models import frames, shown, texts


def pixels(count: int = 1) -> torch.Tensor:
    return torch.rand(count, 1, 6, 7, generator=torch.Generator().manual_seed(0)).round()


def in_pixels(corners: torch.Tensor) -> np.ndarray:
    return (corners.detach().numpy() + 1) / 2 * np.array([7, 6])


def test_the_canvas_grows_and_has_the_frames_of_the_filters_that_wrote():
    model = drawer().eval()
    output, axes = model(pixels()), viz.drawings(model, pixels()).axes
    rows = [axes[i : i + 5] for i in range(0, 15, 5)]
    looked = in_pixels(model.locator.frame(output.trace.pose[0]))
    np.testing.assert_allclose(np.stack(frames(rows[0][0])), looked, rtol=1e-4, atol=1e-4)
    placed = in_pixels(model.placer.placed_frame(output.trace.inverse_pose[0]))
    for step in range(3):
        np.testing.assert_allclose(shown(rows[2][1 + step]), output.canvases[0, step, 0].detach(), atol=1e-6)
        np.testing.assert_allclose(frames(rows[2][1 + step])[0], placed[step], rtol=1e-4, atol=1e-4)


def test_of_many_glimpses_some_are_shown_evenly_apart():
    model = drawer().eval()
    many = stawm.build(model.config, seed=0, glimpses=40).eval()
    assert len(viz.drawings(many, pixels()).axes) == 3 * (sheet.MOST + 2)
    assert len(viz.looks(many, pixels()).axes) == 1 + sheet.MOST
    assert len(viz.canvases([many, model], pixels()).axes) == 2 * (sheet.MOST + 2)
    last = viz.drawings(many, pixels()).axes[2 * (sheet.MOST + 2) :][sheet.MOST]
    np.testing.assert_allclose(shown(last), many(pixels()).canvas[0, 0].detach(), atol=1e-6)


def test_without_attention_there_are_sketches_and_canvases_alone():
    model = whole().eval()
    axes = viz.drawings(model, pixels()).axes
    assert len(axes) == 2 * 5
    assert not any(frames(axis) for axis in axes)
    np.testing.assert_allclose(shown(axes[5 + 3]), model(pixels()).canvas[0, 0].detach(), atol=1e-6)
    for picture in (viz.looks, viz.animate):
        with pytest.raises(InputError, match="has no attention"):
            picture(model, pixels())


def test_what_is_generated_needs_no_images():
    model = drawer().eval()
    axes = viz.generated(model, count=2, seed=1).axes
    z = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    for axis, picture in zip(axes, model.generate(z[0]), strict=True):
        np.testing.assert_allclose(shown(axis), picture[0].detach(), atol=1e-6)


def test_a_reader_is_looked_at_like_any_model_that_classifies():
    model: Any = reader().eval()
    axes = viz.looks(model, pixels(), torch.tensor([1])).axes
    assert "label: 1" in texts(axes[0])
    assert len(viz.animate(model, pixels()).frames) == 3
    with pytest.raises(InputError, match="has no memory, so there is none to show"):
        viz.memories(model, pixels())
