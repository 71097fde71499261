"""Arrays of NumPy and tensors of PyTorch, worked on by the same lines: what runs graphs needs no PyTorch.

PyTorch's functions take the arguments of NumPy's (``axis`` for ``dim``), so that most lines only have to know which
module to call. Nothing here imports PyTorch: where there is a tensor, somebody has imported it already.
"""

import sys
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""An array of NumPy or a tensor of PyTorch."""


def is_tensor(array: Any) -> bool:
    """Whether something is a tensor of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def is_array(array: Any) -> bool:
    """Whether something is an array of NumPy or a tensor of PyTorch."""
    return isinstance(array, np.ndarray) or is_tensor(array)


def namespace(array: Array) -> Any:
    """Return the module whose functions work on an array: `numpy`, or `torch` for a tensor."""
    return sys.modules["torch"] if is_tensor(array) else np


def is_floating(array: Array) -> bool:
    """Whether an array holds floats."""
    return array.is_floating_point() if is_tensor(array) else np.issubdtype(array.dtype, np.floating)


def as_float32(array: Array) -> Array:
    """Return an array in single precision; one that is already is returned as it is."""
    return array.float() if is_tensor(array) else array.astype(np.float32, copy=False)


def extremes(array: Array) -> tuple[float, float]:
    """Return the least and the greatest number of an array, NaN where one is none."""
    low, high = array.detach().aminmax() if is_tensor(array) else (array.min(), array.max())
    return low.item(), high.item()


def to_numpy(array: Array) -> np.ndarray:
    """Return the numbers of an array or a tensor as an array of NumPy."""
    return array.detach().cpu().numpy() if is_tensor(array) else np.asarray(array)


def alike(array: np.ndarray, like: Array) -> Array:
    """Return an array of NumPy as what another one is: itself, or a tensor on the other's device."""
    return namespace(like).from_numpy(array).to(like.device) if is_tensor(like) else array
