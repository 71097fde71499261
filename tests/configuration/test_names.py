"""What a model and its classes may be called: never a path, never more than a line."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm.configuration.names import as_file_name, is_class_name, is_model_name
from stawm.errors import InputError

NO_NAMES = [
    *("", " ", ".", "..", "../x", "/abs", "a/b", "a\\b", "..\\x", "~", "-x", ".hidden", "x.", "x ", " x", "a\nb"),
    *("a\0b", "a\x1b[2J", "C:x", "a:b", "nul", "CON.x", "com1", "a\u202eb", "a\u2028b", "\ud800", "x" * 101, "a*b"),
]


@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_what_no_model_is_called(name: str) -> None:
    assert not is_model_name(name)
    with pytest.raises(InputError, match="cannot name a file or a folder"):
        as_file_name(name)


@pytest.mark.parametrize("name", ["x", "stawm-mnist-8.fast", "My model 2", "modèle", "数字", "a_b", "_x_", "v1.2+cpu"])
def test_what_a_model_may_be_called(name: str) -> None:
    assert as_file_name(name) == name


@pytest.mark.parametrize("name", stawm.list_names("preset", ("*", "*.*")))
def test_every_preset_has_a_legal_name(name: str) -> None:
    assert is_model_name(name)


@given(st.text() | st.text(alphabet="./\\a -_:~\n\0"))
def test_a_legal_name_is_one_step_down_and_no_more(name: str) -> None:
    if is_model_name(name):
        for folder in (Path("/models"), Path("models")):
            assert (folder / name).parent == folder
            assert (folder / name).name == name
        assert name.splitlines() == [name]
        name.encode()


@pytest.mark.parametrize(
    "name", ["", " ", "a\nb", "a\rb", "a\n", "a\u2028b", "a\x85b", "\x0b", "\ud800", None, 3, b"x"]
)
def test_what_no_class_is_called(name: Any, unchecked: None) -> None:
    assert not is_class_name(name)


@pytest.mark.parametrize("name", ["0", "great white shark", "$5-$10", "猫", "[red]", "a/b", "שלום", "🦈"])
def test_what_a_class_may_be_called(name: str) -> None:
    assert is_class_name(name)


@given(st.text())
def test_the_name_of_a_class_is_one_line(name: str) -> None:
    if is_class_name(name):
        assert len(f"{name}\n".splitlines()) == 1
        name.encode()
