"""The picture of an image that was never loaded whole."""

import numpy as np
import pytest
import torch

import stawm
from stawm import viz
from tests.large.test_exploring import looker, made
from tests.viz.models import frames, shown, texts


def test_it_shows_where_every_view_was_and_what_it_saw() -> None:
    found = stawm.explore(looker(class_names=[f"kind {n}" for n in range(10)]), made(0, 90, 200))
    figure = viz.exploration(found, title="t")
    scene = figure.axes[0]
    n, v = found.corners.shape[:2]
    assert shown(scene).shape == (90, 200, 3)
    drawn = np.stack(frames(scene))
    wanted = [*found.corners[:, 0], *(found.corners[step, 1] for step in range(n))]
    np.testing.assert_allclose(drawn, torch.stack(wanted).numpy(), rtol=1e-5, atol=1e-4)
    panels = np.array(figure.axes).reshape(v, n + 1)
    for step in range(n):
        for view in range(v):
            seen = found.glimpses[step, view].clamp(0, 1).permute(1, 2, 0).numpy()
            np.testing.assert_allclose(shown(panels[view, step + 1]), seen, atol=1e-6)
        assert texts(panels[-1, step + 1])[0].startswith("kind ")
    assert [text.get_text() for text in figure.texts][-1] == "t"


@pytest.mark.parametrize("channels", [1, 3])
def test_glimpses_are_pixels_again(channels: int) -> None:
    numbers = {"image": [channels, 32, 32], "mean": [0.4] * channels, "std": [0.2] * channels}
    found = stawm.explore(looker(**numbers), np.full((64, 64), 204, np.uint8), glimpses=1)
    inside = found.glimpses[0, 0, :, 3:5, 3:5]
    assert inside.shape[0] == channels
    assert float(inside.max()) <= 0.8 + 1e-9
