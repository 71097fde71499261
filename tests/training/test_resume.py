"""Killed at any moment, a run goes on to the same weights, bit by bit, and the same log."""

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.storage.checkpoint import WEIGHTS
from stawm.training import state as states
from stawm.training.report import LOG
from tests.training import workers

STEPS = 30


def result(out: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    lines = [json.loads(line) for line in (out / LOG).read_text().splitlines()]
    timeless = [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]
    return stawm.load(out / WEIGHTS).state_dict(), timeless


def reached(out: Path) -> int:
    newest = states.latest(out / states.FOLDER)
    return 0 if newest is None else int(newest.stem.partition("-")[2])


def kill_after(out: Path, step: int, wait: float) -> None:
    """Start or go on, and kill the process a moment after a step was saved, whatever it is doing then."""
    process = workers.start(workers.train_digits, out, 0.0)
    while reached(out) < step and process.is_alive():
        time.sleep(0.001)
    time.sleep(wait)
    process.kill()
    process.join()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    process = workers.start(workers.train_digits, out, 5.0)
    process.join()
    assert process.exitcode == 0
    return out


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 20))])
def test_killed_at_random_moments_it_goes_on_exactly(tmp_path: Path, unbroken: Path, seed: int):
    draw = random.Random(seed)
    for step in sorted(draw.sample(range(1, STEPS - 1), 3)):
        kill_after(tmp_path, step, draw.uniform(0, 0.03))
    before = reached(tmp_path)
    assert before > 0
    process = workers.start(workers.train_digits, tmp_path, 0.0)
    process.join()
    assert process.exitcode == 0
    (weights, log), (expected, expected_log) = result(tmp_path), result(unbroken)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert log == expected_log
    assert [entry["step"] for entry in log] == [10, 20, 30]
    assert len(list((tmp_path / states.FOLDER).iterdir())) == 1
