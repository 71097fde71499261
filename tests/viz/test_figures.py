"""The figures of the paper that show what models draw: each picture is what the model gave, at its place."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from torch import Tensor

import stawm
from stawm import viz
from stawm.errors import InputError
from stawm.models.latents import redraw
from stawm.viz.seen import look
from stawm.viz.segments import placed_sketches
from tests.small import shaken
from tests.viz.models import SMALL, drawer, frames, in_pixels, pixels, shown, texts

STEPS = 3


@pytest.fixture(params=["addition", "bernoulli"], scope="module")
def model(request: pytest.FixtureRequest) -> Any:
    return shaken(drawer(request.param)).eval()


@pytest.fixture(scope="module")
def vae() -> Any:
    small: dict[str, Any] = {"image": SMALL["image"], "backbone": {"layers": "4@3/2"}, "heads.drawing.latent": 3}
    return shaken(stawm.build("bvae-cifar", seed=0, **small)).eval()


def grid(figure: Any, columns: int) -> list[list[Axes]]:
    return [figure.axes[k : k + columns] for k in range(0, len(figure.axes), columns)]


def assert_shows(axis: Axes, image: Tensor) -> None:
    np.testing.assert_allclose(shown(axis), image[0].detach().clamp(0, 1), atol=1e-5)


def test_results_of_several_models_stand_above_their_targets(model: Any, vae: Any):
    rows = grid(viz.reconstructions([vae, model], pixels()), 3)
    assert len(rows) == 3
    for each, row in zip((vae, model), rows, strict=False):
        drawn = each.predict(pixels()).canvas
        error = (drawn - pixels()).square().mean().item()
        assert texts(row[0]) == [each.config.name, f"MSE {error:.4f}"]
        for i in range(2):
            assert_shows(row[1 + i], drawn[i])
    assert texts(rows[2][0]) == ["target"]
    for i in range(2):
        assert_shows(rows[2][1 + i], pixels()[i])


def test_canvases_of_several_models_grow_under_each_other(model: Any):
    short = shaken(drawer("addition", glimpses=2)).eval()
    rows = grid(viz.canvases([model, short], pixels()), STEPS + 2)
    assert len(rows) == 4
    for i in range(2):
        for each, steps, row in ((model, 3, rows[2 * i]), (short, 2, rows[2 * i + 1])):
            out = each.predict(pixels())
            put = in_pixels(each.locator.placed_frame(out.trace.inverse_pose[i]))
            for step in range(steps):
                assert_shows(row[1 + step], out.canvases[i, step])
                np.testing.assert_allclose(frames(row[1 + step])[0], put[step], rtol=1e-4, atol=1e-4)
            assert not any(axis.images for axis in row[1 + steps : -1])
        assert_shows(rows[2 * i][-1], pixels()[i])
        assert not rows[2 * i + 1][-1].images, "the target stands once"


def test_one_model_needs_no_list(model: Any):
    assert len(grid(viz.canvases(model, pixels()), STEPS + 2)) == 2
    assert len(grid(viz.reconstructions(model, pixels()), 3)) == 2


def test_the_last_mask_is_laid_on_the_target():
    model = shaken(drawer("bernoulli")).eval()
    drawn, target, masked = grid(viz.segments(model, pixels()), 3)
    out = model.predict(pixels())
    for i in range(2):
        assert_shows(drawn[1 + i], out.canvas[i])
        assert_shows(target[1 + i], pixels()[i])
        assert_shows(masked[1 + i], pixels()[i] * out.masks[i, -1])


def test_placed_sketches_make_up_the_canvas(model: Any):
    seen: Any = look(model, pixels())
    for i in range(2):
        placed = placed_sketches(seen, i)
        if seen.output.masks is not None:
            left = 1 - seen.output.masks[i]
            canvas = torch.zeros_like(placed[0])
            for sketch, rest in zip(placed, left, strict=True):
                canvas = canvas * rest + sketch
        else:
            plain = model.locator.place(seen.output.sketches[i], seen.trace.inverse_pose[i])
            added = (placed - 0.5) * 2 * plain.abs().max()
            canvas = (model.config.canvas.initial + added.sum(dim=0)).sigmoid()
        torch.testing.assert_close(canvas, seen.output.canvas[i], rtol=1e-4, atol=1e-5)


def test_every_sketch_is_shown_where_it_was_put(model: Any):
    seen: Any = look(model, pixels())
    for i, row in enumerate(grid(viz.sketches(model, pixels()), STEPS + 2)):
        placed, put = placed_sketches(seen, i), in_pixels(seen.placed_frames(i))
        assert_shows(row[0], pixels()[i])
        for step in range(STEPS):
            assert_shows(row[1 + step], placed[step])
            np.testing.assert_allclose(frames(row[1 + step])[0], put[step], rtol=1e-4, atol=1e-4)
        assert_shows(row[-1], seen.output.canvas[i])


@pytest.mark.parametrize("glimpse", [None, 2])
def test_a_walk_sets_one_number_and_leaves_the_rest(model: Any, glimpse: int | None):
    rows = grid(viz.traversals(model, pixels(1), glimpse=glimpse, count=2, steps=3, reach=2.0), 5)
    out = model.predict(pixels(1))
    mu, logvar = out.latent
    told = (mu.square() + logvar.exp() - 1 - logvar).sum(dim=(0, 1))
    order = told.argsort(descending=True)[:2].tolist()
    assert [texts(row[1]) for row in rows] == [[f"number {number + 1} of 4"] for number in order]
    for row, number in zip(rows, order, strict=True):
        for column, value in enumerate((-2.0, 0.0, 2.0)):
            z = mu.clone()
            z[:, slice(None) if glimpse is None else glimpse - 1, number] = value
            assert_shows(row[2 + column], redraw(model, model.normalise(pixels(1)), z[:, None])[0, 0])
    assert_shows(rows[0][0], pixels()[0])


def test_a_baseline_is_walked_through_and_generates_without_images(vae: Any):
    assert len(grid(viz.traversals(vae, pixels(1), steps=2), 4)) == 3
    first, again, other = (viz.generated(vae, count=3, seed=seed) for seed in (1, 1, 2))
    assert len(first.axes) == 3
    assert np.array_equal(shown(first.axes[0]), shown(again.axes[0]))
    assert not np.array_equal(shown(first.axes[0]), shown(other.axes[0]))


def test_a_model_with_glimpses_generates_at_the_places_of_images(model: Any):
    rows = grid(viz.generated(model, pixels(), count=2), 3)
    for i, row in enumerate(rows):
        assert_shows(row[0], pixels()[i])
    assert not np.array_equal(shown(rows[0][1]), shown(rows[0][2]))


def test_what_cannot_be_pictured_is_said(vae: Any):
    model, reader = shaken(drawer("addition")), stawm.build("stawm-digits", **SMALL)
    for picture in (viz.canvases, viz.sketches):
        with pytest.raises(InputError, match="does not draw from glimpses"):
            picture(vae, pixels())
    for picture in (viz.reconstructions, viz.traversals):
        with pytest.raises(InputError, match="stawm-digits does not draw"):
            picture(reader, pixels())
    with pytest.raises(InputError, match="draws without masks"):
        viz.segments(model, pixels())
    with pytest.raises(InputError, match="makes 3 sketches of an image; got glimpse=4"):
        viz.traversals(model, pixels(), glimpse=4)
    with pytest.raises(InputError, match="at least 2 steps and 1 number"):
        viz.traversals(model, pixels(), steps=1)
    with pytest.raises(InputError, match="cannot generate without one"):
        viz.generated(model)
    with pytest.raises(InputError, match="images of one form; got stawm-digits 1x16x20"):
        viz.reconstructions([model, stawm.build("bvae-cifar")], pixels())
    with pytest.raises(InputError, match="no models to picture"):
        viz.reconstructions([], pixels())
