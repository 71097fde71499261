"""Pictures show what the model did: the right frames, answers, drawings and memories."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm import viz
from stawm.errors import InputError
from stawm.viz import sheet
from stawm.viz.looks import spread
from stawm.viz.seen import look
from tests.small import shaken
from tests.viz.models import SMALL, drawer, frames, in_pixels, pixels, texts


@pytest.fixture(scope="module")
def classifier() -> Any:
    return shaken(stawm.build("stawm-digits", seed=0, **SMALL))


def test_the_frames_stand_where_the_model_looked(classifier: Any):
    figure = viz.looks(classifier, pixels())
    out = classifier.eval()(classifier.normalise(pixels()))
    for row in range(2):
        shown = frames(figure.axes[row * 5])
        corners = in_pixels(classifier.locator.frame(out.trace.pose[row]))
        np.testing.assert_allclose(np.stack(shown), corners, rtol=1e-5, atol=1e-5)


def test_the_answer_under_each_glimpse_is_the_models(classifier: Any):
    labels = torch.tensor([1, 2])
    figure = viz.looks(classifier, pixels(), labels)
    chances = classifier.eval()(classifier.normalise(pixels()), glimpse_logits=True).glimpse_logits.exp().detach()
    for row in range(2):
        scene, *glimpses, _ = figure.axes[row * 5 : row * 5 + 5]
        assert texts(scene) == [f"truly {labels[row]}"]
        for step, axis in enumerate(glimpses):
            best = int(chances[row, step].argmax())
            assert texts(axis) == [f"{best}  {float(chances[row, step].max()):.0%}"]
            wanted = sheet.RIGHT if best == labels[row] else sheet.WRONG
            assert axis.texts[0].get_color() == wanted


def test_each_glimpse_is_shown_as_it_was_seen(classifier: Any):
    figure = viz.looks(classifier, pixels(1))
    out = classifier.eval()(classifier.normalise(pixels(1)))
    for step in range(3):
        shown = figure.axes[1 + step].images[0].get_array()
        seen = classifier.denormalise(out.trace.glimpses[:, step])[0, 0].clamp(0, 1).detach().numpy()
        np.testing.assert_allclose(np.asarray(shown), seen, atol=1e-6)


def test_a_model_that_does_not_classify_is_shown_without_answers():
    figure = viz.looks(drawer("addition"), pixels())
    assert len(figure.axes) == 2 * 4
    assert not any(texts(axis) for axis in figure.axes)


@pytest.mark.parametrize("memory", ["hebb-rosenblatt", "fast-weights"])
def test_memories_are_the_matrices_after_each_write(memory: str):
    model: Any = stawm.build("stawm-digits", memory=memory, seed=0, **SMALL)
    seen = look(model, pixels())
    found = viz.matrices(seen)
    query = torch.rand(2, 8)
    for step in range(3):
        state = model.memory.init_state(2)
        for t in range(step + 1):
            state = model.memory.write(state, seen.trace.memory_input[:, t])
        read = model.memory.read(state, query).detach()
        torch.testing.assert_close(torch.einsum("bij,bj->bi", found[:, step], query), read)
    assert len(viz.memories(model, pixels()).axes) == 2 * 4


def test_pictures_leave_the_model_as_it_was(classifier: Any):
    for mode in (True, False):
        classifier.train(mode)
        viz.looks(classifier, pixels(1))
        assert classifier.training is mode
    assert all(p.grad is None for p in classifier.parameters())


def test_pictures_are_files(classifier: Any, tmp_path: Path):
    viz.looks(classifier, pixels(1), title="A title").savefig(tmp_path / "a.png")
    viz.memories(classifier, pixels(1)).savefig(tmp_path / "b.png")
    viz.drawings(drawer("bernoulli"), pixels(1)).savefig(tmp_path / "c.png")
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


def test_colour_images_are_shown_in_colour():
    model = stawm.build("stawm-digits", seed=0, **{**SMALL, "image": [3, 16, 20]})
    image = torch.rand(1, 3, 16, 20)
    shown = np.asarray(viz.looks(model, image).axes[0].images[0].get_array())
    np.testing.assert_allclose(shown, image[0].permute(1, 2, 0).numpy())


def test_what_cannot_be_shown_is_said(classifier: Any):
    with pytest.raises(InputError, match="takes no glimpses"):
        viz.looks(stawm.build("mnv2-cifar", image=[1, 16, 16], backbone="conv", mean=[0.0], std=[1.0]), pixels())
    with pytest.raises(InputError, match=r"does not draw from glimpses.*stawm-mnist-draw-6"):
        viz.drawings(classifier, pixels())
    with pytest.raises(InputError, match=r"Cannot write .*'xyz' is not supported"):
        sheet.save(viz.looks(classifier, pixels(1)), "a.xyz")
    with pytest.raises(InputError, match="1 or 3 channels; these have 2"):
        viz.looks(stawm.build("stawm-digits", seed=0, **{**SMALL, "image": [2, 16, 20]}), torch.rand(1, 2, 16, 20))


@given(st.lists(st.floats(0, 1), max_size=6), st.floats(0, 0.3))
def test_labels_are_spread_without_changing_their_order(heights: list[float], gap: float):
    moved = spread(heights, gap)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    assert all(m >= h for m, h in zip(moved, heights, strict=True))
    assert all(moved[b] - moved[a] >= gap - 1e-9 for a, b in pairwise(order))


@pytest.mark.parametrize(("memory", "panels"), [("hebb-rosenblatt", 6), ("hopfield", 2)])
def test_health_shows_the_measures_that_there_are(memory: str, panels: int):
    model: Any = stawm.build("stawm-digits", memory=memory, memory_size=8, hidden_size=16)
    report = stawm.diagnose(model, torch.rand(3, 1, 16, 16))
    axes = viz.health(report).axes
    assert len(axes) == panels
    drawn = {line.get_label(): list(line.get_ydata()) for axis in axes for line in axis.lines}
    limits = {"delta"} if memory == "hebb-rosenblatt" else set()
    assert set(drawn) == {*report.columns(), *limits} - {"glimpse"}
    assert drawn["norm"] == [health.norm for health in report.glimpses]
