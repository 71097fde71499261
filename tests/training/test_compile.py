"""A compiled model learns the same, and is compiled once: also for a last batch of another size."""

import json
from pathlib import Path

import pytest

from tests.training import workers


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.long)])
def test_a_compiled_model_learns_the_same_in_one_graph(tmp_path: Path, backend: str):
    """In a process of its own: the checks of types and shapes cannot be compiled."""
    process = workers.start(workers.train_compiled, tmp_path, backend)
    process.join()
    assert process.exitcode == 0
    found = json.loads((tmp_path / "found.json").read_text())
    eager, compiled = found["losses"]
    assert compiled == pytest.approx(eager, rel=1e-5)
    assert found["graphs"] == 1
