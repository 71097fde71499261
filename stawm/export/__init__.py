"""From a model to one verified ONNX file, and from the file to answers.

What the package offers is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stawm.export.exporting import to_onnx
    from stawm.export.fields import OnnxOutput
    from stawm.export.inspection import GraphFacts, inspect
    from stawm.export.looking import Looked
    from stawm.export.metadata import GraphInfo
    from stawm.export.providers import DeviceError
    from stawm.export.report import Check, Comparison, Report, VerificationError
    from stawm.export.session import OnnxModel
    from stawm.export.verification import verify

_HOMES = {
    "Check": "report",
    "Comparison": "report",
    "DeviceError": "providers",
    "GraphFacts": "inspection",
    "GraphInfo": "metadata",
    "Looked": "looking",
    "OnnxModel": "session",
    "OnnxOutput": "fields",
    "Report": "report",
    "VerificationError": "report",
    "inspect": "inspection",
    "to_onnx": "exporting",
    "verify": "verification",
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
