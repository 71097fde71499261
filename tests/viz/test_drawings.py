"""Drawings show what was seen, sketched and drawn, where it was put, and how far it is from its target."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from stawm import viz
from stawm.viz.drawings import as_pixels
from stawm.viz.seen import look
from tests.small import shaken
from tests.viz.models import drawer, frames, in_pixels, pixels, shown, texts

STEPS = 3


@pytest.fixture(params=["addition", "bernoulli"], scope="module")
def model(request: pytest.FixtureRequest) -> Any:
    return shaken(drawer(request.param)).eval()


def panels(model: Any) -> tuple[list[list[list[Axes]]], Any]:
    """The panels of each image as rows from top to bottom, and what the model gave."""
    out = model(pixels())
    rows = 3 if out.masks is None else 4
    axes = viz.drawings(model, pixels()).axes
    assert len(axes) == 2 * rows * (STEPS + 2)
    lines = [axes[k : k + STEPS + 2] for k in range(0, len(axes), STEPS + 2)]
    return [lines[:rows], lines[rows:]], out


def test_what_it_saw_stands_above_what_it_drew(model: Any):
    blocks, out = panels(model)
    for i, block in enumerate(blocks):
        for step in range(STEPS):
            seen = out.trace.glimpses[i, step, 0].clamp(0, 1).detach()
            np.testing.assert_allclose(shown(block[0][1 + step]), seen, atol=1e-6)
            drawn = out.canvases[i, step, 0].clamp(0, 1).detach()
            np.testing.assert_allclose(shown(block[-1][1 + step]), drawn, atol=1e-6)
            if out.masks is not None:
                np.testing.assert_allclose(shown(block[2][1 + step]), out.masks[i, step, 0].detach(), atol=1e-6)


def test_the_frames_stand_where_it_looked_and_where_it_drew(model: Any):
    blocks, out = panels(model)
    for i, block in enumerate(blocks):
        looked = in_pixels(model.locator.frame(out.trace.pose[i]))
        np.testing.assert_allclose(np.stack(frames(block[0][0])), looked, rtol=1e-5, atol=1e-5)
        put = in_pixels(model.locator.placed_frame(out.trace.inverse_pose[i]))
        for step in range(STEPS):
            (only,) = frames(block[-1][1 + step])
            np.testing.assert_allclose(only, put[step], rtol=1e-5, atol=1e-5)


def test_the_result_stands_under_its_target(model: Any):
    blocks, out = panels(model)
    for i, block in enumerate(blocks):
        np.testing.assert_allclose(shown(block[0][-1]), pixels()[i, 0])
        np.testing.assert_allclose(shown(block[-1][-1]), out.canvas[i, 0].clamp(0, 1).detach(), atol=1e-6)
        error = (out.canvas[i] - pixels()[i]).square().mean().item()
        assert texts(block[-1][-1]) == [f"result: MSE {error:.4f}"]


def test_placing_the_sketches_that_are_shown_gives_the_canvas(model: Any):
    seen = look(model, pixels(1))
    head = model.heads["drawing"]
    placed = model.locator.place(seen.output.sketches[0], seen.trace.inverse_pose[0])
    canvases, _ = head.canvas.unroll(placed[None])
    torch.testing.assert_close(canvases, seen.output.canvases)


def test_sketches_that_add_up_are_grey_where_they_do_nothing():
    sketches = torch.tensor([[[[0.0, 4.0], [-4.0, 2.0]]]])
    assert as_pixels(sketches, 1).flatten().tolist() == [0.5, 1.0, 0.0, 0.75]
    assert as_pixels(torch.zeros(1, 3, 2, 2), 3).unique().tolist() == [0.5]


def test_sketches_behind_a_mask_are_shown_as_they_are_and_strange_ones_not_at_all():
    sketches = torch.rand(2, 4, 5, 5)
    assert as_pixels(sketches, 3).equal(sketches[:, 1:])
    assert as_pixels(sketches, 1) is None
