"""What the environment asks of Accelerate decides nothing, or is refused by name."""

import re
from collections.abc import Iterator
from pathlib import Path

import accelerate
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState

from stawm.errors import InputError, StawmError
from stawm.training import data, processes, train
from stawm.training.processes import HARMLESS, KEPT, ignored_settings, in_first, make_accelerator
from tests.training.tiny import BRIEF, LEAST, weights

SOURCES = [Path(accelerate.__file__).parent / name for name in ("accelerator.py", "state.py", "utils/dataclasses.py")]
PLUGINS = ("DYNAMO_BACKEND", "DYNAMO_MODE", "DYNAMO_USE_FULLGRAPH", "DYNAMO_USE_DYNAMIC")
KNOWN = {name for path in SOURCES for name in re.findall(r"ACCELERATE_[A-Z0-9_]*[A-Z0-9]", path.read_text())}
KNOWN |= {f"ACCELERATE_{name}" for name in PLUGINS}
WAYS = sorted(name for name in KNOWN if "_USE_" in name and name not in KEPT | HARMLESS and "DYNAMO" not in name)
VALUES = {
    "ACCELERATE_MIXED_PRECISION": "bf16",
    "ACCELERATE_DYNAMO_BACKEND": "eager",
    "ACCELERATE_DYNAMO_MODE": "default",
}


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Accelerate keeps what it was set up with for the whole process."""
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    yield
    AcceleratorState._reset_state(True)
    GradientState._reset_state()


def seen() -> tuple[object, ...]:
    found = make_accelerator(True)
    plugin = found.state.dynamo_plugin
    return (
        found.gradient_accumulation_steps,
        found.mixed_precision,
        found.scaler,
        found.native_amp,
        plugin.backend.value,
        found.distributed_type.value,
        found.device,
    )


def test_there_are_variables_to_hide():
    assert {
        "ACCELERATE_MIXED_PRECISION",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
        "ACCELERATE_DYNAMO_BACKEND",
    } <= KNOWN
    assert {"ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_MEGATRON_LM"} <= set(WAYS)


@pytest.mark.parametrize("name", sorted(KNOWN - KEPT - set(WAYS)))
def test_a_variable_of_accelerates_changes_nothing(monkeypatch: pytest.MonkeyPatch, name: str):
    plain = seen()
    _reset()
    monkeypatch.setenv(name, VALUES.get(name, "4"))
    assert seen() == plain
    assert processes.os.environ[name] == VALUES.get(name, "4"), "it is there again"
    assert ignored_settings() == ([f"{name}={VALUES.get(name, '4')}"] if VALUES.get(name) != "default" else [])


def _reset() -> None:
    AcceleratorState._reset_state(True)
    GradientState._reset_state()


@pytest.mark.parametrize("name", WAYS)
def test_another_way_of_training_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(name, "true")
    with pytest.raises(InputError, match=f"asks for more: {name}"):
        make_accelerator(True)
    monkeypatch.setenv(name, "false")
    make_accelerator(True)


def test_what_the_launcher_sets_where_nothing_was_asked_is_not_told(monkeypatch: pytest.MonkeyPatch):
    for name, value in (("MIXED_PRECISION", "no"), ("DYNAMO_BACKEND", "no"), ("GRADIENT_ACCUMULATION_STEPS", "1")):
        monkeypatch.setenv(f"ACCELERATE_{name}", value)
    assert ignored_settings() == []


def test_a_run_is_the_same_whatever_the_environment_says(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    plain = train("stawm-digits", data=few, out=tmp_path / "a", **LEAST, **BRIEF)
    _reset()
    for name in ("GRADIENT_ACCUMULATION_STEPS", "MIXED_PRECISION", "DYNAMO_BACKEND"):
        monkeypatch.setenv(f"ACCELERATE_{name}", VALUES.get(f"ACCELERATE_{name}", "4"))
    other = train("stawm-digits", data=few, out=tmp_path / "b", **LEAST, **{**BRIEF, "quiet": False})
    assert torch.equal(weights(plain.model), weights(other.model))
    assert "ACCELERATE_GRADIENT_ACCUMULATION_STEPS=4 has no effect" in capsys.readouterr().err


def test_a_process_that_uses_accelerate_otherwise_is_told():
    accelerate.Accelerator(cpu=True, mixed_precision="bf16")
    with pytest.raises(InputError, match=r"Accelerate is set up otherwise in this process .*in a process of its own"):
        make_accelerator(True)


def test_what_the_first_process_raises_is_raised():
    def fail() -> None:
        raise StawmError("no")

    with pytest.raises(StawmError, match="no"):
        in_first(make_accelerator(True), fail)
