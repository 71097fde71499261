"""How a rule is held against its slow twin."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import TypeAlias

import torch
from torch import Tensor

from tests.strategies import assert_all_near, gradients

EXACT = 1e-10  # float64 rounding of the short sums that the tests make, with room for ill-conditioned draws
GRADIENTS = 1e-8
NAMES = ("init_state", "write", "read", "matrix", "unroll", "bound")

Outputs: TypeAlias = Callable[..., tuple[Tensor, ...]]


def assert_same_functions(fast: ModuleType, naive: ModuleType, *more: str) -> None:
    """The twin has every function of the rule, with the same signature."""
    for name in (*NAMES, *more):
        assert str(inspect.signature(getattr(naive, name))) == str(inspect.signature(getattr(fast, name)))
    ours = {n for n, f in vars(fast).items() if inspect.isfunction(f) and f.__module__ == fast.__name__}
    assert {n for n in ours if not n.startswith("_")} <= {*NAMES, *more}


def assert_twins(ours: Outputs, twin: Outputs, *inputs: Tensor) -> None:
    """Equal in all outputs and in the gradients of all inputs."""
    assert_all_near(ours(*inputs), twin(*inputs), EXACT)
    assert_all_near(gradients(ours, *inputs), gradients(twin, *inputs), GRADIENTS)


def assert_second_derivatives(run: Callable[..., Tensor], *inputs: Tensor) -> None:
    """First and second derivatives are those of finite differences."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(run, leaves)
    assert torch.autograd.gradgradcheck(run, leaves)


def uniform(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Numbers in [0, 1)."""
    random = torch.Generator().manual_seed(seed)
    return [torch.rand(*shape, generator=random, dtype=torch.float64) for shape in shapes]
