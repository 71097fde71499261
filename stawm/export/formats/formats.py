"""The formats: how a model gets into each, and how it is run from there."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stawm.export.graphs.plan import Plan, make_graphs
from stawm.export.graphs.prepared import Prepared, prepare
from stawm.export.proof.behaviour import Bounds
from stawm.export.run.host import HostRunner
from stawm.export.run.providers import open_session
from stawm.export.run.walk import Named
from stawm.export.write.exporting import to_onnx
from stawm.export.write.tracing import open_lengths, quietly, unchecked
from stawm.models.model import Model

NOTHING = Bounds(agreement=0, worse=1, pose=float("inf"), canvas=1)
"""Bounds that refuse nothing: every format is judged in one way afterwards."""
MAKERS = ("c++", "g++", "clang++", "cl")
"""Compilers of C++ by the names that they are looked for."""


class NotInstalledError(Exception):
    """What a format needs is not there; the message says what to install."""


class Ready(NamedTuple):
    """A model in a format.

    Attributes:
        size: Bytes of what would be shipped.
        run: From images, normalised, to the outputs by name.
    """

    size: int
    run: Callable[[Named], Named]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is brought into a format.

    Attributes:
        model: The model, in evaluation mode on the CPU.
        plan: One graph of all glimpses, with its outputs.
        folder: Where files may be made.
        calibration: Images for the ranges of convolutions in int8; None leaves them in fp32.
        threads: How many threads a run takes.
    """

    model: Model
    plan: Plan
    folder: Path
    calibration: Tensor | None
    threads: int

    def prepared(self) -> Prepared:
        """Return the model made ready for a trace."""
        return prepare(self.model, self.plan, "fp32")

    def graph(self) -> Path:
        """Return the ONNX file in fp32, written when it is first asked for."""
        path = self.folder / "fp32.onnx"
        return path if path.exists() else self.write(path)

    def write(self, path: Path, **options: Any) -> Path:
        """Write an ONNX file."""
        to_onnx(self.model, path, glimpses=self.plan.glimpses, outputs=self.plan.fields, batches=(1, 3), **options)
        return path


def eager(job: Job) -> Ready:
    """PyTorch itself: what all others are compared with."""
    graph = make_graphs(job.model, job.plan)["rollout"]
    graph.outputs = job.plan.fields
    weights = sum(value.numel() * value.element_size() for value in job.model.state_dict().values())
    return Ready(weights, torch.no_grad()(graph.run))


def onnx_fp32(job: Job) -> Ready:
    """ONNX in fp32."""
    return _by_onnx_runtime(job, job.graph())


def onnx_fp16(job: Job) -> Ready:
    """ONNX in half precision, which is meant for GPUs."""
    return _by_onnx_runtime(job, job.write(job.folder / "fp16.onnx", precision="fp16"))


def onnx_int8(job: Job) -> Ready:
    """ONNX in int8."""
    options = {"precision": "int8", "calibration": job.calibration, "bounds": NOTHING}
    return _by_onnx_runtime(job, job.write(job.folder / "int8.onnx", **options))


def _by_onnx_runtime(job: Job, path: Path) -> Ready:
    data = path.read_bytes()
    return Ready(len(data), HostRunner(open_session(data, "cpu", allow_fallback=False, threads=job.threads)))


def openvino(job: Job) -> Ready:
    """The file in fp32, run by OpenVINO, which is told to compute in fp32."""
    if find_spec("openvino") is None:
        raise NotInstalledError("pip install openvino")
    ov: Any = import_module("openvino")
    path = job.graph()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": job.threads}
    compiled = ov.Core().compile_model(path, "CPU", options)
    names = [output.get_any_name() for output in compiled.outputs]

    def run(given: Named) -> Named:
        found = compiled({name: value.numpy() for name, value in given.items()})
        return {name: torch.from_numpy(found[i].copy()) for i, name in enumerate(names)}

    return Ready(path.stat().st_size, run)


def torch_export(job: Job) -> Ready:
    """The program that `torch.export` makes, saved and loaded again."""
    path = job.folder / "program.pt2"
    torch.export.save(_program(job), path)
    return _by_torch(job, path, torch.export.load(path).module())


def aot_inductor(job: Job) -> Ready:
    """The same program, compiled ahead of time by PyTorch's Inductor into a package that needs no Python."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", MAKERS[0]), *MAKERS)):
        raise NotInstalledError("a C++ compiler, such as g++")
    path = job.folder / "compiled.pt2"
    with quietly():
        torch._inductor.aoti_compile_and_package(_program(job), package_path=str(path))
        return _by_torch(job, path, torch._inductor.aoti_load_package(str(path)))


def _program(job: Job) -> torch.export.ExportedProgram:
    prepared = job.prepared()
    graph = prepared.graphs["rollout"].eval()
    graph.outputs = job.plan.fields
    batch = torch.export.Dim("b", min=1, max=2**12)
    values = tuple(prepared.inputs["rollout"][name].clone() for name in graph.inputs)
    with quietly(), unchecked(), open_lengths(graph), torch.no_grad():
        return torch.export.export(graph, values, dynamic_shapes=(({0: batch},) * len(values),), strict=False)


def _by_torch(job: Job, path: Path, program: Callable[..., Any]) -> Ready:
    @torch.no_grad()
    def run(given: Named) -> Named:
        return dict(zip(job.plan.fields, program(given["image"]), strict=True))

    return Ready(path.stat().st_size, run)


FORMATS: Mapping[str, Callable[[Job], Ready]] = {
    "PyTorch": eager,
    "ONNX fp32": onnx_fp32,
    "ONNX fp16": onnx_fp16,
    "ONNX int8": onnx_int8,
    "OpenVINO": openvino,
    "torch.export": torch_export,
    "AOTInductor": aot_inductor,
}
"""Every format by the name that its row has."""
