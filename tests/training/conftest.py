"""What the tests of training share."""

import errno
from typing import Any

import pytest

from stawm.training import data
from tests.training import faults


@pytest.fixture(scope="session")
def few() -> data.Splits:
    """A few of the digits, to learn from and to test with."""
    train, test = data.load("digits")
    return data.Splits(train.take(slice(0, 72)), test.take(slice(0, 40)))


@pytest.fixture(params=["interrupted_calls", "slow_disk", "clock_backwards"])
def nuisance(request: pytest.FixtureRequest) -> Any:
    """Something around a run that must not change it: a function that gives its context."""
    return getattr(faults, request.param)


@pytest.fixture(params=faults.DISKS, ids=errno.errorcode.__getitem__)
def failing_disk(request: pytest.FixtureRequest) -> Any:
    """A disk that writes no more: a function that gives the context for a folder."""
    return lambda folder: faults.no_writing(folder, request.param)
