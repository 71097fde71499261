"""From a model to one verified ONNX file, and from the file to answers.

What the package offers is imported when it is first used.
"""

from typing import TYPE_CHECKING

from stawm.lazy import attach

if TYPE_CHECKING:
    from stawm.export.file.inspection import GraphFacts as GraphFacts
    from stawm.export.file.inspection import inspect as inspect
    from stawm.export.file.metadata import GraphInfo as GraphInfo
    from stawm.export.formats.bench import Bench as Bench
    from stawm.export.formats.bench import bench as bench
    from stawm.export.graphs.fields import OnnxOutput as OnnxOutput
    from stawm.export.proof.behaviour import Bounds as Bounds
    from stawm.export.proof.report import Check as Check
    from stawm.export.proof.report import Comparison as Comparison
    from stawm.export.proof.report import Report as Report
    from stawm.export.proof.report import VerificationError as VerificationError
    from stawm.export.run.devices import DeviceError as DeviceError
    from stawm.export.serve.looking import Looked as Looked
    from stawm.export.serve.session import OnnxModel as OnnxModel
    from stawm.export.write.exporting import to_onnx as to_onnx
    from stawm.export.write.verifying import verify as verify

_HOMES = {
    "Bench": "stawm.export.formats.bench",
    "Bounds": "stawm.export.proof.behaviour",
    "Check": "stawm.export.proof.report",
    "Comparison": "stawm.export.proof.report",
    "DeviceError": "stawm.export.run.devices",
    "GraphFacts": "stawm.export.file.inspection",
    "GraphInfo": "stawm.export.file.metadata",
    "Looked": "stawm.export.serve.looking",
    "OnnxModel": "stawm.export.serve.session",
    "OnnxOutput": "stawm.export.graphs.fields",
    "Report": "stawm.export.proof.report",
    "VerificationError": "stawm.export.proof.report",
    "bench": "stawm.export.formats.bench",
    "inspect": "stawm.export.file.inspection",
    "to_onnx": "stawm.export.write.exporting",
    "verify": "stawm.export.write.verifying",
}

__getattr__, __dir__, __all__ = attach("stawm.export", _HOMES)
