"""Parameters that were renamed: files of the first version load, and a free rate is never taken for a raw one."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.configuration.components import build_component
from stawm.errors import CheckpointError
from stawm.storage.checkpoint import former_names, load_weights
from stawm.storage.file import pack, read
from stawm.storage.hashing import weights_hash
from tests.small import shaken, tiny
from tests.storage.files import own_fields

RENAMED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "hebb-rosenblatt": ({"constrained": True}, ["delta", "eta", "theta"]),
    "fast-weights": ({}, ["decay", "eta"]),
    "hopfield": ({}, ["beta"]),
    "oja": ({}, ["eta"]),
    "plasticity": ({}, ["eta"]),
    "backpropamine": ({"retroactive": True}, ["eta"]),
}
CASES = [
    *[({"name": name, **fields}, rates) for name, (fields, rates) in RENAMED.items()],
    ({"name": "hebb-rosenblatt"}, []),
    ({"name": "backpropamine"}, []),
    ({"name": "delta"}, []),
    ({"name": "gated-delta"}, []),
]
cases = pytest.mark.parametrize(
    ("memory", "rates"), CASES, ids=lambda x: "-".join(map(str, getattr(x, "values", list)()))
)


def first_form(model: Any, path: Path, rates: list[str]) -> dict[str, Tensor]:
    """Write a model as the first version did, and return its tensors under the names of then."""
    with torch.no_grad():
        for i, rate in enumerate(rates):
            model.get_parameter(f"memory.raw_{rate}").fill_(0.25 + i)
    stawm.save(model, path)
    header, found = read(path)
    for rate in rates:
        found[f"memory.{rate}"] = found.pop(f"memory.raw_{rate}")
    path.write_bytes(pack(own_fields(header), found))
    return found


@cases
def test_a_file_of_the_first_version_loads(memory: dict[str, Any], rates: list[str], tmp_path: Path) -> None:
    model = shaken(tiny(memory=memory, heads="classification"))
    found = first_form(model, tmp_path / "x", rates)
    assert {name for name in found if name.startswith("memory.raw")} == set()
    filled = tiny(memory=memory, heads="classification")
    load_weights(filled, tmp_path / "x")
    for loaded in (stawm.load(tmp_path / "x"), filled, stawm.build(model.config, pretrained=tmp_path / "x")):
        assert [*loaded.state_dict()] == [*model.state_dict()]
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())
        assert getattr(loaded.memory, "rates", ()) == getattr(model.memory, "rates", ())


@cases
def test_the_hash_of_weights_is_that_of_the_first_version(
    memory: dict[str, Any], rates: list[str], tmp_path: Path
) -> None:
    """Over the former names, in the order of those."""
    model = shaken(tiny(memory=memory, heads="classification"))
    digest = hashlib.sha256()
    for name, tensor in sorted(first_form(model, tmp_path / "x", rates).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    assert weights_hash(model) == digest.hexdigest()


def test_all_that_was_renamed_is_known(tmp_path: Path) -> None:
    for memory, rates in CASES:
        model = tiny(memory=memory, heads="classification")
        assert former_names(model) == {f"memory.raw_{rate}": f"memory.{rate}" for rate in rates}


def test_the_weights_that_ship_are_of_the_first_form_and_load() -> None:
    """`stawm-mnist-8` was trained with constrained rates."""
    path = Path(stawm.__file__).parent / "weights" / "stawm-mnist-8.fast.safetensors"
    _, found = read(path)
    model: Any = stawm.load(path)
    assert model.memory.config.constrained
    for rate in ("delta", "eta", "theta"):
        assert torch.equal(getattr(model.memory, f"raw_{rate}"), found[f"memory.{rate}"].float())
        assert not hasattr(model.memory, rate)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("constrained", [True, False])
def test_free_and_constrained_rates_are_not_taken_for_each_other(old: bool, constrained: bool, tmp_path: Path) -> None:
    """Neither from a file, of whatever version, nor from a state dict."""
    model, other = (tiny(memory={"constrained": on}) for on in (constrained, not constrained))
    with pytest.raises(RuntimeError, match=r"Missing key.*memory\.(raw_)?delta"):
        other.load_state_dict(model.state_dict())
    rates = ["delta", "eta", "theta"] if constrained and old else []
    first_form(model, tmp_path / "x", rates)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"does not fit .*missing: memory\.(raw_)?delta"):
        load_weights(other, tmp_path / "x")
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_a_memory_alone_refuses_the_rates_of_the_other_kind() -> None:
    free, constrained = (
        build_component("memory", "hebb-rosenblatt", memory_size=3, constrained=on) for on in (False, True)
    )
    for a, b in ((free, constrained), (constrained, free)):
        with pytest.raises(RuntimeError, match="Unexpected key"):
            a.load_state_dict(b.state_dict())


def test_a_readout_takes_the_rates_of_a_drawing_model_of_the_first_version(tmp_path: Path) -> None:
    drawing = tiny(heads="drawing", memory={"constrained": True})
    first_form(drawing, tmp_path / "x", ["delta", "eta", "theta"])
    readout = tiny(heads="classification", memory={"constrained": True}, trainable="readout")
    load_weights(readout, tmp_path / "x")
    assert readout.memory.rates == drawing.memory.rates
    assert readout.memory.rates.eta != tiny(memory={"constrained": True}).memory.rates.eta


def test_a_name_that_is_still_in_use_is_not_taken_away(tmp_path: Path) -> None:
    """A module that has both names keeps both."""
    model: Any = torch.nn.Module()
    model.memory = build_component("memory", "oja", memory_size=3)
    model.memory.eta = torch.nn.Parameter(torch.ones(()))
    assert former_names(model) == {}
