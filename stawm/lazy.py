"""What a package offers, imported when it is first used."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


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
            return import_module(modules[name])
        if name in homes:
            return getattr(import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__, lambda: names, names
