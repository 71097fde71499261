"""A run that ends before its end says so in a sentence: interrupts, memory, compilers, packages, pictures, numbers."""

import io
import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.cli import main
from stawm.errors import StawmError
from stawm.storage.checkpoint import WEIGHTS
from stawm.training import DivergedError, data, endings, loop, train, trainer
from stawm.training import state as states
from stawm.training.divergence import CURE, CURE_OF_LATENT, check
from stawm.training.endings import Interrupted, compiling, say
from stawm.training.evaluation import evaluate
from stawm.training.folder import LAST_GOOD, LOG
from stawm.training.report import Lines, make_display
from stawm.training.run import Run
from tests.training.tiny import BRIEF, LEAST, weights

LOUD = {**BRIEF, "quiet": False}


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Any) -> None:
    """Do something before a step."""
    one_step = Run.one_step

    def changed(self: Run, *args: Any) -> Any:
        if self.step == step:
            act(self)
        return one_step(self, *args)

    monkeypatch.setattr(Run, "one_step", changed)


# Interrupts


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
@pytest.mark.parametrize(
    ("step", "said"),
    [
        (3, "No state was saved yet: the same command starts it anew"),
        (7, r"step-000000005\.pt is kept: the same command goes on from there"),
    ],
)
def test_a_signal_says_where_and_how_it_goes_on(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, number: int, word: str, step: int, said: str
):
    before = signal.getsignal(signal.SIGTERM)
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda _: os.kill(os.getpid(), number))
        with pytest.raises(Interrupted, match=rf"^{word}\. .*{said}") as stopped:
            train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    signal.signal(signal.SIGINT, ignored)
    assert stopped.value.number == number
    assert signal.getsignal(signal.SIGTERM) is before
    assert train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF).trained


def test_the_command_tells_it_and_ends_with_the_signals_status(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(trainer, "_load", lambda *_: few)
    at_step(monkeypatch, 1, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    fields = ["memory_size=4", "hidden_size=6", "glimpses=2", "context.layers=3@3/2", "backbone.layers=2@3/1 3@3/2"]
    command = ["train", "stawm-digits", "--data", "digits", "--out", str(tmp_path), "--cpu", "--quiet", *fields]
    assert main(command) == 128 + signal.SIGTERM
    assert capsys.readouterr().err.startswith("stawm: terminated. No state was saved yet")


def test_a_signal_that_somebody_treats_already_is_left_to_them(tmp_path: Path, few: data.Splits):
    theirs, before = [], signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: theirs.append(1))
    try:
        with endings.telling(tmp_path, alone=True):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert theirs == [1]


# What a run stands on


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no room"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to"),
    ],
)
def test_no_memory_is_said_with_what_helps(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(_: Run) -> None:
        raise error

    at_step(monkeypatch, 7, fail)
    with pytest.raises(StawmError, match=r"not enough memory .*smaller recipe\.batch.*step-000000005\.pt is kept"):
        train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)


def test_other_errors_are_left_as_they_are(tmp_path: Path):
    with pytest.raises(RuntimeError, match="a bug"), endings.telling(tmp_path, alone=True):
        raise RuntimeError("a bug")


def test_no_compiler_is_said_with_what_helps():
    def fail(*_: Any) -> Any:
        raise RuntimeError("No C++ compiler")

    broken = torch.compile(lambda x: x + 1, backend=fail)
    with pytest.raises(StawmError, match=r"torch\.compile cannot .*No C\+\+ compiler.*without --compile"), compiling():
        broken(torch.zeros(2))
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["tensorboard", "matplotlib", "accelerate"])
def test_a_package_that_is_missing_is_named_before_work(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr(trainer, "_load", lambda *_: pytest.fail("the work began"))
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StawmError, match=rf"{name}.*pip install 'stawm\[train\]'"):
        train("stawm-digits", data="digits", out=tmp_path, **LEAST, **{**BRIEF, "pictures": 1})


# Pictures


@pytest.mark.parametrize("channels", [pytest.param(2, marks=pytest.mark.long), 4])
def test_no_run_dies_of_a_picture(tmp_path: Path, few: data.Splits, capsys: pytest.CaptureFixture[str], channels: int):
    parts = [data.ImageSet(p.images.repeat(1, channels, 1, 1), p.labels, p.class_names) for p in few]
    form = {"image": [channels, 16, 16], "mean": [0.5] * channels, "std": [0.3] * channels}
    done = train("stawm-digits", data=data.Splits(*parts), out=tmp_path, **form, **LEAST, **{**LOUD, "pictures": 1})
    assert len(done.history) == 2
    said = capsys.readouterr().err
    assert said.count("goes on without") <= 1


def test_a_picture_that_cannot_be_made_is_said_once(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(*_: Any) -> Any:
        raise ValueError("Expected token")

    monkeypatch.setattr("stawm.training.report.draw_pictures", fail)
    train("stawm-digits", data=few, out=tmp_path, **LEAST, **{**BRIEF, "pictures": 1})
    assert capsys.readouterr().err.count("which goes on without them: Expected token") == 1


# What is written while it runs


def test_where_there_is_no_terminal_a_line_an_epoch_is_written(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    train("stawm-digits", data=few, out=tmp_path, **LEAST, **LOUD)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("classification" in line and "error" in line and line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("terminal", "term", "lines"), [(True, "xterm", False), (True, "dumb", True), (False, "xterm", True)]
)
def test_a_bar_is_for_terminals_that_move(monkeypatch: pytest.MonkeyPatch, terminal: bool, term: str, lines: bool):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert isinstance(make_display(2, 5), Lines) == lines
    assert not isinstance(make_display(2, 5, quiet=True), Lines)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "latin-1"])
def test_no_console_ends_a_run(monkeypatch: pytest.MonkeyPatch, encoding: str):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding=encoding))
    say("η → é 数")
    assert raw.getvalue().endswith(b"\n")
    monkeypatch.setattr(sys, "stderr", None)
    say("without a console")


# Numbers that are none


def poison(model: torch.nn.Module) -> None:
    next(model.parameters()).data.fill_(torch.nan)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_last_step_that_leaves_no_numbers_is_a_divergence(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, average: float
):
    """After the numbers of the step were looked at, its update may still overflow."""
    one_step = Run.one_step

    def changed(self: Run, *args: Any) -> Any:
        found = one_step(self, *args)
        if self.step == 10:
            poison(self.model)
        return found

    monkeypatch.setattr(Run, "one_step", changed)
    with pytest.raises(DivergedError, match=r"diverged .*(10|epoch 2).*The weights of step 5 are kept in .*last-good"):
        train("stawm-digits", data=few, out=tmp_path, **LEAST, **{**BRIEF, "recipe.average": average})
    assert torch.isfinite(weights(stawm.load(tmp_path / LAST_GOOD))).all()
    assert not (tmp_path / WEIGHTS).exists()
    for line in (tmp_path / LOG).read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    state = states.load(tmp_path / "state")
    assert state is not None
    assert state["run"]["step"] == 5


@pytest.mark.parametrize("place", [loop.Run, None], ids=["after an epoch", "at the end"])
def test_measurements_that_are_no_numbers_are_a_divergence(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, place: Any
):
    def broken(*args: Any, **kwargs: Any) -> Any:
        return __import__("dataclasses").replace(evaluate(*args, **kwargs), unanswered=3)

    if place is None:
        monkeypatch.setattr(trainer, "evaluate", broken)
    else:
        monkeypatch.setattr(Run, "measure", lambda self, images: broken(self.result, images).as_dict())
    with pytest.raises(DivergedError, match=r"what was measured is not finite \(unanswered is 3\)"):
        train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    assert not (tmp_path / WEIGHTS).exists()


def test_the_advice_fits_what_blew_up():
    def advice(losses: dict[str, float], driven: float = 3.0, norm: float = 1.0) -> str:
        with pytest.raises(DivergedError) as stopped:
            check(losses, {"gradient_norm": norm, "largest_input": driven}, 2.0, 7)
        return stopped.value.cure

    inf, nan = math.inf, math.nan
    assert advice({"kl": inf, "reconstruction": nan, "total": nan}) == CURE_OF_LATENT
    assert advice({"kl": inf, "classification": 2.0, "total": inf}) == CURE_OF_LATENT
    assert advice({"kl": 9e3, "reconstruction": 20.0, "total": 9.02e3}) == CURE_OF_LATENT
    assert advice({"kl": 20.0, "reconstruction": 9e3, "total": 9.02e3}) == CURE
    assert advice({"kl": nan, "classification": nan, "total": nan}, driven=nan) == CURE
    assert advice({"kl": nan, "classification": nan, "total": nan}, driven=1e9) == CURE
    assert advice({"kl": 2.0, "reconstruction": 1.0, "total": 3.0}, norm=nan) == CURE


def test_a_latent_that_runs_away_is_named(tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch):
    def run_away(run: Run) -> None:
        run.model.heads["drawing"].sketcher.logvar.bias.data.fill_(200.0)

    at_step(monkeypatch, 6, run_away)
    drawing = {**LEAST, "heads": "drawing", "class_names": [], "mean": [0.0], "std": [1.0]}
    with pytest.raises(DivergedError, match=r"kl is inf.*Its KL divergence is what grew"):
        train("stawm-digits", data=few, out=tmp_path, **drawing, **BRIEF)
