"""Runs of several seeds: each is the run of its seed alone, and together they have a mean and a deviation."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch

from stawm.cli import main
from stawm.errors import ConfigError
from stawm.training import RunOptions, data, train, train_seeds, trainer
from stawm.training.run import Run
from tests.training.tiny import BRIEF, LEAST, weights

OPTIONS = {**LEAST, **BRIEF, "recipe.epochs": 1}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeds")


def test_each_is_the_run_of_its_seed_and_all_have_figures(out: Path, tmp_path: Path, few: data.Splits):
    found = train_seeds("stawm-digits", data=few, out=out, seeds=(4, 1), **OPTIONS)
    assert [path.name for path in sorted(out.iterdir())] == ["seed-1", "seed-4"]
    alone = train("stawm-digits", data=few, out=tmp_path, seed=4, **OPTIONS)
    assert torch.equal(weights(found.results[4].model), weights(alone.model))
    errors = [found.results[seed].evaluation.error for seed in (4, 1)]
    mean, deviation, each = found.figures["error"]
    assert each == tuple(errors)
    assert mean == pytest.approx(sum(errors) / 2)
    assert deviation == pytest.approx(abs(errors[0] - errors[1]) / 2**0.5)
    assert set(found.figures) == {"error", "nll", "calibration_error"}
    assert "images" not in found.figures
    assert f"error {mean:.2%} +- {deviation:.2%} ({errors[0]:.2%}, {errors[1]:.2%})" in str(found)
    assert str(found).isascii()
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said["seeds"] == [4, 1]
    assert said["figures"]["nll"]["deviation"] == statistics.stdev(found.figures["nll"].each)


def test_finished_runs_are_read_and_others_made(
    out: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    made, one_step = [], Run.one_step
    monkeypatch.setattr(Run, "one_step", lambda self, *args: made.append(self.seed) or one_step(self, *args))
    found = train_seeds("stawm-digits", data=few, out=out, seeds=[1, 2], **{**OPTIONS, "quiet": False})
    assert set(made) == {2}
    assert [result.trained for result in found.results.values()] == [False, True]
    assert "seed 2 in " in capsys.readouterr().err


def test_a_single_seed_has_no_deviation(out: Path, few: data.Splits):
    found = train_seeds(
        "stawm-digits",
        data=few,
        out=out,
        seeds=[1],
        options=RunOptions(cpu=True, quiet=True, pictures=0),
        **LEAST,
        **{"recipe.epochs": 1, "recipe.batch": 16},
    )
    assert found.figures["error"].deviation is None
    assert "+-" not in str(found)


@pytest.mark.parametrize(
    "given",
    [
        {"seeds": []},
        {"seeds": [1, 1]},
        {"seeds": [0], "seed": 3},
        {"seeds": [-1]},
        {"seeds": [0], "options": {"seed": 3}},
        {"seeds": [0, 2**32]},
        {"seeds": [0], "options": RunOptions(seed=3)},
        {"seeds": [0, 1], "glimpses": 0},
    ],
)
def test_what_is_not_legal_is_told_before_the_first_run(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, given: Any
):
    monkeypatch.setattr(trainer, "_load", lambda *_: pytest.fail("the work began"))
    with pytest.raises(ConfigError):
        train_seeds("stawm-digits", data=few, out=tmp_path, **given)
    assert not list(tmp_path.iterdir())


def test_the_command_line_trains_seeds(
    out: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(trainer, "_load", lambda *_: few)
    fields = ["memory_size=4", "hidden_size=6", "glimpses=2", "context.layers=3@3/2", "backbone.layers=2@3/1 3@3/2"]
    command = ["train", "stawm-digits", "--data", "digits", "--out", str(out), "--cpu", "--pictures", "0", *fields]
    command += ["recipe.epochs=1", "recipe.batch=16"]
    assert main([*command, "--seeds", "1,2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == [1, 2]
    with pytest.raises(SystemExit):
        main([*command, "--seeds", "1;2"])
    assert "must be integers with commas between them; got '1;2'" in capsys.readouterr().err
    assert main([*command, "--seeds", "1,2", "--seed", "3"]) == 1
    assert "seed is given beside seeds" in capsys.readouterr().err
