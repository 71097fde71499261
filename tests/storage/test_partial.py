"""Weights of one model in another: what is taken, what is left and what is new, and nothing of it in silence."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import CheckpointError, InputError
from stawm.storage.checkpoint import load_weights
from stawm.training.trainer import _make_run, make_plan
from tests.small import shaken, tiny

NAMES = [*"abcdefghij"]
CLASSIFIER = "heads.classification.classifier.linear"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    stawm.save(shaken(tiny(heads="classification", class_names=NAMES)), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def with_classes(names: list[str] | int, **changes: Any) -> dict[str, Any]:
    count = names if isinstance(names, int) else len(names)
    named = [] if isinstance(names, int) else names
    heads = {"name": "classification", "classes": count}
    return {**changes, "heads": heads, "class_names": named}


def test_other_classes_are_refused_unless_it_is_said(path: Path) -> None:
    config = tiny(**with_classes(5)).config
    with pytest.raises(CheckpointError, match=r"of another shape: .*partial=True in stawm\.build, --partial in"):
        stawm.build(config, pretrained=path)
    with pytest.raises(CheckpointError, match="--partial"):
        load_weights(tiny(**with_classes(5)), path)


def test_what_fits_is_taken_and_the_rest_is_what_it_was(path: Path) -> None:
    learned = stawm.load(path).state_dict()
    config = tiny(**with_classes(5)).config
    model = stawm.build(config, pretrained=path, partial=True, seed=3)
    random = stawm.build(config, seed=3).state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, random[name] if name.startswith(CLASSIFIER) else learned[name]), name
    assert set(model.loaded.new) == {f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias"} == set(model.loaded.left)
    assert len(model.loaded.taken) == len(learned) - 2
    assert not model.loaded.whole
    assert not model.training


def test_classes_that_both_name_keep_their_rows_in_whatever_place(path: Path) -> None:
    learned = stawm.load(path).state_dict()
    names = ["x", "j", "a", "y"]
    model = stawm.build(tiny(**with_classes(names)).config, pretrained=path, partial=True, seed=3)
    random = stawm.build(model.config, seed=3).state_dict()
    for name in (f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias"):
        rows = model.state_dict()[name]
        assert torch.equal(rows[1], learned[name][9])
        assert torch.equal(rows[2], learned[name][0])
        assert torch.equal(rows[[0, 3]], random[name][[0, 3]])
    assert model.loaded.rows == ("j", "a")
    assert set(model.loaded.partly) == {f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias"}
    assert model.loaded.new == model.loaded.left == ()


def test_as_many_other_classes_get_no_rows_of_strangers(path: Path) -> None:
    """Where shapes fit but names differ, a row is of the class that it was learned for, or of none."""
    learned = stawm.load(path).state_dict()
    names = [*reversed(NAMES)]
    model = stawm.build(tiny(**with_classes(names)).config, pretrained=path, partial=True)
    weight = model.state_dict()[f"{CLASSIFIER}.weight"]
    assert torch.equal(weight, learned[f"{CLASSIFIER}.weight"].flip(0))
    strangers = [*"klmnopqrst"]
    model = stawm.build(tiny(**with_classes(strangers)).config, pretrained=path, partial=True, seed=1)
    assert f"{CLASSIFIER}.weight" in model.loaded.new


def test_a_query_as_wide_as_there_are_classes_has_no_rows_of_classes(tmp_path: Path) -> None:
    stawm.save(shaken(tiny(heads="classification", memory_size=10, class_names=NAMES)), tmp_path / "x.safetensors")
    config = tiny(heads="classification", memory_size=10, class_names=[*"klmnopqrst"]).config
    model = stawm.build(config, pretrained=tmp_path / "x.safetensors", partial=True)
    assert {*model.loaded.new} == {f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias"}


def test_another_head_and_another_memory(path: Path) -> None:
    learned = stawm.load(path).state_dict()
    drawing = stawm.build(tiny(heads="drawing").config, pretrained=path, partial=True)
    assert torch.equal(drawing.get_parameter("loop.what.weight"), learned["loop.what.weight"])
    assert {name.split(".")[0] for name in drawing.loaded.new} == {"heads", "loop"}
    other = stawm.build(tiny(heads="classification", memory="oja").config, pretrained=path, partial=True)
    assert {name for name in other.state_dict() if name.startswith("memory.")} <= {*other.loaded.new}


def test_rates_of_another_rule_are_not_taken_for_its_own(tmp_path: Path) -> None:
    stawm.save(shaken(tiny(heads="classification", memory="oja")), tmp_path / "x.safetensors")
    config = tiny(heads="classification", memory="fast-weights").config
    model = stawm.build(config, pretrained=tmp_path / "x.safetensors", partial=True, seed=0)
    assert torch.equal(
        model.get_parameter("memory.raw_eta"), stawm.build(config, seed=0).get_parameter("memory.raw_eta")
    )
    assert "memory.raw_eta" in model.loaded.left


def test_a_model_that_fits_takes_everything_and_nothing_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = stawm.inspect(path).config
    model = stawm.build(config, pretrained=path, partial=True)
    assert model.loaded.whole
    assert model.loaded.sha256 == stawm.inspect(path).sha256
    assert not caplog.records
    stawm.build(tiny(**with_classes(5)).config, pretrained=path, partial=True)
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert "New, and random: heads.classification" in said.getMessage()
    assert stawm.load(path).loaded.whole


def test_models_with_nothing_in_common(path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing in common"):
        stawm.build("bvae-cifar", pretrained=path, partial=True)


def test_partial_without_weights() -> None:
    for given in ({"partial": True}, {"sha256": "0" * 64}):
        with pytest.raises(InputError, match="give pretrained too"):
            stawm.build("stawm-digits", **given)


@pytest.mark.parametrize("given", ["", "x", "0" * 63, 3, b"0" * 64, "g" * 64])
def test_hashes_that_are_none(path: Path, given: Any, unchecked: None) -> None:
    for call in (stawm.load, lambda p, sha256: stawm.build("stawm-digits", pretrained=p, sha256=sha256)):
        with pytest.raises(InputError, match="64 hexadecimal digits"):
            call(path, sha256=given)


def test_a_file_is_known_by_its_hash(path: Path) -> None:
    import hashlib

    seal, whole = stawm.inspect(path).sha256, hashlib.sha256(path.read_bytes()).hexdigest()
    for known in (seal, whole, whole.upper()):
        assert stawm.load(path, sha256=known).loaded.sha256 == seal
    with pytest.raises(CheckpointError, match=f"its sha256 is {seal}, not {'0' * 64}"):
        stawm.load(path, sha256="0" * 64)


def test_training_starts_from_what_fits(path: Path) -> None:
    changes = {"heads.classification.classes": 3, "class_names": ["a", "x", "b"]}
    config = stawm.inspect(path).config
    plan = make_plan(config, "fast", {"start": path, "partial": True, "cpu": True}, changes)
    run: Any = _make_run(plan)
    assert run.model.loaded.rows == ("a", "b")
    assert plan.note("given")["partial"] is True
    assert "partial" not in make_plan(config, "fast", {"start": path}).note("given")
    with pytest.raises(CheckpointError, match="--partial"):
        _make_run(make_plan(config, "fast", {"start": path, "cpu": True}, changes))
