"""Where a graph runs is what was asked for, and ONNX Runtime is told all of it."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from stawm.errors import ExportError
from stawm.export import DeviceError, OnnxModel
from stawm.export.run import providers
from stawm.export.run.providers import open_session, profile
from tests.export.broken import broken
from tests.export.opened import answers, opened
from tests.small import inputs

BUILT_FOR_CUDA = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def test_a_gpu_that_is_not_there_is_no_reason_to_use_the_cpu(rollout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "has_gpu", lambda: False)
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: BUILT_FOR_CUDA)
    with pytest.raises(DeviceError, match="'cuda' needs an NVIDIA GPU, and none can be seen"):
        OnnxModel(rollout, device="cuda")
    assert OnnxModel(rollout, device="auto").device == "cpu"


def test_where_onnx_runtime_has_no_cuda_auto_takes_the_cpu_and_says_so(
    rollout: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(providers, "has_gpu", lambda: True)
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert OnnxModel(rollout).device == "cpu"
    (said,) = caplog.messages
    assert "has no CUDAExecutionProvider, so the CPU is used" in said
    assert "\n" not in said


def test_what_to_install_is_told(rollout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=r"no CUDAExecutionProvider.*onnxruntime-gpu\[cuda,cudnn\]"):
        OnnxModel(rollout, device="cuda")
    with pytest.raises(DeviceError, match=r"no TensorrtExecutionProvider.*tensorrt-cu13<11"):
        OnnxModel(rollout, device="tensorrt")


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU nothing falls back")
def test_libraries_that_do_not_load_are_no_reason_either(rollout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "has_gpu", lambda: True)
    with pytest.raises(DeviceError, match="pip install"):
        OnnxModel(rollout, device="cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU nothing falls back")
def test_the_cpu_stands_in_where_that_is_allowed(rollout: Path, classifier: Any) -> None:
    fallen = opened(rollout, device="cuda", allow_fallback=True)
    assert fallen.device == "cpu"
    assert "device='cpu'" in repr(fallen)
    images, _ = inputs(classifier)
    assert torch.allclose(fallen(images).logits, answers(classifier, images).logits, atol=1e-5)


def test_tensorrt_refuses_what_it_would_sample_wrongly(rollout: Path, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        proto.opset_import[0].version = 20

    with pytest.raises(ExportError, match="TensorRT samples by the nearest pixel"):
        OnnxModel(broken(rollout, tmp_path / "m.onnx", change), device="tensorrt")


@pytest.mark.parametrize(("batch_size", "usual"), [(64, 32), (8, 8), (1, 1)])
def test_tensorrt_builds_for_all_batches_up_to_the_largest(
    batch_size: int, usual: int, rollout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def on_the_cpu(data: bytes, device: str, *, trt_shapes: Any = (), **options: Any) -> Any:
        asked.update(device=device, trt_shapes=trt_shapes)
        return open_session(data, "cpu", allow_fallback=False, threads=1)

    monkeypatch.setattr("stawm.export.serve.arrays.open_session", on_the_cpu)
    OnnxModel(rollout, device="tensorrt", batch_size=batch_size)
    assert asked == {
        "device": "tensorrt",
        "trt_shapes": [f"image:{size}x1x12x12" for size in (1, usual, batch_size)],
    }
    OnnxModel(rollout, device="cuda", batch_size=batch_size)
    assert asked == {"device": "cuda", "trt_shapes": ()}


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What ONNX Runtime is asked for, on a machine that has everything."""
    asked: dict[str, Any] = {"entries": {}}

    class Options(providers.ort.SessionOptions):
        def add_session_config_entry(self, key: str, value: str) -> None:
            asked["entries"][key] = value

    class Session(providers.ort.InferenceSession):
        def __init__(self, data: bytes, options: Any, providers: Any, enable_fallback: int) -> None:
            asked.update(providers=dict(providers), threads=options.intra_op_num_threads, fallback=enable_fallback)

        def get_providers(self) -> list[str]:
            return list(asked["providers"])

    monkeypatch.setattr(providers, "has_gpu", lambda: True)
    monkeypatch.setattr(providers.ort, "SessionOptions", Options)
    monkeypatch.setattr(providers.ort, "InferenceSession", Session)
    monkeypatch.setattr(providers.ort, "preload_dlls", lambda: None, raising=False)
    names = [*providers.WANTED.values()]
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: names)
    return asked


@pytest.mark.parametrize("on", [False, True])
def test_cuda_is_opened_as_asked(on: bool, opening: dict[str, Any]) -> None:
    open_session(b"", "cuda", allow_fallback=False, threads=3, cuda_graphs=on, tf32=on, device_id=2)
    options = {
        "device_id": "2",
        "use_tf32": str(int(on)),
        "enable_cuda_graph": str(int(on)),
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }
    assert opening["providers"] == {"CUDAExecutionProvider": options}
    assert opening["entries"]["session.disable_cpu_ep_fallback"] == "1"
    assert (opening["threads"], opening["fallback"]) == (3, 0)


def test_the_cpu_stands_in_for_single_nodes_where_that_is_allowed(opening: dict[str, Any]) -> None:
    open_session(b"", "cuda", allow_fallback=True, threads=None)
    assert list(opening["providers"]) == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert "session.disable_cpu_ep_fallback" not in opening["entries"]
    assert (opening["threads"], opening["fallback"]) == (0, 1)


def test_the_cpu_alone_is_opened_for_the_cpu(opening: dict[str, Any]) -> None:
    open_session(b"", "cpu", allow_fallback=False, threads=None)
    assert opening["providers"] == {"CPUExecutionProvider": {}}
    assert opening["entries"] == {"session.intra_op.allow_spinning": "0", "session.force_spinning_stop": "1"}


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
@pytest.mark.parametrize("stream", [None, 94_000_123])
def test_runs_are_put_on_the_stream_that_is_given(
    stream: int | None, device: str, opening: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    open_session(b"", device, allow_fallback=True, threads=None, stream=stream)
    found = {name: options.get("user_compute_stream") for name, options in opening["providers"].items()}
    on_it = None if stream is None else str(stream)
    assert found.pop("CPUExecutionProvider") is None
    assert set(found.values()) == {on_it}


@pytest.mark.parametrize("on", [False, True])
def test_tensorrt_is_opened_with_its_profile_and_its_cache(
    on: bool, opening: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shapes = ("image:1x3", "image:2x3", "image:4x3") if on else ()
    open_session(b"", "tensorrt", allow_fallback=False, threads=None, trt_shapes=shapes, cuda_graphs=on)
    assert list(opening["providers"]) == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    found = opening["providers"]["TensorrtExecutionProvider"]
    place = Path(found["trt_engine_cache_path"])
    assert place.is_dir()
    assert place.parent == tmp_path / "stawm" / "tensorrt"
    cache = {"device_id": "0", "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(place)}
    profile = {
        "trt_profile_min_shapes": "image:1x3",
        "trt_profile_opt_shapes": "image:2x3",
        "trt_profile_max_shapes": "image:4x3",
        "trt_cuda_graph_enable": "1",
    }
    assert found == cache | (profile if on else {})


def test_engines_of_other_weights_have_a_folder_of_their_own(
    opening: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """TensorRT names an engine after the nodes, which all seeds of a preset share."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    places = []
    for data in (b"seed 0", b"seed 1", b"seed 0"):
        open_session(data, "tensorrt", allow_fallback=False, threads=None)
        places.append(opening["providers"]["TensorrtExecutionProvider"]["trt_engine_cache_path"])
    assert places[0] == places[2] != places[1]


def test_profiles_of_tensorrt() -> None:
    shapes: Any = {"image": ("b", 1, 28, 28), "state.x": ("b", 512)}
    assert profile(shapes, (1, 32)) == ["image:1x1x28x28,state.x:1x512", "image:32x1x28x28,state.x:32x512"]
