"""A compiled model gives and learns what an eager one does, in one graph for batches of every size."""

import ast
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import stawm
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


@pytest.mark.parametrize("room", ["core", "nn", "heads", "models"])
def test_functions_in_functions_make_no_unions(room: str) -> None:
    """The annotations of such a function are computed while a model is traced, and PyTorch 2.9 traces no `X | Y`."""
    found = []
    for path in (Path(stawm.__file__).parent / room).rglob("*.py"):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        inner = {id(g): g for f in functions for g in ast.walk(f) if isinstance(g, ast.FunctionDef) and g is not f}
        for function in inner.values():
            given = [*ast.walk(function.args), *(ast.walk(function.returns) if function.returns else ())]
            found += [f"{path.name}: {function.name}"] * any(isinstance(node, ast.BinOp) for node in given)
    assert found == [], 'write the annotation as a string: "X | Y"'
