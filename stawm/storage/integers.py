"""Weights stored as integers and scales: in 8 bits, a quarter of the space of float32, or mostly in 4, about a seventh.

A row of weights w is stored as integers q = round(w / s) with the scale s = max |w| / top in bfloat16. A weight comes
back as q s, within s / 2 of what it was. In 8 bits top is 127, and a row is that of a matrix, or of a kernel whose axes
after the first count as one. In 4 bits top is 7, and a row is 64 weights side by side in the row of a matrix; two are
stored in a byte. What is not made of such rows, kernels above all, is stored in 8 bits then.

The scale has 8 significant bits and q has 7 or 3, so q s is exact in float32: weights that came back can be stored
again without a change.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import torch
from jaxtyping import BFloat16, Float, Int8, UInt8
from torch import Tensor

from stawm.errors import CheckpointError, InputError

SCALE = ":scale"
"""What the scales of a tensor are called, after its name."""
SMALLEST = 4096
"""Tensors with fewer numbers stay as they are: they weigh little, and the last layer of a pose is one of them."""
GROUP = 64
"""How many weights side by side share a scale in 4 bits."""
INT4: torch.dtype = torch.int4  # pyright: ignore[reportAttributeAccessIssue]  (PyTorch's stubs lack it)
"""What asks for 4 bits."""
I4 = "I4"
"""What the type of a matrix in 4 bits is called; in the file it is one of bytes, half as wide."""
_TOP = {torch.int8: 127, INT4: 7}
_INT8, _BYTES, _SCALES = "I8", "U8", "BF16"


def encode(tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.int8) -> dict[str, Tensor]:
    """Return tensors as they are stored: large ones as integers, each with its scales beside it.

    Args:
        tensors: The tensors.
        dtype: torch.int8, or torch.int4 for 4 bits where a tensor is made of rows of 64.

    Raises:
        InputError: A large tensor holds what is not finite, or is too large for a scale in bfloat16.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() and tensor.ndim > 1 and tensor.numel() >= SMALLEST):
            stored[name] = tensor
        elif dtype == INT4 and tensor.ndim == 2 and tensor.shape[1] % GROUP == 0:
            integers, scales = _rounded(name, tensor.reshape(-1, GROUP), INT4)
            stored[name], stored[name + SCALE] = _packed(integers.view(tensor.shape)), scales.view(len(tensor), -1)
        else:
            integers, stored[name + SCALE] = _rounded(name, tensor.flatten(1), torch.int8)
            stored[name] = integers.view(tensor.shape)
    return stored


def decode(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of what `encode` made, or of a file without integers, as they are."""
    return {name: _restored(tensor, stored.get(name + SCALE)) for name, tensor in stored.items() if not _is_scale(name)}


def without_scales(
    path: Path, stored: Mapping[str, tuple[str, tuple[int, ...]]]
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return type and shape of each tensor of a file, without the scales; of a matrix in 4 bits its own shape.

    Raises:
        CheckpointError: Integers lack their scales, or scales are not those of the rows of integers.
    """
    found = {name: entry for name, entry in stored.items() if not _is_scale(name)}
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, (kind, shape) in found.items():
        if kind == _INT8 and len(shape) > 1 and prod(shape):
            wanted[name + SCALE] = (_SCALES, shape[:1])
        elif kind == _BYTES and name + SCALE in stored and len(shape) == 2 and prod(shape):
            found[name] = (I4, (shape[0], 2 * shape[1]))
            wanted[name + SCALE] = (_SCALES, (shape[0], 2 * shape[1] // GROUP))
    alone = any(kind == _INT8 and name + SCALE not in wanted for name, (kind, _) in found.items())
    parted = any(kind == I4 and shape[1] % GROUP for kind, shape in found.values())
    if alone or parted or wanted != {name: entry for name, entry in stored.items() if _is_scale(name)}:
        raise CheckpointError(f"{path} is damaged: its integer weights and their scales do not belong together.")
    return found


def _is_scale(name: str) -> bool:
    return name.endswith(SCALE)


def _rounded(
    name: str, rows: Float[Tensor, "rows n"], dtype: torch.dtype
) -> tuple[Int8[Tensor, "rows n"], BFloat16[Tensor, "rows"]]:
    rows = rows.double()
    scale = (rows.abs().amax(dim=1) / _TOP[dtype]).clamp(min=torch.finfo(torch.bfloat16).tiny).bfloat16()
    if not scale.isfinite().all():
        raise InputError(f"{dtype} cannot hold {name}: it reaches {rows.abs().max().item():.3g}.")
    return (rows / scale.double()[:, None]).round().to(torch.int8), scale


def _restored(tensor: Tensor, scale: Tensor | None) -> Tensor:
    if scale is None:
        return tensor
    integers = _unpacked(tensor) if tensor.dtype == torch.uint8 else tensor
    return (integers.reshape(scale.numel(), -1).float() * scale.float().view(-1, 1)).view(integers.shape)


def _packed(integers: Int8[Tensor, "rows n"]) -> UInt8[Tensor, "rows half"]:
    """Return integers from -8 to 7 as bytes: those of even columns in the low 4 bits, with 8 added."""
    above = (integers + 8).to(torch.uint8)
    return above[:, 0::2] | above[:, 1::2] << 4


def _unpacked(stored: UInt8[Tensor, "rows half"]) -> Int8[Tensor, "rows n"]:
    return torch.stack((stored & 15, stored >> 4), dim=2).flatten(1).to(torch.int8) - 8
