"""Two processes that train with PyTorch's own `DistributedDataParallel`, as a user's code would."""

import multiprocessing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from tests.small import tiny

torch.set_num_threads(1)
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])
WORLD, STEPS = 2, 3


def train(rank: int, folder: Path, cases: list[dict[str, Any]]) -> None:
    """Train a model for each case, and save its weights and what the wrapped model gave."""
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=WORLD)
    torch.save([trained(rank, **case) for case in cases], folder / f"{rank}.pt")
    distributed.destroy_process_group()


def trained(rank: int, static_graph: bool, **overrides: Any) -> Tensor:
    """Return all weights of a model in a row, after some steps on images of this process's own."""
    model = tiny(**overrides)
    wrapped: Any = DistributedDataParallel(model, static_graph=static_graph)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(rank)
    for _ in range(STEPS):
        images = torch.rand(2, 1, 12, 12, generator=generator)
        labels = torch.randint(0, 10, (2,), generator=generator)
        optimiser.zero_grad()
        model.loss(wrapped(images), images, labels)["total"].backward()
        optimiser.step()
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach()
