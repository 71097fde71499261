"""What the pictures show: a model that is run as it would answer."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.drawing import DrawingHead
from stawm.heads.output import Output, Trace
from stawm.models.model import Model, Stawm


class Seen(NamedTuple):
    """What a model made of images.

    Attributes:
        model: The model.
        output: What it gave.
        trace: Where it looked.
        chances: The chance of each class after each glimpse; None in a model that does not classify.
        sketches: What was drawn after each glimpse, before it was placed; None in a model that does not draw.
    """

    model: Stawm
    output: Output
    trace: Trace
    chances: Float[Tensor, "b n classes"] | None
    sketches: Float[Tensor, "b n s h w"] | None

    def class_name(self, index: int) -> str:
        """Return a class's name, or its number where classes have no names."""
        return class_name(self.model, index)

    def frames(self, row: int) -> Float[Tensor, "n 4 2"]:
        """Return the corners of one image's glimpses."""
        with torch.no_grad():
            return self.model.locator.frame(self.trace.pose[row]).cpu()

    def placed_frames(self, row: int) -> Float[Tensor, "n 4 2"]:
        """Return the corners of one image's sketches on the canvas."""
        assert self.trace.inverse_pose is not None
        with torch.no_grad():
            return self.model.locator.placed_frame(self.trace.inverse_pose[row]).cpu()


def look(model: Model, pixels: Float[Tensor, "b c h w"]) -> Seen:
    """Run a model as it would answer: in evaluation mode, without any randomness.

    Raises:
        InputError: The model takes no glimpses, or the images are not of its form.
    """
    if not isinstance(model, Stawm):
        raise InputError(f"{model.config.name} takes no glimpses, so there are none to show.")
    classifies = model.config.head("classification") is not None
    sketches: list[Tensor] = []
    hooks = [
        head.sketcher.register_forward_hook(lambda _, __, drawn: sketches.append(drawn[1]))
        for head in model.heads.values()
        if isinstance(head, DrawingHead)
    ]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            images = model.normalise(pixels.to(next(model.parameters())))
            output = model(images, glimpse_logits=classifies)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    assert output.trace is not None
    logits = output.glimpse_logits
    return Seen(
        model=model,
        output=output,
        trace=output.trace,
        chances=None if logits is None else logits.softmax(dim=-1).cpu(),
        sketches=sketches[0] if sketches else None,
    )


def check_draws(model: Model) -> None:
    """Raise an InputError unless a model draws from glimpses."""
    if not isinstance(model, Stawm) or not model.config.draws:
        raise InputError(
            f"{model.config.name} does not draw from glimpses, so there is no drawing to show; models with the head "
            "'drawing' do, such as stawm-mnist-draw-6 and stawm-mnist-sketchpad."
        )


def class_name(model: Model, index: int) -> str:
    """Return a class's name, or its number where classes have no names."""
    names = model.config.class_names
    return names[index] if names else str(index)
