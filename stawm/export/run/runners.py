"""How a session is run: with arrays of the host, or with buffers that stay where they are on a device."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor

from stawm.export.run.walk import Named

KEPT = 8
"""For how many sizes of batch buffers are kept."""


Runner: TypeAlias = Callable[[Named], Named]
"""Runs a graph on tensors by name; may be called from several threads at once."""


class HostRunner:
    """Hands arrays over and takes arrays back."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.session = session
        self.names = [output.name for output in session.get_outputs()]

    def __call__(self, given: Named) -> Named:
        """Run once; sessions of ONNX Runtime take calls from several threads."""
        arrays = {name: value.detach().cpu().contiguous().numpy() for name, value in given.items()}
        found = self.session.run(self.names, arrays)
        return {name: torch.from_numpy(np.asarray(a)) for name, a in zip(self.names, found, strict=True)}


class Slot:
    """Buffers for one size of batch, bound to a session once and for all."""

    def __init__(self, session: ort.InferenceSession, batch: int, device: torch.device) -> None:
        self.binding = session.io_binding()
        self.inputs = {value.name: _buffer(value, batch, device) for value in session.get_inputs()}
        self.outputs = {value.name: _buffer(value, batch, device) for value in session.get_outputs()}
        for buffers, bind in ((self.inputs, self.binding.bind_input), (self.outputs, self.binding.bind_output)):
            for name, buffer in buffers.items():
                bind(name, device.type, device.index or 0, np.float32, tuple(buffer.shape), buffer.data_ptr())


def _buffer(value: ort.NodeArg, batch: int, device: torch.device) -> Tensor:
    return torch.zeros(batch, *value.shape[1:], device=device)


class BoundRunner:
    """Keeps inputs and outputs in buffers on the device, so that nothing is allocated or copied to the host.

    With captured CUDA graphs a batch is filled up to the next of a few sizes, the ``buckets``, each of which is
    captured at its first run and replayed afterwards.
    """

    def __init__(self, session: ort.InferenceSession, device: torch.device, buckets: Sequence[int] = ()) -> None:
        self.session, self.device, self.buckets = session, device, sorted(buckets)
        self.slots: OrderedDict[int, Slot] = OrderedDict()
        self.lock = threading.Lock()

    def __call__(self, given: Named) -> Named:
        """Run once; the buffers serve one call at a time."""
        batch = len(next(iter(given.values())))
        size = next((bucket for bucket in self.buckets if bucket >= batch), batch)
        with self.lock:
            slot = self._slot(size)
            for name, buffer in slot.inputs.items():
                buffer[:batch].copy_(given[name])
            self._wait()
            self.session.run_with_iobinding(slot.binding, self._options(size))
            slot.binding.synchronize_outputs()
            found = {name: buffer[:batch].clone() for name, buffer in slot.outputs.items()}
            self._wait()
        return found

    def _slot(self, size: int) -> Slot:
        if size not in self.slots:
            self.slots[size] = Slot(self.session, size, self.device)
        self.slots.move_to_end(size)
        # A captured graph holds on to the addresses of its buffers, so those of buckets are never given up.
        while not self.buckets and len(self.slots) > KEPT:
            self.slots.popitem(last=False)
        return self.slots[size]

    def _options(self, size: int) -> ort.RunOptions | None:
        if not self.buckets or self.device.type != "cuda":
            return None
        options = ort.RunOptions()
        captured = size in self.buckets
        options.add_run_config_entry("gpu_graph_id", str(self.buckets.index(size) + 1) if captured else "-1")
        return options

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
