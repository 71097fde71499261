"""What is said where a device cannot be used; ONNX Runtime itself is not needed for that."""

from stawm.errors import StawmError

INSTALL = {
    "cuda": "It needs an NVIDIA driver and: pip install 'onnxruntime-gpu[cuda,cudnn]' (and no onnxruntime beside it).",
    "tensorrt": "It needs an NVIDIA driver and: pip install 'onnxruntime-gpu[cuda,cudnn]' 'tensorrt-cu13<11'.",
}


class DeviceError(StawmError):
    """A device that was asked for cannot be used; the message says what to install."""
