"""Steps as CUDA graphs: what a GPU is told in one step is recorded once, and replayed in the others.

A small model's step is thousands of small kernels, and telling a GPU of each takes longer than running it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from stawm.errors import InputError
from stawm.training.endings import recording
from stawm.training.learner import Learned, Learner


class Captured:
    """A learner whose forward and backward pass are recorded at the first batch of each form, then replayed.

    A replay reads the weights where they lie, and draws from PyTorch's generator as it was seeded for its step. So
    nothing in a learner may wait for the GPU, or bring a constant to it.

    Attributes:
        learner: What is recorded.
        recorded: The recordings, by all that a recording holds fast: the form of the batch, what the losses are
            multiplied by, and which modules are in training mode.
    """

    def __init__(self, learner: Any) -> None:
        """Check that steps can be recorded.

        Args:
            learner: A learner, on an NVIDIA GPU.

        Raises:
            InputError: It is somewhere else, or compiled, or spread over processes.
        """
        if not isinstance(learner, Learner):
            raise InputError("capture is for one process, and does by itself what compile does on a GPU: leave one.")
        self.device = next(learner.parameters()).device
        if self.device.type != "cuda":
            raise InputError(f"capture is for an NVIDIA GPU, and this run is on the device {str(self.device)!r}.")
        self.learner = learner
        self.recorded: dict[Any, _Flat] = {}

    def __call__(self, *batch: Any) -> Learned:
        """Return the parts of the loss of a batch, given as to the learner, `Weights` and all."""
        *inputs, mean, total = batch
        given, form = pytree.tree_flatten(inputs)
        shapes = tuple((each.shape, each.dtype) for each in given)
        modes = tuple(module.training for module in self.learner.modules())
        key = (str(form), shapes, mean, total, modes)
        if key not in self.recorded:
            self.recorded[key] = self._record(_Flat(self.learner, form, mean, total), given)
        flat = self.recorded[key]
        *parts, largest = flat(*given)
        return dict(zip(flat.names, parts, strict=True)), largest

    def _record(self, flat: "_Flat", given: list[Tensor]) -> "_Flat":
        """Record a step on a copy of a batch; running statistics and the generator stay as they were.

        Raises:
            StawmError: It cannot be recorded.
        """
        buffers = [(buffer, buffer.clone()) for buffer in flat.buffers()]
        # What was recorded keeps the gradients' nodes of its own stream, which PyTorch would warn of in each run.
        getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", bool)(False)
        with torch.random.fork_rng(devices=[self.device]), recording():
            samples = tuple(each.clone() for each in given)
            recorded: Any = torch.cuda.make_graphed_callables(flat, samples, allow_unused_input=True)
        with torch.no_grad():
            for buffer, kept in buffers:
                buffer.copy_(kept)
        return recorded


class _Flat(nn.Module):
    """A learner that takes and gives tensors one by one, as recording asks for."""

    def __init__(self, learner: Learner, form: pytree.TreeSpec, mean: float, total: float) -> None:
        super().__init__()
        self.learner, self.form, self.mean, self.total = learner, form, mean, total
        self.names: tuple[str, ...] = ()

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        parts, largest = self.learner(*pytree.tree_unflatten(list(given), self.form), self.mean, self.total)
        self.names = tuple(parts)
        return (*parts.values(), largest)
