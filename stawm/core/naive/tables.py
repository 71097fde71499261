"""How the slow twins put what they computed number by number into a tensor."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

Read = TypeVar("Read", bound=Callable[..., Tensor])


def one_by_one(read: Read) -> Read:
    """Let a function that reads one query, (b, m), read k of them, (b, k, m), one after the other."""

    @wraps(read)
    def either(state: Any, q: Tensor, *more: Any) -> Tensor:
        return read(state, q, *more) if q.ndim == 2 else torch.stack([read(state, x, *more) for x in q.unbind(1)], 1)

    return either  # pyright: ignore[reportReturnType]  (it takes what the function takes)


def table(entry: Callable[..., Any], *sizes: int) -> Tensor:
    """Return the tensor of those sizes whose entry at (i, j, ...) is ``entry(i, j, ...)``."""
    if not sizes:
        return entry()
    return torch.stack([table(lambda *rest, i=i: entry(i, *rest), *sizes[1:]) for i in range(sizes[0])])
