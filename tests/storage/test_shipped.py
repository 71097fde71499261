"""The weights that come with the package: whole, on record, loadable, and made from a run in one step."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm import registry
from stawm.errors import CheckpointError, InputError
from stawm.storage import shipped
from stawm.storage.shipped import shipped_names, shipped_weights
from stawm.training import data, evaluate
from stawm.training.provenance import source_with_folders
from tests.small import inputs, shaken, small, tensors, tiny
from tests.storage.files import same
from tools import ship as tool
from tools.ship import faults, ship


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped weights that is empty."""
    for module in (shipped, tool):
        monkeypatch.setattr(module, "weights_folder", lambda: tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "checksums.json").write_text("{}")
    return tmp_path / "weights"


def test_what_ships_is_on_record_and_whole() -> None:
    assert faults() == []


@pytest.mark.parametrize("name", shipped_names())
def test_what_ships_is_loaded_by_its_presets_name(name: str) -> None:
    assert name in registry.list_names("preset", ("*", "*.*"), origin="stawm")
    info, model = stawm.inspect(shipped_weights(name)), stawm.build(name, pretrained=True)
    assert {"seed", "data", "recipe", "test"} <= info.provenance.keys()
    kinds = {
        torch.float16: {"F16", "I64"},
        torch.int8: {"I8", "F32", "I64"},
        torch.int4: {"I4", "I8", "F32", "I64"},
    }
    assert info.storage in tool.DTYPES
    assert {kind for kind, _ in info.tensors.values()} <= kinds[info.storage]
    assert next(model.parameters()).dtype == torch.float32
    assert model.config == info.config == stawm.config(name)
    untagged = stawm.build(name.partition(".")[0], pretrained=True)
    assert untagged.config == model.config, "one name is one model: it says which variant it is"
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in untagged.state_dict().items())


@pytest.mark.data
@pytest.mark.parametrize("name", shipped_names())
def test_what_ships_is_as_good_as_it_says(name: str) -> None:
    noted = stawm.inspect(shipped_weights(name)).provenance
    source = source_with_folders(noted["data"], os.environ["STAWM_DATA"])
    if lacking := [folder for folder in source.partition(":")[2].split(",") if not Path(folder).is_dir()]:
        pytest.skip(f"STAWM_DATA lacks {lacking[0]}")
    model = stawm.build(name, pretrained=True)
    fields = noted.get("data_fields", {})
    found = evaluate(model, data.load(source, image=model.config.image, **fields).test)
    for measure in ("error", "mse"):
        if measure in noted["test"]:
            assert getattr(found, measure) == pytest.approx(noted["test"][measure], rel=0.02, abs=2e-4)


def test_weights_that_do_not_come_with_the_package(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="for 'stawm-nothing'; they come for: none"):
        shipped_weights("stawm-nothing")
    with pytest.raises(CheckpointError, match="No weights come with stawm"):
        stawm.build(tiny(name="stawm-nothing").config, pretrained=True)
    stawm.save(tiny(), folder / "stawm-mine.safetensors")
    with pytest.raises(CheckpointError, match="they come for: stawm-mine"):
        shipped_weights("stawm-other")


def test_shipping_a_run_and_building_it_by_name(folder: Path, tmp_path: Path) -> None:
    model = shaken(small("stawm-mnist-draw-6", memory={"constrained": True}))
    noted = {"seed": 3, "data": "mnist:ROOT", "test": {"mse": 0.01}}
    stawm.save(model, tmp_path / "run.safetensors", provenance=noted)
    target = ship(tmp_path / "run.safetensors")
    assert target == folder / "stawm-mnist-draw-6.safetensors"
    assert faults() == []
    assert shipped_names() == ["stawm-mnist-draw-6"]
    assert dict(stawm.inspect(target).provenance) == noted
    built = stawm.build("stawm-mnist-draw-6", pretrained=True)
    assert built.config == model.config
    assert not built.training
    rounded = {k: v.half().float() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    assert all(torch.equal(v, rounded[k]) for k, v in built.state_dict().items())
    model.load_state_dict(rounded)
    images, _ = inputs(model)
    expected, found = tensors(model.eval()(images)), tensors(built(images))
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_preset_is_found_by_its_variant(folder: Path) -> None:
    for name in ("stawm-mnist-8.fast", "stawm-mnist-8.other", "stawm-mnist-28.fast", "stawm-mnist-28"):
        (folder / f"{name}.safetensors").write_bytes(b"")
    assert shipped_weights("stawm-mnist-8").name == "stawm-mnist-8.fast.safetensors"
    assert shipped_weights("stawm-mnist-8.other").name == "stawm-mnist-8.other.safetensors"
    assert shipped_weights("stawm-mnist-28").name == "stawm-mnist-28.safetensors", "its own before a variant's"
    with pytest.raises(CheckpointError, match=r"come for: stawm-mnist-28, stawm-mnist-28\.fast, stawm-mnist-8\.fast"):
        shipped_weights("stawm-mnist-8.fas")


def test_a_presets_name_stands_for_the_model_as_it_was_trained(folder: Path) -> None:
    """A checkpoint of the first version has the preset's name and the variant's form, and keeps both."""
    trained = shaken(small("stawm-mnist-8", memory={"constrained": True, "normalise": 0.9}))
    path = folder / "stawm-mnist-8.safetensors"
    stawm.save(trained, path)
    assert stawm.load(path).config.name == "stawm-mnist-8"
    for pretrained in (True, path, str(path)):
        built = stawm.build("stawm-mnist-8", pretrained=pretrained, dropout=0.1)
        assert built.config == trained.config.replace(dropout=0.1)
    assert stawm.build("stawm-mnist-8.fast", pretrained=path).config == trained.config
    own = stawm.build(stawm.config(trained.config, dropout=0.2), pretrained=path)
    assert own.config == trained.config.replace(dropout=0.2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int8])
def test_weights_that_ship_are_written_anew_under_the_name_of_their_variant(
    dtype: torch.dtype, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one command, whatever they were called before; the numbers and the provenance stay."""
    monkeypatch.setattr(tool, "DTYPES", (dtype,))
    monkeypatch.setattr(tool, "LARGEST", 15_000_000)
    old = folder / "stawm-mnist-draw-6.safetensors"
    before = stawm.build("stawm-mnist-draw-6.fast", name="stawm-mnist-draw-6", seed=0)
    stawm.save(before, old, provenance={"seed": 3}, dtype=dtype)
    expected = stawm.load(old)
    (folder / "checksums.json").write_text(json.dumps({old.name: "0"}))
    new = folder / "stawm-mnist-draw-6.fast.safetensors"
    for path in (old, new):
        assert ship(path) == new
        assert sorted(file.name for file in folder.iterdir()) == ["checksums.json", new.name]
        assert faults() == []
    after = stawm.load(new)
    assert after.config == stawm.config("stawm-mnist-draw-6.fast")
    assert same(after, expected)
    assert all(
        torch.equal(v.half().float(), after.state_dict()[k])
        for k, v in before.state_dict().items()
        if v.is_floating_point() and dtype == torch.float16
    )
    assert stawm.inspect(new).provenance == {"seed": 3}
    stawm.save(stawm.build("stawm-mnist-draw-6.fast", name="stawm-mnist-draw-6", dropout=0.1), old)
    assert ship(old) == old, "what is not the variant keeps its name"


def test_a_self_supervised_preset_stands_on_the_drawing_model_as_it_was_trained(tmp_path: Path) -> None:
    drawn = shaken(small("stawm-mnist-draw-6", memory={"constrained": True}, locator="crop", glimpses=2))
    stawm.save(drawn, tmp_path / "drawn.safetensors")
    built: Any = stawm.build("stawm-mnist-selfsup", pretrained=tmp_path / "drawn.safetensors", memory={"theta": 0.25})
    preset: Any = stawm.config("stawm-mnist-selfsup")
    assert built.config.memory == drawn.config.memory.replace(theta=0.25)
    assert (built.config.locator, built.config.glimpses) == (drawn.config.locator, 2)
    assert (built.config.heads, built.config.class_names) == (preset.heads, preset.class_names)
    images, _ = inputs(drawn)
    assert torch.equal(built(images).trace.memory_input, drawn.eval()(images).trace.memory_input)


def test_what_may_not_ship(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.safetensors"
    stawm.save(tiny(name="stawm-mine"), path)
    with pytest.raises(InputError, match=r"presets alone; .* is of 'stawm-mine'"):
        ship(path)
    stawm.save(small("stawm-digits"), path)
    before = ship(path).read_bytes()
    monkeypatch.setattr(tool, "LARGEST", 100)
    stawm.save(shaken(small("stawm-digits")), path)
    with pytest.raises(InputError, match="as int4; at most 100 ship"):
        ship(path)
    assert (folder / "stawm-digits.safetensors").read_bytes() == before
    assert sorted(file.name for file in folder.iterdir()) == ["checksums.json", "stawm-digits.safetensors"]


def test_what_is_too_large_in_half_ships_as_integers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = tmp_path / "run.safetensors", shaken(stawm.build("stawm-digits", seed=0))
    stawm.save(model, path, provenance={"seed": 3})
    for dtype in (torch.int8, torch.int4):
        monkeypatch.setattr(tool, "LARGEST", ship(path).stat().st_size - 1)
        shipped = ship(path)
        info = stawm.inspect(shipped)
        assert (info.storage, dict(info.provenance), faults()) == (dtype, {"seed": 3}, [])
        before = shipped.read_bytes()
        assert ship(shipped).read_bytes() == before, "written anew it is the same"
        stawm.save(model, tmp_path / "rounded.safetensors", dtype=dtype)
        assert same(stawm.build("stawm-digits", pretrained=True), stawm.load(tmp_path / "rounded.safetensors"))


def test_every_fault_of_a_folder_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("altered", "kept", "new"):
        (folder / f"{name}.safetensors").write_bytes(b"1234")
    kept = tool._sha256(folder / "kept.safetensors")
    recorded = {"altered.safetensors": "0", "kept.safetensors": kept, "lost.safetensors": "0"}
    (folder / "checksums.json").write_text(json.dumps(recorded))
    assert [fault.split()[0] for fault in faults()] == ["new.safetensors", "lost.safetensors", "altered.safetensors"]
    monkeypatch.setattr(tool, "LARGEST", 3)
    monkeypatch.setattr(tool, "LARGEST_TOGETHER", 11)
    assert len(faults()) == 3 + 3 + 1
