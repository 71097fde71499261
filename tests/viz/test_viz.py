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
        assert texts(scene) == [f"label: {labels[row]}"]
        for step, axis in enumerate(glimpses):
            best = int(chances[row, step].argmax())
            assert texts(axis) == [f"{best}  {float(chances[row, step].max()):.0%}"]
            wanted = sheet.RIGHT if best == labels[row] else sheet.WRONG
            assert axis.texts[0].get_color() == wanted


def test_the_course_follows_the_classes_that_were_likeliest_at_some_time():
    model = shaken(stawm.build("stawm-digits", seed=0, **SMALL), 0.6).eval()
    chances = model(model.normalise(pixels(1)), glimpse_logits=True).glimpse_logits[0].exp().detach()
    likeliest = chances.max(dim=0).values.argsort(descending=True)[:3].tolist()
    assert any(sorted(row.argsort(descending=True)[:3].tolist()) != sorted(likeliest) for row in chances)
    label = likeliest[1]
    figure = viz.looks(model, pixels(1), torch.tensor([label]))
    (course,) = figure.axes[-1].child_axes
    assert [list(line.get_xdata()) for line in course.lines] == [[1, 2, 3]] * 3
    for line, said, index in zip(course.lines, course.texts, likeliest, strict=True):
        np.testing.assert_allclose(line.get_ydata(), chances[:, index], rtol=1e-4)
        assert said.get_text() == str(index)
        assert line.get_color() == said.get_color() == (sheet.RIGHT if index == label else sheet.FAINT)


def test_columns_are_headed_by_what_they_show(classifier: Any):
    steps = ["glimpse 1", "glimpse 2", "glimpse 3"]
    writes = ["W after 1", "W after 2", "W after 3"]
    for figure, words in (
        (viz.looks(classifier, pixels(1), title="t"), ["where it looked", *steps, "how certain", "t"]),
        (viz.drawings(drawer("addition"), pixels(1), title="t"), ["where it looks", *steps, "target", "t"]),
        (viz.memories(classifier, pixels(1), title="t"), ["image", *writes, "t"]),
    ):
        assert [text.get_text() for text in figure.texts] == words


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
    axes = viz.memories(model, pixels()).axes
    assert len(axes) == 2 * 4
    for row in range(2):
        image, *written = axes[row * 4 : row * 4 + 4]
        np.testing.assert_allclose(image.images[0].get_array(), pixels()[row, 0])
        reach = found[row].abs().max().item()
        for axis, matrix in zip(written, found[row], strict=True):
            np.testing.assert_allclose(axis.images[0].get_array(), matrix)
            assert axis.images[0].get_clim() == pytest.approx((-reach, reach))
        assert texts(written[-1]) == [f"± {reach:.2g}"]


def test_a_memory_that_holds_nothing_is_called_empty():
    model: Any = stawm.build("stawm-digits", memory={"theta": 0.0}, seed=0, **SMALL)
    assert texts(viz.memories(model, pixels(1)).axes[-1]) == ["empty"]


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


@given(st.lists(st.floats(0, 1), max_size=6), st.floats(0, 0.3))
def test_labels_are_spread_without_changing_their_order(heights: list[float], gap: float):
    moved = spread(heights, gap)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    assert all(m >= h for m, h in zip(moved, heights, strict=True))
    assert all(moved[b] - moved[a] >= gap - 1e-9 for a, b in pairwise(order))


@pytest.mark.parametrize(("memory", "panels"), [("hebb-rosenblatt", 7), ("hopfield", 3)])
def test_health_shows_the_measures_that_there_are(memory: str, panels: int):
    model: Any = stawm.build("stawm-digits", memory=memory, memory_size=8, hidden_size=16)
    report = stawm.diagnose(model, torch.rand(3, 1, 16, 16))
    axes = viz.health(report).axes
    assert len(axes) == panels
    drawn = {line.get_label(): list(line.get_ydata()) for axis in axes for line in axis.lines}
    limits = {"delta"} if memory == "hebb-rosenblatt" else set()
    looks = {"outside", "size", "alike", "reached"}
    assert set(drawn) == {*report.columns(), *looks, *limits} - {"glimpse"}
    for name in drawn.keys() - limits:
        rows = report.looks if name in looks else report.glimpses
        assert drawn[name] == [getattr(health, name) for health in rows], name
    assert all(drawn[name] == [report.rates[name]] * 2 for name in limits)


def test_advice_stands_below_in_the_colour_of_what_is_wrong():
    model: Any = stawm.build("stawm-digits", memory={"constrained": False}, memory_size=8, hidden_size=16)
    for delta, colour in ((0.5, sheet.RIGHT), (1.5, sheet.WRONG)):
        with torch.no_grad():
            model.memory.delta.fill_(delta)
        report = stawm.diagnose(model, torch.rand(3, 1, 16, 16))
        said = viz.health(report).texts[-1]
        words = " ".join(report.advice) or "nothing to mend"
        assert (said.get_text().split(), said.get_color()) == (words.split(), colour)
        assert report.healthy == (colour == sheet.RIGHT)
