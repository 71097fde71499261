"""How images lie in memory."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch._C._functorch import is_batchedtensor


def channels_last(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return the same images with the channels of a pixel side by side, where convolutions are faster.

    A graph that is exported has no layout, and would show the change of it as nodes; under vmap there is none either.
    """
    if torch.compiler.is_exporting() or is_batchedtensor(images):
        return images
    return images.contiguous(memory_format=torch.channels_last)
