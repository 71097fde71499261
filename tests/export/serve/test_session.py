"""An exported file is used as the model is, and refuses what it cannot do."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from stawm.errors import ExportError, InputError
from stawm.export import DeviceError, OnnxModel, inspect
from stawm.export.file import sealing
from stawm.export.file.files import read_graphs
from stawm.export.graphs.fields import flatten
from stawm.export.run import providers
from stawm.export.run.providers import open_session, profile
from stawm.export.run.runners import KEPT, BoundRunner, HostRunner
from stawm.heads.output import Noise
from tests.export.broken import broken, set_metadata
from tests.export.opened import answers, opened
from tests.moments import MOMENTS, assert_distributed
from tests.small import inputs


@pytest.fixture(scope="module")
def graph(rollout: Path) -> Any:
    return opened(rollout, threads=1, batch_size=4)


def assert_same(output: Any, expected: Any, tolerance: float = 1e-5) -> None:
    named, wanted = flatten(output), flatten(expected)
    assert set(wanted) <= set(named)
    for name, value in wanted.items():
        assert torch.allclose(named[name], value, atol=tolerance), name


@pytest.mark.parametrize("batch", [1, 4, 5, 11])
def test_it_is_the_model_at_any_size_of_batch(batch: int, graph: Any, classifier: Any) -> None:
    images, _ = inputs(classifier, batch)
    assert_same(graph(images), answers(classifier, images, glimpse_logits=True))


@pytest.mark.parametrize("spinning", [False, True])
def test_threads_stay_awake_within_a_run_only(
    spinning: bool, rollout: Path, classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: dict[str, str] = {}

    class Options(providers.ort.SessionOptions):
        def add_session_config_entry(self, key: str, value: str) -> None:
            entries[key] = value
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(providers.ort, "SessionOptions", Options)
    graph = OnnxModel(rollout, device="cpu", threads=2, spinning=spinning)
    assert entries["session.intra_op.allow_spinning"] == str(int(spinning))
    assert entries["session.force_spinning_stop"] == "1"
    images, _ = inputs(classifier, 3)
    assert_same(graph(images), answers(classifier, images, glimpse_logits=True))


def test_confidence_is_the_greatest_probability(graph: Any, classifier: Any) -> None:
    images, _ = inputs(classifier, 3)
    output = graph(images)
    assert output.confidence is not None
    assert torch.allclose(
        output.confidence, answers(classifier, images, glimpse_logits=True).glimpse_logits.exp().amax(-1)
    )


def test_arrays_tensors_pixels_and_files_are_the_same_images(graph: Any, classifier: Any, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12), dtype=np.uint8)
    paths = []
    for number, picture in enumerate(pixels):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).save(paths[-1])
    floats = torch.from_numpy(pixels)[:, None].float() / 255
    expected = answers(classifier, floats)
    locked = pixels.copy()
    locked.flags.writeable = False
    one = [
        locked,
        floats,
        floats.double(),
        floats[:, 0],
        floats.permute(0, 2, 3, 1),
        floats.numpy(),
        pixels,
        pixels[:, None],
        pixels[..., None],
        torch.from_numpy(pixels),
    ]
    for images in [*one, paths, [str(path) for path in paths]]:
        assert torch.allclose(graph(images).logits, expected.logits, atol=1e-5)
    assert torch.allclose(graph(paths[1]).logits, expected.logits[1:2], atol=1e-5)


def test_one_image_by_itself_is_a_batch_of_one(graph: Any, steps: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    expected = graph([tmp_path / "one.png"]).logits
    floats = torch.from_numpy(pixels)[None].float() / 255
    for image in (tmp_path / "one.png", pixels, pixels[None], pixels[..., None], floats, floats[0], floats.numpy()):
        assert torch.allclose(graph(image).logits, expected, atol=1e-5)
        assert opened(steps).look(image, until=0.99).glimpses.tolist() == [3]


def test_files_of_another_size_are_brought_to_the_models(graph: Any, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 100, 50)).save(tmp_path / "wide.png")
    assert graph(tmp_path / "wide.png").logits.shape == (1, 10)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 1, 12, 13),
        torch.zeros(12, 13),
        torch.zeros(2, 1, 12, 12, dtype=torch.bool),
        torch.zeros(2, 1, 12, 12, dtype=torch.int64),
        np.zeros((2, 12, 13), dtype=np.uint8),
        [],
        [np.zeros((1, 12, 12)), torch.zeros(1, 12, 12)],
        3,
    ],
    ids=str,
)
def test_other_things_are_refused(images: Any, graph: Any) -> None:
    with pytest.raises(
        InputError, match=r"takes pixels of shape \(b, 1, 12, 12\)|paths of files|of one type and shape"
    ):
        graph(images)


def test_a_file_that_is_no_image_is_named(graph: Any, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no image")
    with pytest.raises(InputError, match=r"note\.png cannot be read as an image"):
        graph(tmp_path / "note.png")


def test_threads_may_share_it(graph: Any, classifier: Any) -> None:
    batches = [inputs(classifier, batch=1 + seed % 5, seed=seed)[0] for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(graph, batches))
    for images, output in zip(batches, found, strict=True):
        assert torch.equal(output.logits, graph(images).logits)


@pytest.mark.parametrize("buckets", [(), (2, 4)])
def test_bound_buffers_give_the_same_from_several_threads(
    buckets: tuple[int, ...], rollout: Path, classifier: Any
) -> None:
    """The path of GPUs, with its buffers on the CPU."""
    data = read_graphs(rollout)["rollout"].data
    session = open_session(data, "cpu", allow_fallback=False, threads=1)
    bound, plain = BoundRunner(session, torch.device("cpu"), buckets), HostRunner(session)
    batches = [inputs(classifier, batch=1 + seed % 5, seed=seed)[0] for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda images: bound({"image": images}), batches))
    for images, output in zip(batches, found, strict=True):
        for name, value in plain({"image": images}).items():
            assert torch.allclose(output[name], value, atol=1e-6), name
    assert {size for size, _ in bound.slots} <= {*buckets, 5} if buckets else len(bound.slots) == 5


def test_buffers_of_few_sizes_are_kept(rollout: Path, classifier: Any) -> None:
    session = open_session(read_graphs(rollout)["rollout"].data, "cpu", allow_fallback=False, threads=1)
    bound = BoundRunner(session, torch.device("cpu"))
    for batch in range(1, KEPT + 3):
        bound({"image": inputs(classifier, batch)[0]})
    assert [size for size, _ in bound.slots] == list(range(3, KEPT + 3))


@pytest.mark.parametrize("until", [0.1, 0.105, 0.11, 1.0])
def test_looking_ends_when_the_answer_is_certain_enough(until: float, steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier, 9)
    looked = opened(steps, batch_size=5).look(images, until=until)
    logits = answers(classifier, images, glimpse_logits=True).glimpse_logits
    certain = logits.exp().amax(-1) >= until
    certain[:, -1] = True
    first = certain.float().argmax(dim=1)
    assert torch.equal(looked.glimpses, first + 1)
    expected = logits[torch.arange(9), first]
    assert torch.allclose(looked.logits, expected, atol=1e-5)
    assert torch.allclose(looked.confidence, expected.exp().amax(-1), atol=1e-5)
    assert looked.as_dict()["labels"] == expected.argmax(1).tolist()


def test_looking_takes_as_many_glimpses_as_are_allowed(steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier, 3)
    assert opened(steps).look(images, until=1.0, glimpses=2).glimpses.tolist() == [2, 2, 2]


def test_looking_needs_steps_and_a_probability(graph: Any, steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier)
    with pytest.raises(InputError, match="graph='step'"):
        graph.look(images)
    with pytest.raises(InputError, match="got 0"):
        opened(steps).look(images, until=0)


def test_a_number_of_glimpses_that_there_is_no_room_for(graph: Any, steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier)
    with pytest.raises(InputError, match="takes 3 glimpses; export a step graph"):
        graph(images, glimpses=2)
    with pytest.raises(InputError, match="room for 1 to 3 glimpses; got 4"):
        opened(steps)(images, glimpses=4)


def test_noise_that_is_not_given_is_drawn_reproducibly(painting: Path, painter: Any) -> None:
    sampling = opened(painting)
    images, _ = inputs(painter)
    first, again, other = (sampling(images, generator=torch.Generator().manual_seed(s)).masks for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.usefixtures("unchecked")
def test_noise_of_another_kind_or_form_is_refused(painting: Path, graph: Any, painter: Any) -> None:
    images, _ = inputs(painter)
    with pytest.raises(InputError, match="exported with sample=False"):
        graph(images, noise=Noise(latent=torch.zeros(2, 3, 4)))
    with pytest.raises(InputError, match=r"latent noise must be of shape \(2, 3, 4\)"):
        opened(painting)(images, noise=Noise(latent=torch.zeros(2, 1, 4)))


class NotRun(Exception):
    """Ends a call before the graph runs."""


def test_noise_that_is_not_given_is_distributed_as_it_should_be(
    painting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def keep(_: HostRunner, inputs: dict[str, torch.Tensor]) -> None:
        given.update(inputs)
        raise NotRun

    graph = opened(painting, batch_size=10_000)
    monkeypatch.setattr(HostRunner, "__call__", keep)
    with pytest.raises(NotRun):
        graph(torch.rand(9_000, 1, 12, 12), generator=torch.Generator().manual_seed(0))
    assert given["noise_latent"].shape == (9_000, 3, 4)
    assert given["noise_mask"].shape == (9_000, 3, 1, 12, 12)
    for kind in MOMENTS:
        assert_distributed(kind, given[f"noise_{kind}"])


def test_noise_is_drawn_as_the_model_draws_it(painting: Path, painter: Any) -> None:
    pixels, _ = inputs(painter)
    found = opened(painting)(pixels, generator=torch.Generator().manual_seed(3))
    expected = answers(painter, pixels, sample=True, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(found.canvas, expected.canvas, atol=1e-5)
    assert torch.allclose(found.masks, expected.masks, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_images_that_are_normalised_already_are_refused(graph: Any, steps: Path, classifier: Any) -> None:
    pixels, _ = inputs(classifier)
    for call in (graph, opened(steps).look):
        with pytest.raises(
            InputError, match=r"must be in \[0, 1\]; got values from -0\.\d+ to .*normalises them itself"
        ):
            call(classifier.normalise(pixels))
        with pytest.raises(InputError, match=r"must be in \[0, 1\]"):
            call((pixels * 255).numpy())


def test_the_graph_itself_takes_normalised_images(graph: Any, rollout: Path, classifier: Any) -> None:
    pixels, _ = inputs(classifier)
    session = open_session(read_graphs(rollout)["rollout"].data, "cpu", allow_fallback=False, threads=1)
    found = HostRunner(session)({"image": classifier.normalise(pixels)})["logits"]
    assert torch.equal(found, graph(pixels).logits)


def test_a_gpu_that_is_not_there_is_no_reason_to_use_the_cpu(rollout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "has_gpu", lambda: False)
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

    monkeypatch.setattr("stawm.export.serve.session.open_session", on_the_cpu)
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


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("options", [{"device": "gpu"}, {"batch_size": 0}, {"threads": 0}])
def test_what_a_session_cannot_be(options: dict[str, Any], rollout: Path) -> None:
    with pytest.raises(InputError):
        OnnxModel(rollout, **{"device": "cpu", **options})


def lie(key: str, old: str, new: str) -> Any:
    def change(proto: onnx.ModelProto) -> None:
        set_metadata(proto, f"stawm.{key}", lambda text: text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lie("config", '"image": [1, 12, 12]', '"image": [3, 12, 12]'),
            "preprocessing is .*'channels': 1,.* by its configuration .*'channels': 3",
        ),
        (lie("config", '"classes": 10', '"classes": 7'), "there are 10 class names for 7 classes"),
        (lie("graph", '"logits"', '"canvas"'), "the graph has no canvas"),
        (lie("graph", '"fields": ["pose", ', '"fields": ['), "fields are .*, outputs are pose"),
        (lie("graph", '"glimpses": 3', '"glimpses": 4'), r"pose is \(b, 3, 6\), by the metadata there are 4 glimpses"),
        (lie("preprocessing", "0.35", "0.5"), r"preprocessing is .*'std': \[0.5\].*, by its configuration .*\[0.35\]"),
        (lie("preprocessing", "[0.0, 1.0]", "[0, 255]"), r"preprocessing is .*\[0, 255\]"),
        (lie("class_names", '"3"', '"three"'), "class_names is .*'three'.*, by its configuration"),
        (lie("config", "{", "["), "cannot be understood"),
        (lie("config", '"image"', '"picture"'), "cannot be understood"),
        (lie("graph", '"kind": "rollout"', '"kind": "step"'), "not legal: part is None in a step"),
        (lie("graph", '"kind": "rollout"', '"kind": "walk"'), "kind must be 'rollout' or 'step'; got 'walk'"),
        (lie("graph", '"part": null', '"part": "init"'), "part is 'init' in a rollout"),
        (lie("graph", '"glimpses": 3', '"glimpses": -3'), "glimpses must be at least 1; got -3"),
        (lie("graph", '"glimpses": 3', '"glimpses": true'), "glimpses must be at least 1; got True"),
        (lie("graph", '"fp32"', '"int8"'), "precision must be 'fp32' or 'fp16'; got 'int8'"),
        (lie("graph", '"fields": ["pose"', '"fields": ["posture"'), "fields must be outputs of a model; got 'posture'"),
        (lie("graph", '"sample": false', '"sample": 0'), "sample must be true or false; got 0"),
        (lie("config", '"name": "stawm-digits"', '"name": ""'), "the configuration has no name"),
        (lie("config", '"image": [1, 12, 12]', '"image": [1, 0, 12]'), r"image is \(1, 0, 12\)"),
        (lie("config", '"classes": 10', '"classes": 0'), "there are 0 classes"),
        (lie("config", '"mean": [0.3]', '"mean": [0.3, 0.3]'), r"mean \(0.3, 0.3\) or std \(0.35,\) does not fit 1"),
        (lie("config", '"std": [0.35]', '"std": [0.0]'), r"std must be above 0; got \(0.0,\)"),
        (lie("format", "1", "2"), "has format '2'; stawm .* reads '1'"),
    ],
)
def test_metadata_that_lies_is_refused(change: Any, message: str, rollout: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        opened(broken(rollout, tmp_path / "m.onnx", change))


def test_a_graph_is_used_without_the_components_of_its_model(rollout: Path, tmp_path: Path) -> None:
    graph = opened(broken(rollout, tmp_path / "m.onnx", lie("config", "hebb-rosenblatt", "a-plugin-of-mine")))
    assert graph(torch.zeros(2, 1, 12, 12)).logits.shape == (2, 10)


def test_data_outside_the_file_is_never_read(rollout: Path, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")

    with pytest.raises(ExportError, match=r"asks for data outside itself \('\.\./\.\./etc/passwd'"):
        opened(broken(rollout, tmp_path / "m.onnx", change))


def test_foreign_operators_are_refused(rollout: Path, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.node[0].domain = "com.example"

    with pytest.raises(ExportError, match=r"operators of the domain 'com\.example'"):
        opened(broken(rollout, tmp_path / "m.onnx", change))


@pytest.mark.parametrize("data", [b"", b"\x08\x0a", b"PK\x03\x04" + bytes(200), bytes(5000)])
def test_files_that_are_not_ours_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ExportError, match="not an ONNX file that stawm wrote"):
        opened(tmp_path / "m.onnx")


@pytest.mark.parametrize("kept", [1, 100, 10_000, -1, -70, -200])
def test_truncated_files_are_refused(kept: int, rollout: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(rollout.read_bytes()[:kept])
    with pytest.raises(ExportError, match=r"truncated or was altered|not an ONNX file that stawm wrote"):
        opened(tmp_path / "m.onnx")


def test_a_sealed_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(sealing.seal(b"\xff\xff nonsense"))
    with pytest.raises(ExportError, match="cannot be parsed as ONNX"):
        opened(tmp_path / "m.onnx")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No such file"):
        opened(tmp_path / "m.onnx")


def test_folders_that_are_no_step_graph(steps: Path, rollout: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"lacks init\.onnx, glimpse\.onnx, read\.onnx"):
        opened(tmp_path)
    with pytest.raises(ExportError, match="a part of a step graph, 'read': give its folder"):
        opened(steps / "read.onnx")
    shutil.copytree(steps, tmp_path / "m")
    shutil.copy(rollout, tmp_path / "m" / "read.onnx")
    with pytest.raises(ExportError, match="says that it is the part None and not 'read'"):
        opened(tmp_path / "m")


def test_parts_of_different_exports_do_not_mix(steps: Path, tmp_path: Path) -> None:
    shutil.copytree(steps, tmp_path / "m")
    broken(steps / "read.onnx", tmp_path / "m" / "read.onnx", lie("weights", "a", "b"))
    with pytest.raises(ExportError, match="are not of one export"):
        opened(tmp_path / "m")


def test_inspection_tells_what_a_file_is(rollout: Path, steps: Path) -> None:
    facts = inspect(rollout)
    said = json.loads(json.dumps(facts.as_dict()))
    assert said["outputs"]["rollout"]["pose"] == ["b", 3, 6]
    assert said["nodes"]["rollout"] == sum(facts.nodes["rollout"].values())
    assert said["sha256"]["rollout"] == sealing.digest(rollout.read_bytes())
    assert "3 glimpses" in str(facts)
    assert set(inspect(steps).nodes) == {"init", "glimpse", "read"}
    assert "glimpse takes" in str(inspect(steps))


def test_other_readers_of_onnx_see_an_ordinary_file(rollout: Path) -> None:
    proto = onnx.load(rollout)
    onnx.checker.check_model(proto, full_check=True)
    entries = {entry.key: entry.value for entry in proto.metadata_props}
    assert entries["stawm.sha256"] == sealing.digest(rollout.read_bytes())
