"""Where ONNX Runtime runs a graph: what was asked for, or a clear no."""

import hashlib
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import onnxruntime as ort

from stawm.errors import ExportError, InputError, shown
from stawm.export.run.devices import INSTALL as INSTALL
from stawm.export.run.devices import DeviceError as DeviceError

Device: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt"]
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
WANTED = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
Options: TypeAlias = tuple[str, dict[str, str]]
NODES_ON_THE_CPU = "fallback to CPU EP has been explicitly disabled"
"""What ONNX Runtime says where a node has no kernel on the device that was asked for."""

_log = logging.getLogger("stawm.export")


def choose_device(device: str) -> str:
    """Return the device that is meant: of ``"auto"`` a GPU where ONNX Runtime can use one, else the CPU.

    Where there is a GPU and this ONNX Runtime is built without CUDA, the logger ``stawm.export`` says so.

    Raises:
        InputError: There is no such device.
    """
    if device == "auto":
        if not has_gpu():
            return "cpu"
        if CUDA in ort.get_available_providers():
            return "cuda"
        _log.warning(
            "There is a GPU, but this ONNX Runtime (%s) has no %s, so the CPU is used. %s",
            *(ort.__version__, CUDA, INSTALL["cuda"]),
        )
        return "cpu"
    if not isinstance(device, str) or device not in WANTED:
        raise InputError(f"device must be 'auto', 'cpu', 'cuda' or 'tensorrt'; got {shown(device)}.")
    return device


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU that can be seen."""
    torch = sys.modules.get("torch")  # where it is not imported, it is not needed for this
    return (torch is not None and torch.cuda.is_available()) or any(Path("/dev").glob("nvidia[0-9]*"))


def open_session(
    data: bytes,
    device: str,
    *,
    allow_fallback: bool,
    threads: int | None,
    spinning: bool = False,
    cuda_graphs: bool = False,
    tf32: bool = False,
    device_id: int = 0,
    stream: int | None = None,
    trt_shapes: Sequence[str] = (),
) -> ort.InferenceSession:
    """Open a session on a device.

    Args:
        data: The graph.
        device: ``"cpu"``, ``"cuda"`` or ``"tensorrt"``.
        allow_fallback: Whether the CPU may stand in, for single nodes or for all.
        threads: How many threads one run uses on the CPU; ONNX Runtime's choice where left out.
        spinning: Whether they stay awake within a run; between runs they sleep in any case.
        cuda_graphs: Whether runs are captured and replayed.
        tf32: Whether products on a GPU may be rounded to TF32.
        device_id: Which GPU, by CUDA's number.
        stream: The CUDA stream that all runs are put on, by its address; whoever gives one orders the runs himself.
            ONNX Runtime makes streams of its own where left out.
        trt_shapes: The least, usual and greatest shapes of the inputs, as TensorRT wants them.

    Raises:
        DeviceError: The device cannot be used, or not for every node.
        ExportError: ONNX Runtime refuses the graph.
    """
    wanted, present = WANTED[device], ort.get_available_providers()
    if not allow_fallback and device != "cpu":
        _check(device, wanted, present)
    gpu = {"device_id": str(device_id)} | ({} if stream is None else {"user_compute_stream": str(stream)})
    choices = [
        (name, given if name == CPU else gpu | given)
        for name, given in _providers(data, device, cuda_graphs, tf32, trt_shapes)
    ]
    providers = [choice for choice in choices if choice[0] in present]
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    if device != "cpu" and not allow_fallback:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    elif device != "cpu":
        providers.append((CPU, {}))
    if device != "cpu" and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    try:
        session = ort.InferenceSession(data, options, providers=providers, enable_fallback=int(allow_fallback))
    except Exception as error:  # ONNX Runtime raises errors of many kinds
        reason = " ".join(str(error).split())
        if device == "cpu":
            raise ExportError(f"ONNX Runtime refuses the graph: {reason}") from error
        advice = INSTALL[device]
        if NODES_ON_THE_CPU in reason:
            advice = (
                f"Either its libraries could not be loaded, which its log tells: {advice} Or the device has no kernel "
                "for some nodes: allow_fallback=True lets the CPU run those."
            )
        raise DeviceError(f"ONNX Runtime cannot run the graph by its {wanted}: {reason} {advice}") from error
    if not allow_fallback and session.get_providers()[:1] != [wanted]:
        raise DeviceError(f"ONNX Runtime could not load its {wanted}; its log says why. {INSTALL[device]}")
    return session


def _check(device: str, wanted: str, present: Sequence[str]) -> None:
    """Say what is missing before ONNX Runtime says it at length."""
    if wanted not in present:
        raise DeviceError(f"This ONNX Runtime ({ort.__version__}) has no {wanted}. {INSTALL[device]}")
    if not has_gpu():
        raise DeviceError(f"device={device!r} needs an NVIDIA GPU, and none can be seen on this machine.")


def device_of(sessions: Iterable[ort.InferenceSession]) -> str:
    """Return the device that sessions run on, which after a fallback is the CPU."""
    names = {provider: name for name, provider in WANTED.items()}
    return {names[session.get_providers()[0]] for session in sessions}.pop()


def _providers(data: bytes, device: str, cuda_graphs: bool, tf32: bool, trt_shapes: Sequence[str]) -> list[Options]:
    if device == "cpu":
        return [(CPU, {})]
    cuda: Options = (
        CUDA,
        {
            "use_tf32": str(int(tf32)),
            "enable_cuda_graph": str(int(cuda_graphs)),
            "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all algorithms for each new size of batch
            "arena_extend_strategy": "kSameAsRequested",
        },
    )
    if device == "cuda":
        return [cuda]
    cache = _engine_cache(data)
    options = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache)}
    names = ("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes")
    options |= dict(zip(names, trt_shapes, strict=True)) if trt_shapes else {}
    return [(TENSORRT, options | ({"trt_cuda_graph_enable": "1"} if cuda_graphs else {})), cuda]


def _engine_cache(data: bytes) -> Path:
    """Return the folder of the engines of one graph, made where it is not there.

    TensorRT names an engine after the graph's nodes and not after its weights, so that graphs must not share a folder.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = home / "stawm" / "tensorrt" / hashlib.sha256(data).hexdigest()[:32]
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DeviceError(
            f"TensorRT's engines cannot be kept in {cache}: {error.strerror}. XDG_CACHE_HOME names another place."
        ) from error
    return cache


def profile(shapes: dict[str, tuple[Any, ...]], sizes: Sequence[int]) -> list[str]:
    """Return the shapes of inputs at some batch sizes, as TensorRT wants them."""
    return [",".join(f"{n}:{'x'.join(map(str, (size, *shape[1:])))}" for n, shape in shapes.items()) for size in sizes]
