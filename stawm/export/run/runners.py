"""A session that is run with buffers that stay where they are on a device, as tensors of PyTorch."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor

from stawm.export.run.host import failed
from stawm.export.run.walk import Named

KEPT = 8
"""For how many sizes of batch buffers are kept."""


Sides: TypeAlias = tuple[tuple[str, int], ...]
"""What a graph leaves free beside the batch, by the names of the axes: sides of images, the number of questions."""


class Slot:
    """Buffers for one size of batch and of images, bound to a session once and for all."""

    def __init__(self, session: ort.InferenceSession, batch: int, device: torch.device, sides: Sides = ()) -> None:
        self.binding = session.io_binding()
        self.inputs = {value.name: _buffer(value, batch, device, sides) for value in session.get_inputs()}
        self.outputs = {value.name: _buffer(value, batch, device, sides) for value in session.get_outputs()}
        for buffers, bind in ((self.inputs, self.binding.bind_input), (self.outputs, self.binding.bind_output)):
            for name, buffer in buffers.items():
                bind(name, device.type, device.index or 0, np.float32, tuple(buffer.shape), buffer.data_ptr())


def _buffer(value: ort.NodeArg, batch: int, device: torch.device, sides: Sides = ()) -> Tensor:
    free = dict(sides)
    return torch.zeros(
        batch, *(free[side] if isinstance(side, str) else side for side in value.shape[1:]), device=device
    )


class BoundRunner:
    """Keeps inputs and outputs in buffers on the device, so that nothing is allocated or copied to the host.

    A batch is filled up to the next of a few sizes, the ``buckets``, so that batches of varying sizes allocate nothing
    and search for no algorithm anew; a captured CUDA graph belongs to one of them. All runs are made by one thread,
    whichever threads call: ONNX Runtime keeps handles, memory and captured graphs for each thread by itself, which a
    server with a thread for each request would pay for with every request.

    On a GPU the session runs on a stream that PyTorch knows too. The stream waits for what the caller's stream has
    still to compute, and the caller's stream waits for the answers, so that the host waits for neither: a call returns
    as soon as the work is queued, as PyTorch's own operations do.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        device: torch.device,
        buckets: Sequence[int] = (),
        *,
        captured: bool = False,
        stream: torch.cuda.Stream | None = None,
    ) -> None:
        """Bind a session.

        Args:
            session: A session that was opened on the device.
            device: Where the buffers are.
            buckets: The sizes that batches are filled up to.
            captured: Whether the session captures a graph of the runs of each size.
            stream: The stream that the session was opened with, on a GPU.
        """
        self.session, self.device, self.buckets = session, device, sorted(buckets)
        self.captured, self.stream = captured, stream
        self.free = {
            value.name: {axis: side for axis, side in enumerate(value.shape) if axis and isinstance(side, str)}
            for value in session.get_inputs()
        }
        self.slots: OrderedDict[tuple[int, Sides], Slot] = OrderedDict()
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="stawm-gpu")

    def __call__(self, given: Named) -> Named:
        """Run once; calls from several threads are run one after the other."""
        if self.stream is None:
            return self.worker.submit(self._run, given).result()
        theirs = torch.cuda.current_stream(self.device)
        found, done = self.worker.submit(self._run_on, self.stream, given, theirs.record_event()).result()
        theirs.wait_event(done)
        for value in found.values():
            value.record_stream(theirs)  # memory that is freed must wait for the stream that it was used on
        return found

    def _run_on(self, stream: torch.cuda.Stream, given: Named, ready: Any) -> tuple[Named, Any]:
        """Run on a stream after an event; return what was found, and the event after which it is there."""
        stream.wait_event(ready)
        with torch.cuda.stream(stream):
            found = self._run(given)
        return found, stream.record_event()

    @torch.no_grad()  # the worker has a mode of its own, and buffers that had a history would keep all runs
    def _run(self, given: Named) -> Named:
        batch = len(next(iter(given.values())))
        size = next((bucket for bucket in self.buckets if bucket >= batch), batch)
        sides = {side: given[n].shape[axis] for n, free in self.free.items() for axis, side in free.items()}
        slot = self._slot(size, tuple(sides.items()))
        for name, buffer in slot.inputs.items():
            buffer[:batch].copy_(given[name])
        try:
            self.session.run_with_iobinding(slot.binding, self._options(size))
        except Exception as error:  # ONNX Runtime raises errors of many kinds
            raise failed(error) from error
        return {name: buffer[:batch].clone() for name, buffer in slot.outputs.items()}

    def _slot(self, size: int, sides: Sides) -> Slot:
        if (size, sides) not in self.slots:
            self.slots[size, sides] = Slot(self.session, size, self.device, sides)
        self.slots.move_to_end((size, sides))
        # A captured graph holds on to the addresses of its buffers, and buckets are few: theirs are never given up.
        while (any(self.free.values()) or not self.buckets) and len(self.slots) > KEPT:
            self.slots.popitem(last=False)
        return self.slots[size, sides]

    def _options(self, size: int) -> ort.RunOptions:
        options = ort.RunOptions()
        if self.stream is not None:
            options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        if self.captured:
            known = size in self.buckets
            options.add_run_config_entry("gpu_graph_id", str(self.buckets.index(size) + 1) if known else "-1")
        return options
