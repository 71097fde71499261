"""A session that is run with arrays of the host."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import onnxruntime as ort

from stawm.arrays import is_tensor, namespace, to_numpy
from stawm.errors import ExportError
from stawm.export.run.walk import Named

Runner: TypeAlias = Callable[[Named], Named]
"""Runs a graph on arrays or tensors by name; may be called from several threads at once."""


class HostRunner:
    """Hands arrays over and takes arrays back; where tensors are given it gives tensors on the CPU."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.session = session
        self.names = [output.name for output in session.get_outputs()]

    def __call__(self, given: Named) -> Named:
        """Run once; sessions of ONNX Runtime take calls from several threads."""
        arrays = {name: np.ascontiguousarray(to_numpy(value)) for name, value in given.items()}
        try:
            found = self.session.run(self.names, arrays)
        except Exception as error:  # ONNX Runtime raises errors of many kinds
            raise failed(error) from error
        tensor = next(filter(is_tensor, given.values()), None)
        as_given = np.asarray if tensor is None else lambda a: namespace(tensor).from_numpy(np.asarray(a))
        return {name: as_given(a) for name, a in zip(self.names, found, strict=True)}


def failed(error: Exception) -> ExportError:
    """Return what to raise where ONNX Runtime fails."""
    return ExportError(f"ONNX Runtime failed while it ran the graph: {' '.join(str(error).split())}")
