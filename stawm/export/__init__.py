"""From a model to one verified ONNX file, and from the file to answers.

What the package offers is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stawm.export.file.inspection import GraphFacts, inspect
    from stawm.export.file.metadata import GraphInfo
    from stawm.export.graphs.fields import OnnxOutput
    from stawm.export.proof.report import Check, Comparison, Report, VerificationError
    from stawm.export.proof.verification import verify
    from stawm.export.run.providers import DeviceError
    from stawm.export.serve.looking import Looked
    from stawm.export.serve.session import OnnxModel
    from stawm.export.write.exporting import to_onnx

_HOMES = {
    "Check": "proof.report",
    "Comparison": "proof.report",
    "DeviceError": "run.providers",
    "GraphFacts": "file.inspection",
    "GraphInfo": "file.metadata",
    "Looked": "serve.looking",
    "OnnxModel": "serve.session",
    "OnnxOutput": "graphs.fields",
    "Report": "proof.report",
    "VerificationError": "proof.report",
    "inspect": "file.inspection",
    "to_onnx": "write.exporting",
    "verify": "proof.verification",
}

__all__ = [
    "Check",
    "Comparison",
    "DeviceError",
    "GraphFacts",
    "GraphInfo",
    "Looked",
    "OnnxModel",
    "OnnxOutput",
    "Report",
    "VerificationError",
    "inspect",
    "to_onnx",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"stawm.export.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'stawm.export' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
