"""Steps for other processes to find: in a module that imports little, since each of them imports it anew."""

import torch

from benchmarks.turns import Step


def filled(size: int) -> Step:
    """Make a step that holds so many bytes."""

    def step() -> None:
        torch.ones(size // 4)

    return step


def broken() -> Step:
    """Make nothing."""
    raise ValueError("on purpose")
