"""What `import stawm` offers, and what it costs."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import stawm

PUBLIC = {
    *("build", "build_component", "config", "list_names", "describe", "cite", "register", "save", "load", "inspect"),
    *("diagnose", "environment", "explain", "explore"),
    *("Config", "Noise", "Output", "errors", "export", "hub", "interop", "runtime", "training", "viz", "__version__"),
}


def test_the_public_names() -> None:
    assert set(stawm.__all__) == PUBLIC
    assert stawm.__all__ == sorted(stawm.__all__)
    assert dir(stawm) == stawm.__all__


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(stawm, name)
    assert inspect.getdoc(found)
    assert getattr(stawm, name) is found
    if callable(found):
        assert found.__name__ == name
        assert found.__module__ == stawm._HOMES[name]


def test_checkers_see_the_same_names() -> None:
    """What is imported for type checkers only is what is imported when it is asked for."""
    tree = ast.parse(Path(stawm.__file__).read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {(a.name, node.module) for node in guarded.body if isinstance(node, ast.ImportFrom) for a in node.names}
    modules = {(name, module.rpartition(".")[0]) for name, module in stawm._MODULES.items()}
    assert seen == {*stawm._HOMES.items()} | modules


def test_a_name_that_is_not_there() -> None:
    assert not hasattr(stawm, "bulid")
    with pytest.raises(AttributeError, match="module 'stawm' has no attribute 'bulid'"):
        stawm.bulid  # noqa: B018


def imported_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has after some code."""
    asked = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", asked], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_listing_names_imports_no_torch() -> None:
    kinds = ("preset", "memory", "backbone", "canvas", "locator", "head")
    loaded = imported_by(f"import stawm\nfor kind in {kinds}: assert stawm.list_names(kind)\nstawm.__version__")
    assert "stawm.registry" in loaded
    assert not loaded & {"torch", "timm", "numpy", "safetensors", "onnx", "onnxruntime", "jaxtyping"}


def test_building_a_conv_model_imports_no_timm() -> None:
    loaded = imported_by("import stawm\nstawm.build('stawm-digits')")
    assert "torch" in loaded
    assert not loaded & {"timm", "onnx", "onnxruntime", "accelerate", "matplotlib", "sklearn"}
