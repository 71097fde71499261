"""Running exported graphs where PyTorch is not installed: NumPy, ONNX Runtime and Pillow are all that is needed.

`Session` opens what `stawm.export.to_onnx` wrote and answers in arrays of NumPy; `stawm.export.OnnxModel` is a session
that answers in tensors.
"""

from stawm.export.file.metadata import GraphInfo as GraphInfo
from stawm.export.run.devices import DeviceError as DeviceError
from stawm.export.serve.arrays import Session as Session
from stawm.export.serve.asking import Remembered as Remembered
from stawm.export.serve.looking import Looked as Looked

__all__ = ["DeviceError", "GraphInfo", "Looked", "Remembered", "Session"]
