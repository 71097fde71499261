"""Whatever goes wrong around a run, it ends as if nothing had, or says what is kept and goes on to the same."""

import json
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import StawmError
from stawm.storage.checkpoint import WEIGHTS
from stawm.training import data, train
from stawm.training.folder import LOG
from stawm.training.run import Run
from tests.training import faults, workers
from tests.training.test_resume import result, unbroken
from tests.training.tiny import BRIEF, LEAST, weights

__all__ = ["unbroken"]

OPTIONS: dict[str, Any] = {**LEAST, **BRIEF, "save_every": 0}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, few: data.Splits) -> torch.Tensor:
    """The weights of a run of which nothing went wrong."""
    return weights(train("stawm-digits", data=few, out=tmp_path_factory.mktemp("whole"), **OPTIONS).model)


def test_a_nuisance_changes_nothing(
    tmp_path: Path, few: data.Splits, expected: torch.Tensor, nuisance: Callable[[], AbstractContextManager[None]]
):
    with nuisance():
        done = train("stawm-digits", data=few, out=tmp_path, **OPTIONS)
    assert torch.equal(weights(done.model), expected)
    assert torch.equal(weights(stawm.load(tmp_path / WEIGHTS)), expected)
    assert train("stawm-digits", data=few, out=tmp_path, **OPTIONS).trained is False


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.long), 7])
def test_a_disk_that_fails_stops_a_run_that_then_goes_on_exactly(
    tmp_path: Path,
    few: data.Splits,
    expected: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
    failing_disk: Callable[[Path], AbstractContextManager[None]],
    step: int,
):
    one_step, broken = Run.one_step, failing_disk(tmp_path)

    def breaking(self: Run, *args: Any) -> Any:
        if self.step == step:
            broken.__enter__()
        return one_step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "one_step", breaking)
        try:
            with pytest.raises(StawmError, match=rf"step-00000000{step}\.pt is kept.*start the same run again"):
                train("stawm-digits", data=few, out=tmp_path, **OPTIONS)
        finally:
            broken.__exit__(None, None, None)
    again = train("stawm-digits", data=few, out=tmp_path, **OPTIONS)
    assert torch.equal(weights(again.model), expected)
    assert [json.loads(line)["epoch"] for line in (tmp_path / LOG).read_text().splitlines()] == [1, 2]


def killed(out: Path, point: str, count: int, after: bool) -> None:
    process = workers.start(workers.train_killed, out, point, count, after)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)


QUICK = [("rename", 5, False), ("flush", 4, True)]
EVERY = [(point, count, after) for point in faults.POINTS for count in range(1, 12, 2) for after in (False, True)]


@pytest.mark.parametrize(
    ("point", "count", "after"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.long) for case in EVERY)]
)
def test_killed_at_any_point_it_goes_on_exactly(tmp_path: Path, unbroken: Path, point: str, count: int, after: bool):
    killed(tmp_path, point, count, after)
    process = workers.start(workers.train_digits, tmp_path, 0.0)
    process.join()
    assert process.exitcode == 0
    (found, log), (whole, whole_log) = result(tmp_path), result(unbroken)
    assert all(torch.equal(found[name], whole[name]) for name in whole)
    assert log == whole_log
    left = [path for path in tmp_path.rglob(".*") if path.name != ".run.lock"]
    assert left == [], "what was half-written is gone"
    assert (tmp_path / WEIGHTS).stat().st_size > 0
