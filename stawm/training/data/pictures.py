"""Pictures as tensors; how they are read is said in `stawm.pictures`."""

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from stawm import pictures
from stawm.models.resizing import Resize
from stawm.pictures import Source, fit


def read(
    source: Source, channels: int, size: tuple[int, int] | None = None, resize: Resize = "crop"
) -> UInt8[Tensor, "c h w"]:
    """Read a picture.

    Args:
        source: A file.
        channels: 1 for grey, 3 for colour.
        size: Height and width to bring it to; its own where left out.
        resize: How it is brought there.

    Raises:
        InputError: What `stawm.pictures.read` says.
    """
    return torch.from_numpy(np.ascontiguousarray(pictures.read(source, channels, size, resize)))


def fit_all(
    images: UInt8[Tensor, "b c h w"],
    size: tuple[int, int],
    resize: Resize,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> UInt8[Tensor, "b c height width"]:
    """Bring images to a height and width exactly as pictures in files are brought there, channel by channel."""
    fitted = torch.empty(*images.shape[:2], *size, dtype=torch.uint8)
    for of, to in zip(images.flatten(0, 1).numpy(), fitted.flatten(0, 1), strict=True):
        to.copy_(torch.from_numpy(np.array(fit(Image.fromarray(of), size, resize, resampling))))
    return fitted
