"""Exported files that several tests share."""

from pathlib import Path
from typing import Any

import pytest

from stawm.export import to_onnx
from stawm.export.graphs.fields import available
from tests.small import shaken, tiny


@pytest.fixture(scope="session")
def classifier() -> Any:
    """A model that classifies, and looks at each image elsewhere."""
    return shaken(tiny(heads="classification")).eval()


@pytest.fixture(scope="session")
def painter() -> Any:
    """A model that classifies and draws with masks."""
    return shaken(tiny(canvas="bernoulli")).eval()


@pytest.fixture(scope="session")
def rollout(classifier: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier with every output that it can have."""
    path = tmp_path_factory.mktemp("rollout") / "m.onnx"
    to_onnx(classifier, path, outputs=available(classifier))
    return path


@pytest.fixture(scope="session")
def steps(classifier: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier, glimpse by glimpse."""
    path = tmp_path_factory.mktemp("steps") / "m"
    to_onnx(classifier, path, graph="step", outputs=["logits", "glimpse_logits", "pose"])
    return path


@pytest.fixture(scope="session")
def painting(painter: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The painter with every output, and random numbers put in."""
    path = tmp_path_factory.mktemp("painting") / "m.onnx"
    to_onnx(painter, path, outputs=available(painter), sample=True)
    return path
