"""The picture of an explanation shows its numbers: frames in the colour of their shares, bars as long as they are."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

import stawm
from stawm import viz
from stawm.viz import sheet
from tests.small import shaken
from tests.viz.models import SMALL, frames, in_pixels, pixels, texts


def test_bars_and_frames_are_the_shares():
    model = shaken(stawm.build("stawm-digits", seed=0, **SMALL), 0.4)
    found = stawm.explain(model, pixels())
    figure = viz.evidence(found, title="why")
    shares, changes = found.of(found.labels)
    assert bool((shares < 0).any())
    assert bool((shares > 0).any())
    for row in range(2):
        scene, panel = figure.axes[2 * row : 2 * row + 2]
        np.testing.assert_allclose(np.stack(frames(scene)), in_pixels(found.corners[row]), rtol=1e-5, atol=1e-5)
        label = int(found.labels[row])
        assert texts(scene) == [f"{label}  {float(found.logits[row, label].exp()):.0%}"]
        (bars,) = panel.child_axes
        assert [bar.get_height() for bar in bars.patches] == pytest.approx(shares[row].tolist())
        assert list(bars.lines[0].get_ydata()) == pytest.approx((-changes[row]).tolist())
        strengths = []
        for bar, frame, share in zip(bars.patches, scene.patches, shares[row].tolist(), strict=True):
            assert bar.get_facecolor() == frame.get_edgecolor()
            assert bar.get_facecolor()[:3] == pytest.approx(to_rgb(sheet.RIGHT if share >= 0 else sheet.WRONG))
            strengths.append(bar.get_facecolor()[3])
        assert int(np.argmax(strengths)) == int(shares[row].abs().argmax())
        assert max(strengths) == pytest.approx(1.0)


def test_no_evidence_at_all_is_pictured_too():
    model = stawm.build("stawm-digits", seed=0, **SMALL)
    with torch.no_grad():
        model.heads["classification"].classifier.linear.weight.zero_()
    assert len(viz.evidence(stawm.explain(model, pixels(1))).axes) == 2
