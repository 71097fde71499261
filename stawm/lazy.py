"""What a package offers, imported when it is first used."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from stawm.errors import MissingPackageError

EXTRAS = {
    "accelerate": "train",
    "huggingface_hub": "hub",
    "matplotlib": "train",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "ray": "ray",
    "tensorboard": "train",
    "tifffile": "large",
    "zarr": "large",
}
"""Which extra brings a package that may lack."""
NEEDED = {"PIL": "pillow", "sklearn": "scikit-learn"} | {
    name: name
    for name in (*("torch", "torchvision", "timm", "numpy", "einops", "jaxtyping", "safetensors", "rich", "psutil"),)
}
"""What stawm is installed with, and by which name pip knows it."""


def attach(
    package: str, homes: Mapping[str, str], modules: Mapping[str, str] | None = None, present: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return a package's ``__getattr__``, ``__dir__`` and ``__all__``.

    Args:
        package: The package's name.
        homes: Which module each name is taken from.
        modules: Which module each name stands for.
        present: The names that are there already.
    """
    modules = modules or {}
    names = sorted([*homes, *modules, *present])

    def __getattr__(name: str) -> Any:
        if name in modules:
            return _import(modules[name])
        if name in homes:
            return getattr(_import(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__, lambda: names, names


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise explained(error) from error


def explained(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return what to raise where a package lacks: which extra brings it, or the error itself."""
    package = (error.name or "").partition(".")[0]
    if isinstance(error, MissingPackageError) or package not in {**EXTRAS, **NEEDED}:
        return error
    wanted = f"'stawm[{EXTRAS[package]}]'" if package in EXTRAS else NEEDED[package]
    return MissingPackageError(f"this needs {package}: pip install {wanted}", name=error.name)
