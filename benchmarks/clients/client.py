"""One client of Python over all cases: ``python client.py NAME FOLDER``; a line of JSON a case.

This file stands alone: it needs numpy and the client, and runs where neither PyTorch nor stawm are.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def onnxruntime(path: Path, given: Arrays) -> Arrays:
    """ONNX Runtime on the CPU, of whatever version is installed."""
    ort: Any = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def openvino(path: Path, given: Arrays, **config: str) -> Arrays:
    """OpenVINO on the CPU, told to compute in float32."""
    ov: Any = import_module("openvino")
    compiled = ov.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", **config})
    result = compiled(given)
    return {name: np.asarray(result[name]) for output in compiled.outputs for name in output.get_names()}


def openvino_default(path: Path, given: Arrays) -> Arrays:
    """OpenVINO as it comes: on a CPU with bfloat16 it computes in that."""
    ov: Any = import_module("openvino")
    compiled = ov.compile_model(str(path), "CPU")
    result = compiled(given)
    return {name: np.asarray(result[name]) for output in compiled.outputs for name in output.get_names()}


def onnx(path: Path, given: Arrays) -> Arrays:
    """The reference evaluator of ONNX itself."""
    evaluator: Any = import_module("onnx.reference").ReferenceEvaluator(str(path))
    return dict(zip(evaluator.output_names, evaluator.run(None, given), strict=True))


def onnxslim(path: Path, given: Arrays) -> Arrays:
    """ONNX Runtime, of a graph that onnxslim went over."""
    slim = path.with_name("slim.onnx")
    import_module("onnxslim").slim(str(path), str(slim))
    return onnxruntime(slim, given)


def tract(path: Path, given: Arrays) -> Arrays:
    """Tract, in Rust."""
    model: Any = import_module("tract").onnx().load(str(path))
    names = json.loads(path.with_name("case.json").read_text())["outputs"]  # tract gives them without, in their order
    runnable = model.into_model().into_runnable()
    return {name: value.to_numpy() for name, value in zip(names, runnable.run(list(given.values())), strict=True)}


CLIENTS: dict[str, tuple[str, Callable[[Path, Arrays], Arrays]]] = {
    "onnxruntime": ("onnxruntime", onnxruntime),
    "openvino": ("openvino", openvino),
    "openvino-default": ("openvino", openvino_default),
    "onnx-reference": ("onnx", onnx),
    "onnxslim": ("onnxslim", onnxslim),
    "tract": ("tract", tract),
}
"""Each client's module, and how it runs a graph."""


def judge(folder: Path, run: Callable[[Path, Arrays], Arrays]) -> dict[str, Any]:
    """Run a case, also with one image and with five, and return how far the answers are from PyTorch's."""
    case = json.loads((folder / "case.json").read_text())
    read = {
        name: np.fromfile(folder / f"{name}.f32", dtype="<f4").reshape(shape)
        for name, shape in {**case["inputs"], **case["outputs"]}.items()
    }
    said: dict[str, Any] = {"preset": case["preset"], "form": case["form"]}
    try:
        gaps = []
        for count in (len(read["image"]), 1, 5):
            found = run(folder / "graph.onnx", {name: read[name][:count] for name in case["inputs"]})
            gaps.append({name: float(np.abs(found[name] - read[name][:count]).max()) for name in case["outputs"]})
    except Exception as error:  # whatever a client raises
        return {**said, "error": " ".join(str(error).split())[:200]}
    return {**said, "gaps": {name: max(gap[name] for gap in gaps) for name in gaps[0]}}


def main() -> None:
    """Run a client over a folder of cases."""
    name, folder = sys.argv[1:3]
    module, run = CLIENTS[name]
    release = version(packages_distributions()[module][0])
    for case in sorted(path.parent for path in Path(folder).glob("*/case.json")):
        print(json.dumps({"client": name, "version": release, **judge(case, run)}), flush=True)


if __name__ == "__main__":
    main()
