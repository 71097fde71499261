"""The tests run under a checker of shapes, which finds a wrong one."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from stawm.core import affine
from stawm.nn.memories.mean import Mean
from tests.typechecking import CHECKED, has_shape

ARRAY = Float[Tensor, "b n"]


@pytest.mark.parametrize("annotation", [ARRAY, ARRAY | None, Sequence[ARRAY], dict[str, tuple[ARRAY, ...]]])
def test_an_array_is_found_wherever_it_stands(annotation: object) -> None:
    assert has_shape(annotation)


@pytest.mark.parametrize("annotation", [int, str | None, Sequence[int], dict[str, tuple[float, ...]], Any])
def test_nothing_else_is_an_array(annotation: object) -> None:
    assert not has_shape(annotation)


@pytest.mark.parametrize("name", CHECKED)
def test_what_is_checked_is_there(name: str) -> None:
    assert find_spec(name)


def test_a_wrong_shape_given_is_found() -> None:
    with pytest.raises(TypeCheckError, match="checking the parameters of stawm"):
        affine.invert(torch.zeros(2, 5))


def test_a_wrong_shape_returned_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Mean(memory_size=4)
    monkeypatch.setattr(memory, "_read", lambda state, q: q[:, :-1])
    with pytest.raises(TypeCheckError, match="checking the return value of stawm"):
        memory.read(memory.init_state(2), torch.zeros(2, 4))
