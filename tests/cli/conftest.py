"""What tests of several commands share."""

from collections.abc import Callable
from typing import Any

import pytest

import stawm
from stawm.storage import pretrained
from tests.cli.hearing import Said


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Replace a public function by one that notes what it is called with."""

    def listen(module: Any, name: str, gives: Any = None) -> dict[str, Any]:
        calls: dict[str, Any] = {}

        def noted(*args: Any, **kwargs: Any) -> Any:
            calls.update(kwargs, args=args)
            return gives(*args, **kwargs) if callable(gives) else gives if gives is not None else Said(done=True)

        monkeypatch.setattr(module, name, noted)
        return calls

    return listen


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small model, and a few images for it."""
    model = stawm.build("stawm-digits", seed=0, memory_size=8, hidden_size=16, glimpses=2).eval()
    monkeypatch.setattr(pretrained, "find_model", lambda given: model)
    return model
