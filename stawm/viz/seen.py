"""What the pictures show: a model that is run as it would answer."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from stawm.core.sizes import extent
from stawm.errors import InputError
from stawm.heads.output import Output, Trace
from stawm.models.model import Model, evaluating
from stawm.models.pixels import to_unit
from stawm.viz.sheet import INK, RIGHT, WRONG, room
from stawm.viz.writing import fitting, width

LABEL = "label: "


class Seen(NamedTuple):
    """What a model made of images.

    Attributes:
        model: The model.
        output: What it gave.
        trace: Where it looked; None in a model without attention, which is asked for its drawings alone.
        size: The images' width and height, where they may be of any.
        chances: The chance of each class after each glimpse; None in a model that does not classify.
    """

    model: Any
    output: Output
    trace: Trace | None
    chances: Float[Tensor, "b n classes"] | None
    size: Float[Tensor, "2"] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, or their numbers where classes have no names."""
        config = self.model.config
        return tuple(config.class_names or map(str, range(config.classes or 0)))

    def class_name(self, index: int, inches: float, size: float = 8, *, beside: str = "") -> str:
        """Return a class's name as it is written where there is so much room.

        Args:
            index: Which class.
            inches: How much room there is.
            size: The size of the letters, in points.
            beside: What is written in the same line.
        """
        names = self.names
        if not 0 <= index < len(names):
            return str(index)
        return fitting(names, math.ceil(100 * (inches - width(beside, size))) / 100, size)[index]

    def label(self, axis: Axes, index: int) -> str:
        """Return what is written under an image whose class is known."""
        return f"{LABEL}{self.class_name(index, room(axis), beside=LABEL)}"

    def answer(self, axis: Axes, chances: Float[Tensor, "classes"], label: int | None) -> tuple[str, str]:
        """Return the likeliest class and how likely it is, as it is written under a panel, and in which ink."""
        if not chances.isfinite().all():
            return "no answer", WRONG
        best = int(chances.argmax())
        ink = INK if label is None else RIGHT if best == label else WRONG
        share = f"  {chances[best]:.0%}"
        return f"{self.class_name(best, room(axis), beside=share)}{share}", ink

    def glimpses(self, row: int) -> Float[Tensor, "n c g g"]:
        """Return one image's glimpses as pictures; the narrower of several views lie in the middle of the wider."""
        channels = self.model.config.image[0]
        assert self.trace is not None
        views = self.trace.glimpses[row].unflatten(1, (-1, channels)).unbind(1)
        return self.model.denormalise(fovea(views))

    def frames(self, row: int) -> Float[Tensor, "n 4 2"]:
        """Return the corners of one image's glimpses, of several views the narrowest."""
        size = () if self.size is None else (self.size,)
        assert self.trace is not None
        with torch.no_grad():
            return self.model.locator.frame(self.trace.pose[row], *size).cpu()

    def placed_frames(self, row: int) -> Float[Tensor, "n 4 2"]:
        """Return the corners of one image's sketches on the canvas."""
        assert self.trace is not None
        assert self.trace.inverse_pose is not None
        with torch.no_grad():
            return placer_of(self.model).placed_frame(self.trace.inverse_pose[row]).cpu()


def placer_of(model: Any) -> Any:
    """Return the locator that places a model's sketches, which may have another size than its glimpses."""
    return getattr(model, "placer", model.locator)


def look(model: Model, pixels: Tensor, *, attends: bool = True) -> Seen:
    """Run a model as it would answer: in evaluation mode, without any randomness.

    Args:
        model: A model that takes glimpses; left in the mode that it was in.
        pixels: Images, (b, c, h, w), as bytes or as floats in [0, 1].
        attends: Whether it has to choose where to look.

    Raises:
        InputError: The model takes no glimpses, or the images are not of its form.
    """
    if model.config.glimpses is None or (attends and getattr(model.config, "locator", None) is None):
        why = "takes no glimpses" if model.config.glimpses is None else "has no attention and sees all of an image"
        raise InputError(f"{model.config.name} {why}, so there are none to show.")
    with evaluating(model):
        images = model.normalise(to_unit(pixels).to(next(model.parameters())))
        output = model(images, glimpse_logits=model.config.classifies)
    logits = output.glimpse_logits
    chances = None if logits is None else logits.softmax(dim=-1).cpu()
    size = extent(images) if model.config.any_size else None
    return Seen(model=model, output=output, trace=output.trace, chances=chances, size=size)


def fovea(views: Sequence[Float[Tensor, "n c g g"]]) -> Float[Tensor, "n c s s"]:
    """Lay concentric views into each other, each twice as wide as the one before, every pixel as large as it is."""
    narrow, *wider = views
    picture = narrow
    for view in wider:
        around = view.repeat_interleave(2 * picture.shape[-1] // view.shape[-1], 2)
        around = around.repeat_interleave(2 * picture.shape[-1] // view.shape[-1], 3)
        start, side = picture.shape[-1] // 2, picture.shape[-1]
        if side % 2:  # a middle between two pixels: all are made twice as large
            around, picture = (x.repeat_interleave(2, 2).repeat_interleave(2, 3) for x in (around, picture))
            start, side = side, 2 * side
        around[..., start : start + side, start : start + side] = picture
        picture = around
    return picture


def draw(model: Model, pixels: Tensor) -> Float[Tensor, "b c h w"]:
    """Return what a model draws of images, a baseline too, on the CPU.

    Raises:
        InputError: The model does not draw, or the images are not of its form.
    """
    if not model.config.draws:
        raise InputError(
            f"{model.config.name} does not draw; models with the head 'drawing' do, such as stawm-mnist-draw-6 and "
            "bvae-cifar."
        )
    canvas = model.predict(pixels).canvas
    assert canvas is not None
    return canvas.cpu()


def check_draws(model: Model) -> None:
    """Raise an InputError unless a model draws from glimpses."""
    if model.config.glimpses is None or not model.config.draws:
        raise InputError(
            f"{model.config.name} does not draw from glimpses, so there is no drawing to show; models with the head "
            "'drawing' do, such as stawm-mnist-draw-6 and stawm-mnist-sketchpad."
        )
