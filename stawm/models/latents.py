"""Drawing from latents that are given, in place of those that a model makes of what it sees."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.base import Scene
from stawm.heads.drawing import DrawingHead, Sketcher
from stawm.heads.output import Noise
from stawm.models.baseline import Baseline
from stawm.models.draw import Draw
from stawm.models.model import Model, Stawm, evaluating
from stawm.nn.glimpse_loop import Look
from stawm.nn.precision import full_precision, of_weights


def redraw(model: Model, images: Float[Tensor, "b c h w"], z: Float[Tensor, "b s n k"]) -> Float[Tensor, "b s c h w"]:
    """Draw of each image s times what latents say, placed where the model looks at that image.

    Args:
        model: A model that draws; it is run in evaluation mode and left as it was.
        images: The images, normalised. A baseline and DRAW draw from latents alone: of their images only the number
            counts.
        z: For each drawing the k numbers of each of n sketches; of a baseline n is 1.

    Raises:
        InputError: The model does not draw, or the shapes are not of its form.
    """
    check_latents(model, len(images), z)
    if isinstance(model, Draw):
        with evaluating(model):
            return model.generate(z.flatten(0, 1)).unflatten(0, z.shape[:2])
    with evaluating(model), of_weights(next(model.heads.parameters()), images):
        if isinstance(model, Baseline):
            return full_precision(_sketcher(model).decode(z.flatten(0, 1))[:, 0]).sigmoid().unflatten(0, z.shape[:2])
        looks = model.look(images, z.shape[2]).looks
        assert looks is not None
        again: Any = (None if part is None else part.repeat_interleave(z.shape[1], dim=0) for part in looks)
        head: DrawingHead = model.heads["drawing"]
        _, placed = head.place(head.decode(z.flatten(0, 1)), Scene(Look(*again), model.locator, Noise()))
        return head.conclude({"sketches": placed})["canvas"].unflatten(0, z.shape[:2])


def from_prior(
    model: Model,
    images: Float[Tensor, "b c h w"] | None = None,
    *,
    count: int = 8,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "b count c h w"]:
    """Draw pictures from latents of the prior, standard normal numbers.

    A baseline and DRAW generate by that alone. Another model that takes glimpses also has to know where to put what it
    sketches, and that follows from an image that it looks at: of each image it draws pictures of other sketches at the
    same places.

    Args:
        model: A model that draws.
        images: The images, normalised, whose places are taken; None for a baseline and DRAW, where b is 1.
        count: How many pictures, of each image.
        generator: Where the random numbers come from.

    Raises:
        InputError: The model does not draw, or takes glimpses and there are no images.

    Examples:
        >>> import stawm, torch
        >>> vae = stawm.build("bvae-cifar", seed=0)
        >>> from_prior(vae, count=3, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([1, 3, 3, 32, 32])
    """
    if images is None and isinstance(model, Stawm):
        raise InputError(
            f"{model.config.name} decides where to draw by looking at an image, so it cannot generate without one: "
            "give images, whose places are taken; a baseline such as bvae-cifar needs none, nor does draw-mnist."
        )
    like = next(model.parameters())
    given = like.new_zeros(1, *model.config.image) if images is None else images
    n, k = _form(model)
    z = torch.randn(len(given), count, n, k, generator=generator, device=given.device, dtype=given.dtype)
    return redraw(model, given, z)


def check_latents(model: Model, count: int, z: Tensor) -> None:
    """Raise an InputError unless latents are of a model that draws, for so many images."""
    n, k = _form(model)
    if z.ndim != 4 or len(z) != count or z.shape[3] != k or (isinstance(model, Baseline) and z.shape[2] != n):
        raise InputError(f"Latents of {model.config.name} are of shape ({count}, s, {n}, {k}); got {tuple(z.shape)}.")


def _form(model: Model) -> tuple[int, int]:
    """Return how many sketches a model makes of an image, and of how many numbers each."""
    head = model.config.head("drawing")
    if head is None or not model.config.has_latent:
        raise InputError(f"{model.config.name} does not draw from a latent, so there is none to be given.")
    return model.config.glimpses or 1, head.latent


def _sketcher(model: Baseline) -> Sketcher:
    sketcher = model.heads["drawing"]
    assert isinstance(sketcher, Sketcher)
    return sketcher
