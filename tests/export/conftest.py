"""Exported files that several tests share."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stawm.export import to_onnx
from stawm.export.file.proto import opset_of
from stawm.export.graphs.fields import available
from stawm.export.write import verifying
from stawm.storage.hashing import weights_hash
from tests.shared import once
from tests.small import shaken, tiny


@pytest.fixture(scope="session", autouse=True)
def _models_are_exported_anew_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Verification exports a model again, which takes seconds: once for each model and plan is enough here."""
    real, known = verifying.export_anew, {}

    def export_anew(files: Any, model: Any) -> Any:
        info = next(iter(files.values())).info
        key = (
            weights_hash(model),
            str(model.config),
            info.plan,
            info.precision,
            str(info.ranges),
            opset_of(next(iter(files.values())).proto),
        )
        if key not in known:
            name = f"anew-{hashlib.sha256(repr(key).encode()).hexdigest()}"
            known[key] = once(tmp_path_factory, name, lambda folder: real(files, model))
        return known[key]

    verifying.export_anew = export_anew
    yield
    verifying.export_anew = real


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

    def make(folder: Path) -> Path:
        to_onnx(classifier, folder / "m.onnx", outputs=available(classifier))
        return folder / "m.onnx"

    return once(tmp_path_factory, "rollout", make)


@pytest.fixture(scope="session")
def steps(classifier: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier, glimpse by glimpse."""

    def make(folder: Path) -> Path:
        to_onnx(classifier, folder / "m", graph="step", outputs=["logits", "glimpse_logits", "pose"])
        return folder / "m"

    return once(tmp_path_factory, "steps", make)


@pytest.fixture(scope="session")
def painting(painter: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The painter with every output, and random numbers put in."""

    def make(folder: Path) -> Path:
        to_onnx(painter, folder / "m.onnx", outputs=available(painter), sample=True)
        return folder / "m.onnx"

    return once(tmp_path_factory, "painting", make)
