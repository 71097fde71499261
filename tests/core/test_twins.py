"""Every function of locators, canvases and latents has its naive twin, of the same name and signature."""

import inspect
from importlib import import_module
from types import ModuleType

import pytest


def public_functions(module: ModuleType) -> dict[str, str]:
    found = inspect.getmembers(module, inspect.isfunction)
    return {n: str(inspect.signature(f)) for n, f in found if f.__module__ == module.__name__ and not n.startswith("_")}


@pytest.mark.parametrize("name", ["affine", "canvas", "crop", "evidence", "filterbank", "latent", "draw"])
def test_twins_have_the_same_functions(name: str):
    fast, naive = (import_module(f"stawm.{part}.{name}") for part in ("core", "core.naive"))
    assert public_functions(fast) == public_functions(naive)
    assert public_functions(fast)
