"""Weights stored as 8-bit integers: within half a step of what they were, however often they are stored."""

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
from stawm.storage import int8
from stawm.storage.checkpoint import load_weights
from stawm.storage.file import pack, read, read_header
from tests.small import shaken
from tests.storage.files import fixtures, own_fields

FLOATS = st.floats(-(2.0**127), 2.0**127, width=32)


def digits() -> Any:
    return shaken(stawm.build("stawm-digits", seed=0)).eval()


def large(tensors: dict[str, Tensor]) -> set[str]:
    return {name for name, t in tensors.items() if t.is_floating_point() and t.ndim > 1 and t.numel() >= int8.SMALLEST}


def naive(row: list[float]) -> tuple[list[float], float]:
    """What a row comes back as, and the step between two values, number by number."""
    largest = max(abs(number) for number in row)
    step = torch.tensor(max(largest / 127, 2.0**-126), dtype=torch.float64).bfloat16().item()
    return [round(number / step) * step for number in row], step


@given(rows=arrays.arrays("float32", (4, 5), elements=FLOATS))
def test_each_row_comes_back_within_half_a_step(rows: Any) -> None:
    weight = torch.from_numpy(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "SMALLEST", 1)
        stored = int8.encode({"w": weight})
        back = int8.decode(stored)["w"]
        again = int8.encode({"w": back})
    assert (stored["w"].dtype, stored["w:scale"].dtype) == (torch.int8, torch.bfloat16)
    assert (stored["w:scale"] > 0).all(), "nothing is divided by zero, nor where a row is zero"
    for row, found in zip(weight.tolist(), back.tolist(), strict=True):
        expected, step = naive(row)
        assert found == expected, "exactly: a product of 7 and 8 bits"
        assert max(abs(a - b) for a, b in zip(row, found, strict=True)) <= step / 2
    assert all(torch.equal(again[name], tensor) for name, tensor in stored.items())


def test_rows_have_scales_of_their_own() -> None:
    weight = torch.ones(64, 64)
    weight[0] *= 1e-3
    weight[1] = 0
    back = int8.decode(int8.encode({"w": weight}))["w"]
    assert torch.allclose(back, weight, rtol=2**-8, atol=0)  # half a unit of the last of 8 bits


@pytest.mark.parametrize("shape", [(), (4096,), (63, 65), (2, 3, 5, 7)])
def test_what_is_small_or_a_vector_stays(shape: tuple[int, ...]) -> None:
    tensors = {"w": torch.randn(shape), "n": torch.arange(5000).view(50, 100)}
    assert int8.encode(tensors) == tensors
    assert int8.decode(tensors) == tensors


def test_kernels_are_rounded_by_output_channel() -> None:
    kernel = torch.randn(32, 16, 3, 3) * torch.arange(1, 33).view(-1, 1, 1, 1)
    stored = int8.encode({"w": kernel})
    assert stored["w"].shape == kernel.shape
    assert stored["w:scale"].shape == (32,)
    flat = int8.decode(int8.encode({"w": kernel.flatten(1)}))["w"]
    assert torch.equal(int8.decode(stored)["w"].flatten(1), flat)


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), None), (float("inf"), None), (1e300, torch.float64)])
def test_what_cannot_be_held_is_refused(value: float, dtype: torch.dtype | None, path: Path) -> None:
    model = digits().to(dtype or torch.float32)
    name = min(large(model.state_dict()))
    with torch.no_grad():
        model.state_dict()[name].flatten()[0] = value
    with pytest.raises(InputError, match=rf"torch\.int8 cannot hold {name}: it reaches (nan|inf|1e\+300)"):
        stawm.save(model, path, dtype=torch.int8)
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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_stored_again_it_is_the_same_file(dtype: torch.dtype, path: Path) -> None:
    stawm.save(digits().to(dtype), path, dtype=torch.int8)
    first = path.read_bytes()
    loaded = stawm.load(path)
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    stawm.save(loaded, path, dtype=stawm.inspect(path).storage)
    assert path.read_bytes() == first


def test_it_fills_models_whole_and_in_part(path: Path) -> None:
    stawm.save(digits(), path, dtype=torch.int8)
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


def test_thresholds_hold_for_weights_that_were_rounded_before(path: Path) -> None:
    stopping = stawm.training.tune_stop
    images = stawm.training.ImageSet(torch.rand(40, 1, 16, 16), torch.arange(40) % 10)
    model = digits()
    model.stopping = stopping(model, images, glimpses=2)
    with pytest.raises(InputError, match="this type rounds them"):
        stawm.save(model, path, dtype=torch.int8)
    model.stopping = None
    stawm.save(model, path, dtype=torch.int8)
    rounded = stawm.load(path)
    rounded.stopping = stopping(rounded, images, glimpses=2)
    stawm.save(rounded, path, dtype=torch.int8)
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


def torn(tensors: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    """A file's tensors, of which integers and scales no longer belong together."""
    name = min(name for name, tensor in tensors.items() if tensor.dtype == torch.int8)
    scale = tensors[name + int8.SCALE]
    changed: dict[str, dict[str, Tensor]] = {
        "no scale": {},
        "another type": {name + int8.SCALE: scale.float()},
        "too few": {name + int8.SCALE: scale[1:].clone()},
        "a row": {name + int8.SCALE: scale[None].clone()},
        "no integers": {name: tensors[name].float(), name + int8.SCALE: scale},
        "a vector": {name: tensors[name].flatten().clone(), name + int8.SCALE: scale},
        "a vector alone": {name: tensors[name].flatten().clone()},
        "of nothing": {"stranger:scale": scale.clone(), name + int8.SCALE: scale},
        "empty": {name: tensors[name][:, :0].clone(), name + int8.SCALE: scale},
    }
    return {key: tensor for key, tensor in tensors.items() if key != name + int8.SCALE} | changed[how]


@pytest.mark.parametrize("how", TORN)
def test_integers_and_scales_belong_together(how: str, path: Path) -> None:
    stawm.save(digits(), path, dtype=torch.int8)
    header, tensors = read(path)
    path.write_bytes(pack(own_fields(header), torn(tensors, how)))
    for reading in (stawm.load, stawm.inspect):
        with pytest.raises(CheckpointError, match=r"is damaged: its 8-bit weights and their scales do not belong"):
            reading(path)
    with pytest.raises(CheckpointError, match="do not belong"):
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
