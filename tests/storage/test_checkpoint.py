"""Models saved and read back: bitwise, with all that is needed to use them, and never more than that."""

import json
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
from tests.small import PRESETS, inputs, shaken, small, tensors, tiny
from tests.storage.files import fixtures, same

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
    with pytest.raises(InputError, match=r"one of torch.float16, .*, torch.int8, torch.int4; got torch\.complex64"):
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
    parts = ["backbone.conv", "locator.affine", "memory.fast-weights", "canvas.addition", "policy.deterministic"]
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
