"""Weights stored as integers of 8 or 4 bits: within half a step of what they were, however often they are stored."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

import stawm
from stawm.errors import CheckpointError, InputError
from stawm.storage import integers
from stawm.storage.checkpoint import load_weights
from stawm.storage.file import pack, read, read_header
from tests.small import shaken
from tests.storage.files import fixtures, own_fields

FLOATS = st.floats(-(2.0**127), 2.0**127, width=32)


def digits() -> Any:
    return shaken(stawm.build("stawm-digits", seed=0)).eval()


def large(tensors: dict[str, Tensor]) -> set[str]:
    return {
        name for name, t in tensors.items() if t.is_floating_point() and t.ndim > 1 and t.numel() >= integers.SMALLEST
    }


def in_4_bits(name: str, tensor: Tensor) -> bool:
    return name in large({name: tensor}) and tensor.ndim == 2 and tensor.shape[1] % 64 == 0


def naive(row: list[float], top: int) -> tuple[list[float], float]:
    """What a row comes back as, and the step between two values, number by number."""
    largest = max(abs(number) for number in row)
    step = torch.tensor(max(largest / top, 2.0**-126), dtype=torch.float64).bfloat16().item()
    return [round(number / step) * step for number in row], step


@given(rows=arrays.arrays("float32", (4, 5), elements=FLOATS))
def test_each_row_comes_back_within_half_a_step(rows: Any) -> None:
    weight = torch.from_numpy(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integers, "SMALLEST", 1)
        stored = integers.encode({"w": weight})
        back = integers.decode(stored)["w"]
        again = integers.encode({"w": back})
    assert (stored["w"].dtype, stored["w:scale"].dtype) == (torch.int8, torch.bfloat16)
    assert (stored["w:scale"] > 0).all(), "nothing is divided by zero, nor where a row is zero"
    for row, found in zip(weight.tolist(), back.tolist(), strict=True):
        expected, step = naive(row, 127)
        assert found == expected, "exactly: a product of 7 and 8 bits"
        assert max(abs(a - b) for a, b in zip(row, found, strict=True)) <= step / 2
    assert all(torch.equal(again[name], tensor) for name, tensor in stored.items())


@given(rows=arrays.arrays("float32", (2, 128), elements=FLOATS, fill=FLOATS))
def test_in_4_bits_each_64_of_a_row_come_back_within_half_a_step(rows: Any) -> None:
    weight = torch.from_numpy(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integers, "SMALLEST", 1)
        stored = integers.encode({"w": weight}, torch.int4)
        back = integers.decode(stored)["w"]
        again = integers.encode({"w": back}, torch.int4)
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in stored.items()} == {
        "w": (torch.uint8, (2, 64)),
        "w:scale": (torch.bfloat16, (2, 2)),
    }
    assert (stored["w:scale"] > 0).all()
    groups = (weight.view(4, 64).tolist(), back.view(4, 64).tolist(), stored["w:scale"].flatten().tolist())
    for group, found, scale in zip(*groups, strict=True):
        expected, step = naive(group, 7)
        assert (found, scale) == (expected, step)
        assert max(abs(a - b) for a, b in zip(group, found, strict=True)) <= step / 2
    assert all(torch.equal(again[name], tensor) for name, tensor in stored.items())


def test_in_4_bits_two_integers_are_a_byte() -> None:
    weight = torch.zeros(64, 64)
    weight[1, :4] = torch.tensor([7.0, -7.0, 0.0, 3.0])
    stored = integers.encode({"w": weight}, torch.int4)["w"]
    assert stored[1, :2].tolist() == [15 | 1 << 4, 8 | 11 << 4], "8 is added, the even column is in the low bits"


@pytest.mark.parametrize("shape", [(8, 16, 8, 8), (64, 65), (65, 96), (2, 64, 64)])
def test_what_is_not_of_rows_of_64_is_stored_in_8_bits(shape: tuple[int, ...]) -> None:
    tensors = {"w": torch.randn(shape), "n": torch.arange(4096).view(64, 64)}
    found, expected = integers.encode(tensors, torch.int4), integers.encode(tensors, torch.int8)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert found["w"].dtype == torch.int8


def test_rows_have_scales_of_their_own() -> None:
    weight = torch.ones(64, 64)
    weight[0] *= 1e-3
    weight[1] = 0
    back = integers.decode(integers.encode({"w": weight}))["w"]
    assert torch.allclose(back, weight, rtol=2**-8, atol=0)  # half a unit of the last of 8 bits


@pytest.mark.parametrize("shape", [(), (4096,), (63, 65), (2, 3, 5, 7)])
def test_what_is_small_or_a_vector_stays(shape: tuple[int, ...]) -> None:
    tensors = {"w": torch.randn(shape), "n": torch.arange(5000).view(50, 100)}
    assert integers.encode(tensors) == tensors
    assert integers.decode(tensors) == tensors


def test_kernels_are_rounded_by_output_channel() -> None:
    kernel = torch.randn(32, 16, 3, 3) * torch.arange(1, 33).view(-1, 1, 1, 1)
    stored = integers.encode({"w": kernel})
    assert stored["w"].shape == kernel.shape
    assert stored["w:scale"].shape == (32,)
    flat = integers.decode(integers.encode({"w": kernel.flatten(1)}))["w"]
    assert torch.equal(integers.decode(stored)["w"].flatten(1), flat)


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), None), (float("inf"), None), (1e300, torch.float64)])
def test_what_cannot_be_held_is_refused(value: float, dtype: torch.dtype | None, path: Path) -> None:
    model = digits().to(dtype or torch.float32)
    name = min(large(model.state_dict()))
    with torch.no_grad():
        model.state_dict()[name].flatten()[0] = value
    for asked in (torch.int8, torch.int4):
        kept = "int4" if asked == torch.int4 and in_4_bits(name, model.state_dict()[name]) else "int8"
        with pytest.raises(InputError, match=rf"torch\.{kept} cannot hold {name}: it reaches (nan|inf|1e\+300)"):
            stawm.save(model, path, dtype=asked)
    assert not path.exists()


# Models


def test_a_model_comes_back_rounded_from_a_quarter_of_the_bytes(path: Path) -> None:
    model = digits()
    stawm.save(model, path)
    whole = path.stat().st_size
    stawm.save(model, path, dtype=torch.int8)
    own = model.state_dict()
    assert path.stat().st_size < 0.35 * whole, "small tensors and the header keep their size"
    loaded: Any = stawm.load(path)
    assert not loaded.training
    for name, value in loaded.state_dict().items():
        assert value.dtype == own[name].dtype
        if name in large(own):
            step = (own[name].flatten(1).abs().amax(1) / 127).bfloat16().float()
            error = (value - own[name]).flatten(1).abs().amax(1)
            assert ((error > 0) & (error <= step * (0.5 + 2**-16))).all(), name  # the difference is in float32
        else:
            assert torch.equal(value, own[name]), name
    info = stawm.inspect(path)
    assert (info.dtype, info.storage) == ("float32", torch.int8)
    assert {name for name, (kind, _) in info.tensors.items() if kind == "I8"} == large(own)
    assert {name: shape for name, (_, shape) in info.tensors.items()} == {k: tuple(v.shape) for k, v in own.items()}


def test_a_model_comes_back_from_4_bits(path: Path) -> None:
    model = digits()
    stawm.save(model, path, dtype=torch.int8)
    in_8_bits, size = stawm.load(path).state_dict(), path.stat().st_size
    stawm.save(model, path, dtype=torch.int4)
    info, loaded = stawm.inspect(path), stawm.load(path).state_dict()
    own = model.state_dict()
    few = {name for name, value in own.items() if in_4_bits(name, value)}
    assert few
    assert path.stat().st_size < size - sum(own[name].numel() for name in few) * (1 / 2 - 2 / 64) + 2000, "the header"
    for name, value in loaded.items():
        assert value.dtype == own[name].dtype
        if name in few:
            step = (own[name].view(-1, 64).abs().amax(1) / 7).bfloat16().float()
            error = (value - own[name]).view(-1, 64).abs().amax(1)
            assert ((error > 0) & (error <= step * (0.5 + 2**-20))).all(), name  # the difference is in float32
        else:
            assert torch.equal(value, in_8_bits[name]), name
    assert (info.dtype, info.storage) == ("float32", torch.int4)
    assert {name for name, (kind, _) in info.tensors.items() if kind == "I4"} == few
    assert {name for name, (kind, _) in info.tensors.items() if kind == "I8"} == large(own) - few
    assert {name: shape for name, (_, shape) in info.tensors.items()} == {k: tuple(v.shape) for k, v in own.items()}


@pytest.mark.parametrize("kept", [torch.int8, torch.int4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_stored_again_it_is_the_same_file(dtype: torch.dtype, kept: torch.dtype, path: Path) -> None:
    stawm.save(digits().to(dtype), path, dtype=kept)
    first = path.read_bytes()
    loaded = stawm.load(path)
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    stawm.save(loaded, path, dtype=stawm.inspect(path).storage)
    assert path.read_bytes() == first


@pytest.mark.parametrize("kept", [torch.int8, torch.int4])
def test_it_fills_models_whole_and_in_part(kept: torch.dtype, path: Path) -> None:
    stawm.save(digits(), path, dtype=kept)
    expected = stawm.load(path).state_dict()
    model = stawm.build("stawm-digits", seed=1)
    assert load_weights(model, path).whole
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    fewer: dict[str, Any] = {"class_names": ["9", "a"], "heads.classification.classes": 2}
    other = stawm.build("stawm-digits", seed=1, **fewer)
    loaded = load_weights(other, path, partial=True)
    assert loaded.rows == ("9",)
    assert not loaded.left
    assert all(torch.equal(other.state_dict()[name], expected[name]) for name in loaded.taken)
    half = stawm.load(path, dtype=torch.bfloat16).state_dict()
    assert all(torch.equal(value, expected[name].to(value.dtype)) for name, value in half.items())


@pytest.mark.parametrize("kept", [torch.int8, torch.int4])
def test_thresholds_hold_for_weights_that_were_rounded_before(kept: torch.dtype, path: Path) -> None:
    stopping = stawm.training.tune_stop
    images = stawm.training.ImageSet(torch.rand(40, 1, 16, 16), torch.arange(40) % 10)
    model = digits()
    model.stopping = stopping(model, images, glimpses=2)
    with pytest.raises(InputError, match="this type rounds them"):
        stawm.save(model, path, dtype=kept)
    model.stopping = None
    stawm.save(model, path, dtype=kept)
    rounded = stawm.load(path)
    rounded.stopping = stopping(rounded, images, glimpses=2)
    stawm.save(rounded, path, dtype=kept)
    assert stawm.load(path).stopping == rounded.stopping


# Damage


TORN = (
    "no scale",
    "another type",
    "too few",
    "a row",
    "no integers",
    "a vector",
    "a vector alone",
    "of nothing",
    "empty",
)


def torn(tensors: dict[str, Tensor], how: str, kept: torch.dtype) -> dict[str, Tensor]:
    """A file's tensors, of which integers and scales no longer belong together."""
    name = min(name for name, tensor in tensors.items() if tensor.dtype == kept)
    scale = tensors[name + integers.SCALE]
    changed: dict[str, dict[str, Tensor]] = {
        "no scale": {},
        "another type": {name + integers.SCALE: scale.float()},
        "too few": {name + integers.SCALE: scale[1:].clone()},
        "a row": {name + integers.SCALE: scale[None].clone()},
        "no integers": {name: tensors[name].float(), name + integers.SCALE: scale},
        "a vector": {name: tensors[name].flatten().clone(), name + integers.SCALE: scale},
        "a vector alone": {name: tensors[name].flatten().clone()},
        "of nothing": {"stranger:scale": scale.clone(), name + integers.SCALE: scale},
        "empty": {name: tensors[name][:, :0].clone(), name + integers.SCALE: scale},
    }
    return {key: tensor for key, tensor in tensors.items() if key != name + integers.SCALE} | changed[how]


@pytest.mark.parametrize("how", TORN)
def test_integers_and_scales_belong_together(how: str, path: Path) -> None:
    stawm.save(digits(), path, dtype=torch.int8)
    header, tensors = read(path)
    path.write_bytes(pack(own_fields(header), torn(tensors, how, torch.int8)))
    for reading in (stawm.load, stawm.inspect):
        with pytest.raises(CheckpointError, match=r"is damaged: its integer weights and their scales do not belong"):
            reading(path)
    with pytest.raises(CheckpointError, match="do not belong"):
        load_weights(digits(), path)


@pytest.mark.parametrize("how", [*TORN, "too wide", "nothing and no scales"])
def test_bytes_of_4_bits_and_scales_belong_together(how: str, path: Path) -> None:
    """Bytes without scales are bytes, and not of the shape of the matrix."""
    stawm.save(digits(), path, dtype=torch.int4)
    header, tensors = read(path)
    name = min(name for name, tensor in tensors.items() if tensor.dtype == torch.uint8)
    if how == "too wide":
        changed = {**tensors, name: torch.nn.functional.pad(tensors[name], (0, 1))}
    elif how == "nothing and no scales":
        scale = name + integers.SCALE
        changed = {**tensors, name: tensors[name][:, :0].clone(), scale: tensors[scale][:, :0].clone()}
    else:
        changed = torn(tensors, how, torch.uint8)
    path.write_bytes(pack(own_fields(header), changed))
    bytes_alone = how in ("no scale", "a vector alone")
    message = f"of another shape: {name}" if bytes_alone else "their scales do not belong together"
    with pytest.raises(CheckpointError, match=message):
        stawm.load(path)
    with pytest.raises(CheckpointError):
        load_weights(digits(), path)


@fixtures
@given(data=st.data())
def test_every_changed_byte_is_found(int8_bytes: bytes, path: Path, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(int8_bytes) - 1))
    changed = bytearray(int8_bytes)
    changed[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(changed))
    with pytest.raises(CheckpointError):
        stawm.load(path)


@pytest.fixture(scope="module")
def int8_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("int8") / "m.safetensors"
    stawm.save(digits(), path, dtype=torch.int8)
    assert read_header(path).fields["stawm.format"] == "2"
    return path.read_bytes()
