"""What holds for every test.

Types and shapes of functions that handle arrays are checked (`tests/typechecking.py`); the hook has to see all imports.
"""

import gc
import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import config as jaxtyping_config
from jaxtyping import install_import_hook

import tests.typechecking
from tests.plugins import install_plugin

__all__ = ["install_plugin"]

install_import_hook(tests.typechecking.CHECKED, f"{tests.typechecking.__name__}.checked")

SLOW_SHARED_MACHINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "ci", max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW_SHARED_MACHINE
)
settings.register_profile("long", max_examples=500, deadline=None, suppress_health_check=SLOW_SHARED_MACHINE)
settings.load_profile("ci")

torch.set_num_threads(1)  # the tests are many and small: threads that wait for each other cost more than they give


gc.disable()  # what is imported and collected stays: searching it for garbage, again and again, is in vain


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(50_000, 20, 10)  # an export makes millions of objects: with 700 a seventh of its time is searching
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_gpu = pytest.mark.skip(reason="needs a CUDA device")
    no_data = pytest.mark.skip(reason="needs STAWM_DATA, a folder with real data sets")
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(no_gpu)
        if item.get_closest_marker("data") and not os.environ.get("STAWM_DATA"):
            item.add_marker(no_data)


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (the golden cases and scikit-learn draw from the legacy generator)
    torch.manual_seed(0)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as users do, without jaxtyping's checks: for what a public call says of bad input."""
    monkeypatch.setattr(jaxtyping_config, "jaxtyping_disable", True)


@pytest.fixture(scope="module")
def few_levels() -> Iterator[None]:
    """A pyramid and a thumbnail for images below 64 pixels, whose graphs are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stawm.core.pyramid.LEVELS", 2)
        patch.setattr("stawm.core.thumbnail.HALVINGS", 5)
        yield
