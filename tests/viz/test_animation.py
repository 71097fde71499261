"""Animations show every glimpse, one after the other, and are files that can be played."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stawm
from stawm import viz
from stawm.errors import InputError
from stawm.viz import sheet
from stawm.viz.animation import Animation, _sheet
from stawm.viz.seen import look
from tests.small import shaken, tiny
from tests.viz.models import SMALL, drawer, frames, in_pixels, pixels, shown, sketchpad, texts


@pytest.fixture(scope="module")
def animation() -> Animation:
    return viz.animate(tiny(glimpses=3), pixels(1)[..., :12, :12], milliseconds=40)


def panels(model: Any, step: int, **kwargs: Any) -> list[Any]:
    """The panels of the first image in one frame."""
    figure = _sheet(look(model, pixels()), pixels(), kwargs.get("labels"), step, None)
    return figure.axes[: len(figure.axes) // 2]


@pytest.mark.parametrize(("canvas", "columns"), [("addition", 4), ("bernoulli", 5)])
def test_a_frame_shows_the_present_glimpse_canvas_mask_and_answer(canvas: str, columns: int):
    model = shaken(sketchpad(canvas), 0.3).eval()
    out = model(pixels(), glimpse_logits=True)
    chances = out.glimpse_logits[0].exp().detach()
    assert (chances.diff(dim=0).abs().amax(dim=1) > 1e-2).all(), "a frame with another glimpse's bars would be found"
    for step in range(3):
        axes = panels(model, step)
        assert len(axes) == columns
        corners = in_pixels(model.locator.frame(out.trace.pose[0]))
        np.testing.assert_allclose(np.stack(frames(axes[0])), corners[: step + 1], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(shown(axes[1]), out.trace.glimpses[0, step, 0].clamp(0, 1).detach(), atol=1e-6)
        np.testing.assert_allclose(shown(axes[2]), out.canvases[0, step, 0].clamp(0, 1).detach(), atol=1e-6)
        (put,) = frames(axes[2])
        placed = in_pixels(model.locator.placed_frame(out.trace.inverse_pose[0]))
        np.testing.assert_allclose(put, placed[step], rtol=1e-5, atol=1e-5)
        if canvas == "bernoulli":
            np.testing.assert_allclose(shown(axes[3]), out.masks[0, step, 0].detach(), atol=1e-6)
        bars = [bar.get_width() for bar in axes[-1].child_axes[0].patches][10:]
        np.testing.assert_allclose(bars, chances[step], rtol=1e-4)
        masks = ["its mask"] * (canvas == "bernoulli")
        words = ["it looks", f"glimpse {step + 1} of 3", "it draws", *masks, "it says"]
        assert [text.get_text() for text in axes[0].figure.texts] == words


def test_the_likeliest_class_is_coloured_by_whether_it_is_right():
    model = sketchpad().eval()
    best = int(model(pixels()).logits[0].argmax())
    for label, ink in ((best, sheet.RIGHT), ((best + 1) % 10, sheet.WRONG)):
        labels = torch.tensor([label, 0])
        axes = panels(model, 2, labels=labels)
        assert texts(axes[0]) == [f"label: {label}"]
        colours = [text.get_color() for text in axes[-1].child_axes[0].get_yticklabels()]
        assert [c for c in colours if c != sheet.FAINT] == [ink]


@pytest.mark.parametrize(("name", "kind"), [("a.gif", "GIF"), ("b.png", "PNG"), ("c.APNG", "PNG")])
def test_every_glimpse_is_a_frame_of_the_file(animation: Animation, tmp_path: Path, name: str, kind: str):
    assert len(animation.frames) == 3
    assert len({frame.size for frame in animation.frames}) == 1
    animation.save(tmp_path / name)
    with Image.open(tmp_path / name) as played:
        assert (played.format, played.n_frames, played.size) == (kind, 3, animation.frames[0].size)
        assert played.info.get("loop", 0) == 0
        if kind == "PNG":
            for index, frame in enumerate(animation.frames):
                played.seek(index)
                assert np.array_equal(np.asarray(played.convert("RGB")), np.asarray(frame))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_last_frame_stays_longer(animation: Animation, tmp_path: Path):
    animation.save(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as played:
        found = []
        for index in range(3):
            played.seek(index)
            found.append(played.info["duration"])
    assert found == [40, 40, 120]


def test_other_suffixes_and_folders_are_refused(animation: Animation, tmp_path: Path):
    for name in ("a.mp4", "a"):
        with pytest.raises(InputError, match=rf"as \.gif, \.png or \.apng; got '{name}'"):
            animation.save(tmp_path / name)
    with pytest.raises(InputError, match="Cannot write"):
        animation.save(tmp_path / "nowhere" / "a.gif")
    assert not list(tmp_path.iterdir())


def test_models_without_classes_or_drawings_are_animated_with_what_they_have():
    assert len(panels(drawer("addition"), 0)) == 3
    assert len(panels(stawm.build("stawm-digits", seed=0, **SMALL), 0)) == 3
    with pytest.raises(InputError, match="takes no glimpses"):
        viz.animate(stawm.build("mnv2-cifar", image=[1, 16, 16], backbone="conv", mean=[0.0], std=[1.0]), pixels())
