"""Pixels where a model is given them: brought to [0, 1], and noticed where a model takes normalised images."""

import sys
import warnings
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from stawm.errors import PixelsWarning
from stawm.models.unit import SLACK as SLACK
from stawm.models.unit import to_unit as to_unit

CALLS = 3
"""How many calls of a model are looked at: looking at numbers makes a GPU wait."""
SPREAD = 0.25
"""How far apart the values of images must be at least to be told from an empty image."""
_seen: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def notice_pixels(model: nn.Module, images: Tensor, mean: Tensor, std: Tensor) -> None:
    """Warn once where a model that takes normalised images is given pixels; only its first calls are looked at.

    Normalised images have values on both sides of 0, the mean. So images with none below 0 are pixels, if values
    below 0 are to be expected at all and something is to be seen in them.

    Args:
        model: The model that is called.
        images: What it is given.
        mean: What should have been taken from the pixels.
        std: What they should have been divided by.
    """
    looked = _seen.get(model, 0)
    if looked >= CALLS or not _can_be_read(images):
        return
    try:
        low, high = (value.item() for value in images.detach().aminmax())
    except RuntimeError:  # there are no numbers: under vmap, in outlines and fake tensors
        return
    least, most = ((end - mean) / std for end in (0, 1))
    least, most = least.min().item(), most.max().item()
    in_unit = low >= 0 and high <= 1 and high - low > SPREAD and (least < -SPREAD or most > 1 + SPREAD)
    as_bytes = low >= 0 and high >= 16 and high > 4 * most
    _seen[model] = CALLS if in_unit or as_bytes else looked + 1
    if in_unit or as_bytes:
        warnings.warn(
            f"The images look like pixels: their values are from {low:.3g} to {high:.3g}, and this model takes "
            f"normalised ones, from {least:.3g} to {most:.3g}. Call model.predict(pixels), or "
            "model(model.normalise(pixels)) with pixels in [0, 1]. This is said once for a model; "
            'warnings.simplefilter("ignore", stawm.errors.PixelsWarning) switches it off.',
            PixelsWarning,
            stacklevel=_callers_level(),
        )


def _callers_level() -> int:
    """Return how many calls away the line is that is not ours and not PyTorch's, for the function that asks."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("stawm", "torch"):
        level, frame = level + 1, frame.f_back
    return level


def _can_be_read(images: Tensor) -> bool:
    traced = torch.compiler.is_compiling() or torch.compiler.is_exporting() or torch.jit.is_tracing()
    return not traced and images.numel() > 0 and not (images.is_cuda and torch.cuda.is_current_stream_capturing())
