"""A place for a file, and the bytes of one."""

from pathlib import Path

import pytest

import stawm
from tests.small import tiny


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small model's file."""
    path = tmp_path_factory.mktemp("saved") / "x"
    stawm.save(tiny(heads="classification"), path, provenance={"seed": 3})
    return path.read_bytes()
