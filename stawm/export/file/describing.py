"""What the graphs of a model say of themselves when they are written."""

import json
from importlib.metadata import version
from typing import Any

from stawm._version import __version__
from stawm.export.file.metadata import GraphInfo
from stawm.export.graphs.prepared import Prepared
from stawm.models.config import SharedConfig
from stawm.models.model import Model
from stawm.storage.checkpoint import library_versions
from stawm.storage.hashing import weights_hash


def describe(model: Model, prepared: Prepared) -> dict[str, GraphInfo]:
    """Return what each graph of a model says of itself, given the model and the same made ready for its export."""
    plan = prepared.plan
    libraries = {name: version(name) for name in ("onnx", "onnxscript", "onnx-ir")}
    weights = weights_hash(model)
    return {
        part: GraphInfo(
            kind=plan.kind,
            part=None if plan.kind == "rollout" else part,
            glimpses=plan.glimpses,
            precision=prepared.precision,
            fields=plan.fields,
            sample=plan.sample,
            inputs=graph.inputs,
            outputs=prepared.outputs(part),
            config=plain(model.config),
            weights=weights,
            version=__version__,
            versions=library_versions() | libraries,
            stored=plan.weights,
            steered=plan.steered,
            stopping=model.stopping if (prepared.precision, plan.weights) == ("fp32", "fp32") else None,
        )
        for part, graph in prepared.graphs.items()
    }


def plain(config: SharedConfig) -> dict[str, Any]:
    """Return a configuration as a file gives it back."""
    return json.loads(json.dumps(config.to_dict()))
