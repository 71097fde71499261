"""Weights stored as 8-bit integers and a scale for each row, which takes a quarter of the space of float32.

Each row of a matrix, or of a kernel whose axes after the first count as one, is stored as q = round(w / s) with the
scale s = max |w| / 127 in bfloat16. A weight comes back as q s, within s / 2 of what it was. The scale has 8
significant bits and q has 7, so q s is exact in float32: weights that came back can be stored again without a change.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.errors import CheckpointError, InputError

SCALE = ":scale"
"""What the scales of a tensor are called, after its name."""
SMALLEST = 4096
"""Tensors with fewer numbers stay as they are: they weigh little, and the last layer of a pose is one of them."""
_TOP = 127
_INTEGERS, _SCALES = "I8", "BF16"


def encode(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as they are stored: large ones as integers, each with its scales beside it.

    Raises:
        InputError: A large tensor holds what is not finite, or is too large for a scale in bfloat16.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.ndim > 1 and tensor.numel() >= SMALLEST:
            stored[name], stored[name + SCALE] = _rounded(name, tensor)
        else:
            stored[name] = tensor
    return stored


def decode(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of what `encode` made, or of a file without integers, as they are."""
    return {name: _restored(tensor, stored.get(name + SCALE)) for name, tensor in stored.items() if not _is_scale(name)}


def without_scales(
    path: Path, stored: Mapping[str, tuple[str, tuple[int, ...]]]
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return type and shape of each tensor of a file, without the scales.

    Raises:
        CheckpointError: Integers lack their scales, or scales are not those of the rows of integers.
    """
    integers = {name: shape for name, (kind, shape) in stored.items() if kind == _INTEGERS}
    wanted = {name + SCALE: (_SCALES, shape[:1]) for name, shape in integers.items() if len(shape) > 1 and prod(shape)}
    given = {name: entry for name, entry in stored.items() if _is_scale(name)}
    if wanted != given or len(wanted) != len(integers):
        raise CheckpointError(f"{path} is damaged: its 8-bit weights and their scales do not belong together.")
    return {name: entry for name, entry in stored.items() if name not in given}


def _is_scale(name: str) -> bool:
    return name.endswith(SCALE)


def _rounded(name: str, tensor: Float[Tensor, "rows *columns"]) -> tuple[Tensor, Tensor]:
    rows = tensor.double().flatten(1)
    scale = (rows.abs().amax(dim=1, keepdim=True) / _TOP).clamp(min=torch.finfo(torch.bfloat16).tiny).bfloat16()
    if not scale.isfinite().all():
        raise InputError(f"torch.int8 cannot hold {name}: it reaches {rows.abs().max().item():.3g}.")
    return (rows / scale.double()).round().to(torch.int8).view(tensor.shape), scale[:, 0].contiguous()


def _restored(tensor: Tensor, scale: Tensor | None) -> Tensor:
    if scale is None:
        return tensor
    return (tensor.flatten(1).float() * scale.float()[:, None]).view(tensor.shape)
