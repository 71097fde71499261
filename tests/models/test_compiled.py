"""A compiled model gives and learns what an eager one does, in one graph for batches of every size."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.models.compiling import MODELS, found_of


@pytest.mark.parametrize(
    ("names", "backend"),
    [(["both heads"], "aot_eager"), pytest.param(list(MODELS), "inductor", marks=pytest.mark.long)],
)
def test_a_compiled_model_is_the_same(names: list[str], backend: str) -> None:
    """In float64, where products that are added up in another order move the last digits."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        found = pool.submit(found_of, names, backend).result()
    assert list(found) == names
    for name, (off, graphs) in found.items():
        assert off <= 1e-10, name
        assert graphs == 1, name
