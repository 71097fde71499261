"""The random numbers of a forward pass: checked where they are given, drawn where they are not."""

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.output import Noise

Shapes = Mapping[str, tuple[int, ...]]
"""For each field of `Noise` that a model uses, its shape without the batch."""


def _normal(empty: Tensor, generator: torch.Generator | None) -> Tensor:
    return empty.normal_(generator=generator)


def _uniform(empty: Tensor, generator: torch.Generator | None) -> Tensor:
    smallest = torch.finfo(empty.dtype).eps
    return empty.uniform_(smallest, 1 - smallest, generator=generator)


KINDS: Mapping[str, Callable[[Tensor, torch.Generator | None], Tensor]] = {
    "latent": _normal,
    "mask": _uniform,
    "pose": _normal,
    "place": _uniform,
}
"""How each field of `Noise` is drawn: those of latent and pose are standard normal, the others uniform in (0, 1)."""


def draw_noise(kind: str, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw the random numbers of one field of `Noise`.

    Args:
        kind: The field, a key of `KINDS`.
        shape: The shape, with the batch.
        like: The images, for device and type; the numbers are at least of single precision.
        generator: Where the numbers come from; PyTorch's own generator where left out.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    return KINDS[kind](torch.empty(shape, device=like.device, dtype=dtype), generator)


def settle(
    given: Noise | None,
    shapes: Shapes,
    like: Tensor,
    generator: torch.Generator | None,
    *,
    draw: bool | Collection[str],
) -> Noise:
    """Return the noise of one pass.

    Args:
        given: What the caller brought; it is used whether or not anything is drawn.
        shapes: What the model uses.
        like: The images, for batch, device and type.
        generator: Where what is drawn comes from.
        draw: Whether what is not given is drawn, or which fields of it; it stays None otherwise.

    Raises:
        InputError: What is given is not of the model's form.
    """
    known = (given or Noise())._asdict()
    for name, noise in known.items():
        if noise is not None:
            _check(name, noise, shapes, like)
        elif name in shapes and (draw if isinstance(draw, bool) else name in draw):
            known[name] = draw_noise(name, (like.shape[0], *shapes[name]), like, generator)
    return Noise(**known)


def _check(name: str, noise: Tensor, shapes: Shapes, like: Tensor) -> None:
    if name not in shapes:
        used = ", ".join(shapes) or "none"
        raise InputError(f"The model uses no noise named {name!r}; it uses {used}.")
    if tuple(noise.shape[1:]) != shapes[name] or noise.shape[0] != like.shape[0]:
        form = ", ".join(map(str, (like.shape[0], *shapes[name])))
        raise InputError(f"The {name} noise must be of shape ({form}); got {tuple(noise.shape)}.")
