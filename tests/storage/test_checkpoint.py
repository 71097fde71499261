"""Models saved and read back: bitwise, with all that is needed to use them, and never more than that."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stawm
from stawm.errors import CheckpointError, InputError
from stawm.storage import file as sealed_file
from stawm.storage.checkpoint import load_weights
from stawm.storage.file import pack, read, read_header
from tests.plugins import MEMORY, Install
from tests.small import PRESETS, inputs, shaken, small, tensors, tiny

fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small model's file."""
    path = tmp_path_factory.mktemp("saved") / "x"
    stawm.save(tiny(heads="classification"), path, provenance={"seed": 3})
    return path.read_bytes()


def forged(data: bytes, path: Path, **fields: Any) -> Path:
    """The same file with other fields, sealed again as if it had been saved so."""
    path.write_bytes(data)
    header, found = read(path)
    ours = {key: value for key, value in header.fields.items() if "sha256" not in key and key != "stawm.format"}
    changed = {f"stawm.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in fields.items()}
    path.write_bytes(pack({**ours, **changed}, found))
    return path


def config_of(path: Path) -> Any:
    return json.loads(read_header(path).fields["stawm.config"])


def same(a: Any, b: Any) -> bool:
    pairs = zip(a.state_dict().items(), b.state_dict().items(), strict=True)
    return all(x == y and s.dtype == t.dtype and torch.equal(s, t) for (x, s), (y, t) in pairs)


# There and back


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_comes_back_bit_by_bit(preset: str, path: Path) -> None:
    model = shaken(small(preset))
    images, _ = inputs(model)
    model.train()(images)  # so that the counters and statistics of BatchNorm have moved
    stawm.save(model, path)
    loaded = stawm.load(path)
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    assert same(loaded, model)
    assert not loaded.training
    expected, got = tensors(model.eval()(images)), tensors(loaded(images))
    assert all(torch.equal(got[name], value) for name, value in expected.items())
    trainable = [p.requires_grad for p in model.parameters()]
    assert [p.requires_grad for p in loaded.parameters()] == trainable


def test_special_values_come_back(path: Path) -> None:
    model = tiny(heads="classification")
    bits = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45], dtype=torch.float32)
    with torch.no_grad():
        model.loop.what.bias[:4] = bits
    stawm.save(model, path)
    loaded: Any = stawm.load(path)
    assert torch.equal(loaded.loop.what.bias[:4].view(torch.int32), bits.view(torch.int32))


def test_the_same_model_gives_the_same_file(path: Path) -> None:
    model = tiny()
    stawm.save(model, path)
    first = path.read_bytes()
    stawm.save(stawm.load(path), path)
    assert path.read_bytes() == first


def test_loading_draws_no_random_numbers(path: Path) -> None:
    stawm.save(tiny(), path)
    before = torch.get_rng_state()
    stawm.load(path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_may_be_stored_with_fewer_bits(dtype: torch.dtype, path: Path) -> None:
    model = shaken(tiny())
    stawm.save(model, path)
    whole = path.stat().st_size
    stawm.save(model, path, dtype=dtype)
    loaded = stawm.load(path)
    assert (path.stat().st_size < whole) == (dtype != torch.float32)
    for name, value in model.state_dict().items():
        expected = value.to(dtype).to(value.dtype) if value.is_floating_point() else value
        got = loaded.state_dict()[name]
        assert got.dtype == value.dtype
        assert torch.equal(got, expected), name
    info = stawm.inspect(path)
    assert info.dtype == "float32"
    assert {kind for kind, _ in info.tensors.values()} <= {str(dtype)[6:].upper().replace("FLOAT", "F"), "BF16", "I64"}


def test_weights_that_a_type_cannot_hold(path: Path) -> None:
    model = tiny()
    with torch.no_grad():
        model.loop.what.bias[0] = 1e5
    with pytest.raises(InputError, match=r"float16 cannot hold loop.what.bias: it reaches 1e\+05"):
        stawm.save(model, path, dtype=torch.float16)
    assert not path.exists()


def test_the_type_of_the_model_is_kept_or_chosen(path: Path) -> None:
    stawm.save(tiny().double(), path)
    assert {p.dtype for p in stawm.load(path).parameters()} == {torch.float64}
    assert {p.dtype for p in stawm.load(path, dtype=torch.float32).parameters()} == {torch.float32}
    with pytest.raises(InputError, match=r"one of torch.float16, .*; got torch.int8"):
        stawm.load(path, dtype=torch.int8)
    with pytest.raises(InputError, match=r"got torch\.complex64"):
        stawm.save(tiny(), path, dtype=torch.complex64)


# What it says of itself


def test_inspection(path: Path) -> None:
    model = tiny(memory="fast-weights", class_names=[*"abcdefghij"], mean=(0.25,), std=(0.5,))
    noted = {"seed": 3, "data": "digits", "error": 0.5, "nested": {"list": [1, None]}}
    stawm.save(model, path, provenance=noted)
    info = stawm.inspect(path)
    assert (info.path, info.config, info.provenance) == (path, model.config, noted)
    assert info.version == stawm.__version__
    assert torch.__version__.startswith(info.versions["torch"])
    assert set(info.versions) == {"python", "torch", "torchvision", "timm"}
    parts = ["backbone.conv", "locator.affine", "memory.fast-weights", "canvas.addition"]
    heads = ["head.classification", "head.drawing"]
    assert info.origins == dict.fromkeys([*parts, *heads], f"stawm {stawm.__version__}")
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert {name: shape for name, (_, shape) in info.tensors.items()} == shapes
    assert len(info.sha256) == 64
    found = info.as_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["preset"] == model.config.name
    assert found["config"] == model.config.to_dict()


def test_the_hash_is_of_header_and_weights(path: Path) -> None:
    hashes = set()
    for seed, noted in ((0, {}), (1, {}), (0, {"a": 1})):
        stawm.save(stawm.build("stawm-digits", seed=seed), path, provenance=noted)
        hashes.add(stawm.inspect(path).sha256)
    assert len(hashes) == 3


@pytest.mark.parametrize("noted", [{"a": float("nan")}, {"a": torch.zeros(1)}, {"a": {1, 2}}, {"a": b"x"}])
def test_provenance_is_json(noted: Any, path: Path) -> None:
    with pytest.raises(InputError, match="provenance must hold plain JSON values"):
        stawm.save(tiny(), path, provenance=noted)
    assert not path.exists()


def test_what_is_no_model(path: Path, unchecked: None) -> None:
    model: Any = torch.nn.Linear(1, 1)
    with pytest.raises(InputError, match="got Linear"):
        stawm.save(model, path)


@pytest.mark.parametrize(
    "wrap", [torch.nn.DataParallel, torch.compile, lambda m: torch.compile(torch.nn.DataParallel(m))]
)
def test_a_wrapped_model_is_taken_out_of_what_wraps_it(wrap: Any, path: Path, unchecked: None) -> None:
    model = shaken(tiny(heads="classification"))
    stawm.save(wrap(model), path)
    assert same(stawm.load(path), model)
    with pytest.raises(InputError, match="got DataParallel"):
        stawm.save(torch.nn.DataParallel(torch.nn.Linear(1, 1)), path)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", -1, "meta:x", object()])
def test_a_device_that_is_not_here(path: Path, device: Any, unchecked: None) -> None:
    stawm.save(tiny(), path)
    with pytest.raises(InputError, match="There is no device"):
        stawm.load(path, device=device)


def test_a_save_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    stawm.save(tiny(), path)
    before = path.read_bytes()
    monkeypatch.setattr(sealed_file.os, "fsync", fail)
    with pytest.raises(InputError, match="No space left"):
        stawm.save(shaken(tiny()), path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


# Damage


@fixtures
@given(data=st.data())
def test_truncated_anywhere(data: st.DataObject, saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(saved[: data.draw(st.integers(0, len(saved) - 1))])
    for reading in (stawm.load, stawm.inspect):
        with pytest.raises(CheckpointError, match="truncated"):
            reading(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_anywhere(data: st.DataObject, saved: bytes, tmp_path: Path) -> None:
    start = 8 + int.from_bytes(saved[:8], "little")
    at = data.draw(st.integers(0, start - 1) | st.integers(start, len(saved) - 1))
    flipped = bytearray(saved)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "x"
    path.write_bytes(flipped)
    with pytest.raises(CheckpointError):
        stawm.load(path)
    if at < start:
        with pytest.raises(CheckpointError):
            stawm.inspect(path)


def test_nothing_is_left_half_filled(saved: bytes, path: Path) -> None:
    model = shaken(tiny(heads="classification"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    path.write_bytes(saved[:-1] + b"\xff")
    with pytest.raises(CheckpointError, match="altered"):
        load_weights(model, path)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# Files that name what is not here


def test_a_component_that_is_not_known(saved: bytes, path: Path) -> None:
    stranger = {"memory": {"name": "my-rule", "decay": 1}}
    origins = {"memory.my-rule": "my-memories 1.2", "backbone.conv": "stawm 0.1.0"}
    forged(saved, path)
    forged(saved, path, config={**config_of(path), **stranger}, origins=origins)
    for reading in (stawm.load, stawm.inspect):
        with pytest.raises(CheckpointError) as caught:
            reading(path)
        assert "describes a model that is not known here: No memory named 'my-rule'" in str(caught.value)
        assert "memory.my-rule came with my-memories 1.2: install that." in str(caught.value)
        assert "backbone.conv came" not in str(caught.value)


def test_a_plugin_comes_back_and_is_missed(
    path: Path, install_plugin: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin("my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine"})
    model = tiny(memory="mine")
    stawm.save(model, path)
    assert stawm.inspect(path).origins["memory.mine"] == "my-memories 1.2"
    assert same(stawm.load(path), model)
    monkeypatch.setenv("STAWM_PLUGINS", "0")
    with pytest.raises(CheckpointError, match=r"'mine'.*memory\.mine came with my-memories 1\.2: install that"):
        stawm.load(path)


def test_loading_imports_no_plugin_that_is_not_named(path: Path, install_plugin: Install) -> None:
    stawm.save(tiny(), path)
    install_plugin("idle", {"idle_memory": MEMORY}, {"memory.idle": "idle_memory:Mine"})
    stawm.load(path)
    assert "idle_memory" not in sys.modules
    forged(path.read_bytes(), path, config={**config_of(path), "memory": {"name": "nobodys"}})
    with pytest.raises(CheckpointError, match="No memory named 'nobodys'"):
        stawm.load(path)
    assert "idle_memory" not in sys.modules, "nor for a message"


def test_a_path_in_a_file_is_not_imported(saved: bytes, path: Path) -> None:
    sys.modules.pop("antigravity", None)
    for name in ("antigravity:fly", "antigravity", "os:system", "stawm.nn.memories.fast_weights:FastWeights"):
        forged(saved, path)
        forged(saved, path, config={**config_of(path), "memory": {"name": name}})
        with pytest.raises(CheckpointError, match="No memory named"):
            stawm.load(path)
    assert "antigravity" not in sys.modules


def test_nothing_is_downloaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = {"name": "timm:resnet18", "total_stride": 8}
    model = tiny(image=(3, 16, 16), glimpse_size=16, backbone=network, context={"layers": "4@3/2"})
    model.config = model.config.replace(backbone=model.config.backbone.replace(pretrained=True))
    stawm.save(model, path)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))
    loaded = stawm.load(path)
    assert same(loaded, model)
    assert loaded.config == model.config, "what it was made from is kept"
    built = stawm.build(model.config, pretrained=path)
    assert same(built, model)
    assert built.config == model.config


@pytest.mark.parametrize(
    "fields",
    [
        {"config": "{"},
        {"config": "[" * 100_000},
        {"config": []},
        {"config": 3},
        {"origins": []},
        {"origins": "x"},
        {"versions": None},
        {"provenance": [1]},
        {"dtype": "int8"},
        {"dtype": "torch.float32"},
        {"config": {}},
        {"config": {"family": []}},
        {"config": {"family": "baseline"}},
    ],
    ids=str,
)
def test_headers_of_the_wrong_form(fields: dict[str, Any], saved: bytes, path: Path) -> None:
    forged(saved, path, **fields)
    for reading in (stawm.load, stawm.inspect):
        with pytest.raises(CheckpointError):
            reading(path)


def test_a_header_that_lacks_a_field(saved: bytes, path: Path) -> None:
    path.write_bytes(saved)
    header, found = read(path)
    for lacking in ("stawm.config", "stawm.version", "stawm.dtype", "stawm.provenance"):
        path.write_bytes(pack({k: v for k, v in header.fields.items() if k != lacking}, found))
        with pytest.raises(CheckpointError, match=f"cannot be understood .*{lacking}"):
            stawm.inspect(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "layers", "x"]), inner),
    max_leaves=4,
)


@fixtures
@given(data=st.data())
def test_any_configuration_in_a_file_is_a_model_or_a_fault(
    data: st.DataObject, saved: bytes, tmp_path: Path, unchecked: None
) -> None:
    path = forged(saved, tmp_path / "x")
    fields = config_of(path)
    key = data.draw(st.sampled_from(sorted(fields)))
    fields[key] = data.draw(json_values)
    forged(saved, path, config=fields)
    try:
        assert stawm.load(path).config.name == fields["name"]
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017  (both ends are right)


@pytest.mark.parametrize("changes", [{"memory_size": 10**12}, {"hidden_size": 10**9}, {"glimpse_size": 10**8}])
def test_sizes_that_no_machine_holds(changes: dict[str, Any], saved: bytes, path: Path) -> None:
    forged(saved, path)
    forged(saved, path, config={**config_of(path), **changes})
    with pytest.raises(CheckpointError):
        stawm.load(path)


def test_a_model_that_cannot_be_built(saved: bytes, path: Path) -> None:
    forged(saved, path)
    forged(saved, path, config={**config_of(path), "glimpse_size": 2})
    with pytest.raises(CheckpointError, match=r"cannot be built here: .*does not fit images of 2x2"):
        stawm.load(path)


# Weights for a model that is there


def test_weights_alone(path: Path) -> None:
    model = shaken(tiny())
    stawm.save(model, path)
    other = tiny()
    assert not same(other, model)
    load_weights(other, path)
    assert same(other, model)
    assert other.training, "the mode is left"
    built = stawm.build(model.config, pretrained=path)
    assert same(built, model)
    assert not built.training
    assert same(stawm.build(model.config, pretrained=str(path)), model)


def test_what_does_not_fit_is_listed(path: Path) -> None:
    stawm.save(tiny(memory_size=9), path)
    model = tiny(heads="classification")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, path)
    said = str(caught.value)
    assert "unexpected: heads.drawing.query.linear.bias, heads.drawing" in said
    assert "of another shape: loop.what.weight ((9, 12) for (8, 12)), loop.what.bias ((9,) for (8,))" in said
    assert "and 3 more." in said
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    stawm.save(model, path)
    with pytest.raises(CheckpointError, match=r"does not fit stawm-digits: missing: loop\.inverse_emitter"):
        load_weights(tiny(), path)


def test_a_readout_stands_on_a_drawing_model(path: Path) -> None:
    drawing = shaken(tiny(heads="drawing"))
    stawm.save(drawing, path)
    config = tiny(heads="classification", trainable="readout").config
    model: Any = stawm.build(config, pretrained=path, seed=5)
    assert same(model.memory, drawing.memory)
    for name, value in model.loop.state_dict().items():
        assert torch.equal(value, drawing.loop.state_dict()[name])
    assert same(model.heads, stawm.build(config, seed=5).heads)
    expected = tensors(drawing.eval()(inputs(drawing)[0]))["memory_input"]
    assert torch.equal(tensors(model(inputs(model)[0]))["memory_input"], expected)
    stawm.save(model, path)
    assert same(stawm.build(config, pretrained=path), model)


@pytest.mark.parametrize("preset", ["mnist-selfsup", "cifar-selfsup"])
def test_the_self_supervised_presets_take_their_drawing(preset: str, path: Path) -> None:
    drawing = small({"mnist-selfsup": "stawm-mnist-draw-6", "cifar-selfsup": "stawm-cifar-draw-16"}[preset])
    stawm.save(drawing, path)
    sizes = {key: getattr(drawing.config, key) for key in ("memory_size", "hidden_size", "glimpses")}
    model = stawm.build(f"stawm-{preset}", pretrained=path, **sizes)
    assert torch.equal(model.get_parameter("loop.what.weight"), drawing.get_parameter("loop.what.weight"))


def test_a_readout_does_not_stand_on_another_form(path: Path) -> None:
    stawm.save(tiny(heads="drawing", hidden_size=13), path)
    model = tiny(heads="classification", trainable="readout")
    with pytest.raises(CheckpointError, match=r"of another shape: loop\.context_down\.weight"):
        load_weights(model, path)
    stawm.save(tiny(heads="drawing"), path)
    with pytest.raises(CheckpointError, match=r"missing: heads\.classification.*unexpected: heads\.drawing"):
        load_weights(tiny(heads="classification"), path)
