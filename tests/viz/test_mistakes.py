"""Mistakes are the images that were classified wrongly, the surest answers first, with what was drawn of them."""

import sys
from typing import Any

import numpy as np
import pytest
import torch

import stawm
from stawm import viz
from stawm.errors import InputError
from stawm.viz.mistakes import find_mistakes
from tests.viz.models import SMALL, drawer, pixels, shown, sketchpad, texts


@pytest.fixture(scope="module")
def model() -> Any:
    return sketchpad().eval()


def answers(model: Any, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return model(model.normalise(images)).logits.detach().exp().max(dim=-1)


def test_they_are_all_the_wrong_ones_and_the_surest_come_first(model: Any, monkeypatch: pytest.MonkeyPatch):
    images = pixels(12)
    sure, said = answers(model, images)
    labels = said.clone()
    wrong = [1, 4, 5, 9]
    labels[wrong] = (labels[wrong] + 1) % 10
    monkeypatch.setattr(sys.modules["stawm.viz.mistakes"], "BATCH", 5)
    found = find_mistakes(model, images, labels)
    assert sorted(found.index.tolist()) == wrong
    assert found.answers.equal(said[found.index])
    torch.testing.assert_close(found.certainty, sure[found.index])
    assert found.certainty.tolist() == sorted(found.certainty.tolist(), reverse=True)


def test_each_stands_beside_what_was_drawn_of_it(model: Any):
    images = pixels(6)
    sure, said = answers(model, images)
    labels = (said + 1) % 10
    figure = viz.mistakes(model, images, labels, count=5)
    assert figure.texts[-1].get_text() == "6 of 6 images were taken for something else"
    pairs = [(figure.axes[3 * k], figure.axes[3 * k + 1]) for k in range(8)]
    for (saw, drew), i in zip(pairs, sure.argsort(descending=True)[:5].tolist(), strict=False):
        np.testing.assert_allclose(shown(saw), images[i, 0])
        canvas = model(images[i : i + 1]).canvas[0, 0].clamp(0, 1).detach()
        np.testing.assert_allclose(shown(drew), canvas, atol=1e-6)
        assert texts(saw) == [f"label: {labels[i]}"]
        assert texts(drew) == [f"{said[i]}  {float(sure[i]):.0%}"]
    assert not any(axis.images for pair in pairs[5:] for axis in pair)


def test_a_model_that_does_not_draw_shows_its_glimpses():
    model: Any = stawm.build("stawm-digits", seed=0, **SMALL).eval()
    _, said = answers(model, pixels(3))
    labels = said.clone()
    labels[1] = (labels[1] + 1) % 10
    axes = viz.mistakes(model, pixels(3), labels).axes
    assert len(axes) == 1 + 3 + 1
    np.testing.assert_allclose(shown(axes[0]), pixels(3)[1, 0])
    assert texts(axes[0]) == [f"label: {labels[1]}"]


def test_no_mistakes_and_no_answers_are_said(model: Any):
    _, said = answers(model, pixels(3))
    with pytest.raises(InputError, match="makes no mistake on these 3 images"):
        viz.mistakes(model, pixels(3), said)
    with pytest.raises(InputError, match="does not classify"):
        viz.mistakes(drawer("addition"), pixels(3), said)
