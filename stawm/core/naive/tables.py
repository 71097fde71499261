"""How the slow twins put what they computed number by number into a tensor."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def table(entry: Callable[..., Any], *sizes: int) -> Tensor:
    """Return the tensor of those sizes whose entry at (i, j, ...) is ``entry(i, j, ...)``."""
    if not sizes:
        return entry()
    return torch.stack([table(lambda *rest, i=i: entry(i, *rest), *sizes[1:]) for i in range(sizes[0])])
