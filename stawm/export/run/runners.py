"""How a session is run: with arrays of the host, or with buffers that stay where they are on a device."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor

from stawm.errors import ExportError
from stawm.export.run.walk import Named

KEPT = 8
"""For how many sizes of batch buffers are kept."""


Sides: TypeAlias = tuple[int, ...]
"""Height and width of images, where a graph leaves them free."""
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
        try:
            found = self.session.run(self.names, arrays)
        except Exception as error:  # ONNX Runtime raises errors of many kinds
            raise _failed(error) from error
        return {name: torch.from_numpy(np.asarray(a)) for name, a in zip(self.names, found, strict=True)}


def _failed(error: Exception) -> ExportError:
    return ExportError(f"ONNX Runtime failed while it ran the graph: {' '.join(str(error).split())}")


class Slot:
    """Buffers for one size of batch and of images, bound to a session once and for all."""

    def __init__(self, session: ort.InferenceSession, batch: int, device: torch.device, sides: Sides = ()) -> None:
        self.binding = session.io_binding()
        self.inputs = {value.name: _buffer(value, batch, device, sides) for value in session.get_inputs()}
        self.outputs = {value.name: _buffer(value, batch, device) for value in session.get_outputs()}
        for buffers, bind in ((self.inputs, self.binding.bind_input), (self.outputs, self.binding.bind_output)):
            for name, buffer in buffers.items():
                bind(name, device.type, device.index or 0, np.float32, tuple(buffer.shape), buffer.data_ptr())


def _buffer(value: ort.NodeArg, batch: int, device: torch.device, sides: Sides = ()) -> Tensor:
    fixed = [side for side in value.shape[1:] if isinstance(side, int)]
    return torch.zeros(batch, *fixed, *(sides if len(fixed) < len(value.shape) - 1 else ()), device=device)


class BoundRunner:
    """Keeps inputs and outputs in buffers on the device, so that nothing is allocated or copied to the host.

    A batch is filled up to the next of a few sizes, the ``buckets``, so that batches of varying sizes allocate nothing
    and search for no algorithm anew; a captured CUDA graph belongs to one of them. All runs are made by one thread,
    whichever threads call: ONNX Runtime keeps handles, memory and captured graphs for each thread by itself, which a
    server with a thread for each request would pay for with every request.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        device: torch.device,
        buckets: Sequence[int] = (),
        *,
        captured: bool = False,
    ) -> None:
        self.session, self.device, self.buckets, self.captured = session, device, sorted(buckets), captured
        self.free = any(isinstance(side, str) for value in session.get_inputs() for side in value.shape[1:])
        self.slots: OrderedDict[tuple[int, Sides], Slot] = OrderedDict()
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="stawm-gpu")

    def __call__(self, given: Named) -> Named:
        """Run once; calls from several threads wait for each other."""
        self._wait()  # what the caller's stream still computes of the inputs has to be there
        found = self.worker.submit(self._run, given).result()
        if self.device.type == "cuda":  # where the caller's stream is not the worker's, memory that is freed must wait
            for value in found.values():
                value.record_stream(torch.cuda.current_stream(self.device))
        return found

    @torch.no_grad()  # the worker has a mode of its own, and buffers that had a history would keep all runs
    def _run(self, given: Named) -> Named:
        batch = len(next(iter(given.values())))
        size = next((bucket for bucket in self.buckets if bucket >= batch), batch)
        slot = self._slot(size, tuple(given["image"].shape[2:]) if self.free and "image" in given else ())
        for name, buffer in slot.inputs.items():
            buffer[:batch].copy_(given[name])
        self._wait()
        try:
            self.session.run_with_iobinding(slot.binding, self._options(size))
        except Exception as error:  # ONNX Runtime raises errors of many kinds
            raise _failed(error) from error
        slot.binding.synchronize_outputs()
        found = {name: buffer[:batch].clone() for name, buffer in slot.outputs.items()}
        self._wait()
        return found

    def _slot(self, size: int, sides: Sides) -> Slot:
        if (size, sides) not in self.slots:
            self.slots[size, sides] = Slot(self.session, size, self.device, sides)
        self.slots.move_to_end((size, sides))
        # A captured graph holds on to the addresses of its buffers, and buckets are few: theirs are never given up.
        while (self.free or not self.buckets) and len(self.slots) > KEPT:
            self.slots.popitem(last=False)
        return self.slots[size, sides]

    def _options(self, size: int) -> ort.RunOptions | None:
        if not self.captured:
            return None
        options = ort.RunOptions()
        known = size in self.buckets
        options.add_run_config_entry("gpu_graph_id", str(self.buckets.index(size) + 1) if known else "-1")
        return options

    def _wait(self) -> None:
        """Wait for this thread's stream alone; other work on the device goes on."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
