"""What stays in full precision under autocast.

In bfloat16 the pose, the sampling grid, what x where and the memory lose the small differences that
the model steers by, and training collapses; they run in float32 whatever the rest does.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """Return half-precision tensors as float32, others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def without_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which autocast is off on the tensor's device."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def autocasts(x: Tensor) -> bool:
    """Whether autocast is on for the tensor's device."""
    device = x.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
