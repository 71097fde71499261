"""What the tests of training share."""

import pytest

from stawm.training import data


@pytest.fixture(scope="session")
def few() -> data.Splits:
    """A few of the digits, to learn from and to test with."""
    train, test = data.load("digits")
    return data.Splits(train.take(slice(0, 72)), test.take(slice(0, 40)))
