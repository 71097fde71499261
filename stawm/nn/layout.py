"""How images lie in memory."""

import torch
from jaxtyping import Float
from torch import Tensor


def channels_last(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return the same images with the channels of a pixel side by side, where convolutions are faster.

    A graph that is exported has no layout, and would show the change of it as nodes.
    """
    if torch.compiler.is_exporting():
        return images
    return images.contiguous(memory_format=torch.channels_last)
