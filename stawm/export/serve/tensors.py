"""What sessions with tensors are given beside images, checked, and what they give."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stawm.errors import InputError
from stawm.export.serve.looking import Looked
from stawm.heads.output import Noise


def check_noise(noise: Any) -> None:
    """Raise an InputError unless random numbers are given as a Noise of tensors, or not at all."""
    if noise is None:
        return
    if not isinstance(noise, Noise):
        raise InputError(f"noise must be a stawm.heads.output.Noise; got {type(noise).__name__}.")
    for name, value in noise._asdict().items():
        if not (value is None or isinstance(value, (Tensor, np.ndarray))):
            raise InputError(f"The {name} noise must be a tensor; got {type(value).__name__}.")


def check_generator(generator: Any) -> None:
    """Raise an InputError unless a generator is one of PyTorch's, or is not given."""
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise InputError(f"generator must be a torch.Generator; got {type(generator).__name__}.")


def as_tensors(found: Looked) -> Looked:
    """Return what looking came to, as tensors on the CPU."""
    return Looked(*(torch.as_tensor(value) for value in (found.logits, found.confidence, found.glimpses)))
