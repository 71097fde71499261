"""One client of Python over all cases: ``python client.py NAME FOLDER``; a line of JSON a case.

This file stands alone: it needs numpy and the client, and runs where neither PyTorch nor stawm are.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
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


@cache
def _compiled_by_iree(path: Path) -> Any:
    """The graph as a function, compiled for this machine's processor; once for all batches."""
    graph = path.with_suffix(".mlir")
    subprocess.run([sys.executable, "-m", "iree.compiler.tools.import_onnx", str(path), "-o", str(graph)], check=True)
    compiler: Any = import_module("iree.compiler.tools")
    host = ["--iree-llvmcpu-target-cpu=host"]
    code = compiler.compile_file(str(graph), input_type="onnx", target_backends=["llvm-cpu"], extra_args=host)
    runtime: Any = import_module("iree.runtime")
    config = runtime.Config("local-sync")
    module = runtime.VmModule.copy_buffer(config.vm_instance, code)
    (name,) = (name for name in module.function_names if not name.startswith("__") and "$" not in name)
    return runtime.load_vm_module(module, config)[name]


def iree(path: Path, given: Arrays) -> Arrays:
    """IREE, compiled by LLVM."""
    names = json.loads(path.with_name("case.json").read_text())["outputs"]  # as for tract
    found = _compiled_by_iree(path)(*given.values())
    values = found if isinstance(found, (tuple, list)) else [found]
    return {name: np.asarray(value.to_host()) for name, value in zip(names, values, strict=True)}


@cache
def _compiled_by_tvm(path: Path) -> Any:
    """The graph as a function, compiled for this machine's processor; once for all batches."""
    tvm: Any = import_module("tvm")
    proto = import_module("onnx").load(str(path))
    module = import_module("tvm.relax.frontend.onnx").from_onnx(proto)
    return import_module("tvm.relax").VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())["main"]


def tvm(path: Path, given: Arrays) -> Arrays:
    """TVM, by its importer of ONNX into Relax."""
    names = json.loads(path.with_name("case.json").read_text())["outputs"]
    tensor: Any = import_module("tvm").runtime.tensor
    found = _compiled_by_tvm(path)(*(tensor(np.ascontiguousarray(value)) for value in given.values()))
    values = [found] if hasattr(found, "numpy") else list(found)
    return {name: value.numpy() for name, value in zip(names, values, strict=True)}


CLIENTS: dict[str, tuple[str, Callable[[Path, Arrays], Arrays]]] = {
    "onnxruntime": ("onnxruntime", onnxruntime),
    "openvino": ("openvino", openvino),
    "openvino-default": ("openvino", openvino_default),
    "onnx-reference": ("onnx", onnx),
    "onnxslim": ("onnxslim", onnxslim),
    "tract": ("tract", tract),
    "iree": ("iree", iree),
    "tvm": ("tvm", tvm),
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
