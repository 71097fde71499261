"""STAWM: recurrent visual attention with a memory that is written while an image is looked at.

What the package offers is imported when it is first used, so that listing names needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stawm._version import __version__

if TYPE_CHECKING:
    from stawm import errors, export, hub, interop, training, viz
    from stawm.assembly import build_component
    from stawm.checkpoint import inspect, load, save
    from stawm.configuration import Config
    from stawm.description import describe
    from stawm.diagnosis import diagnose
    from stawm.factory import build, cite, config
    from stawm.heads.output import Noise, Output
    from stawm.registry import list_names, register

_HOMES = {
    "Config": "stawm.configuration",
    "Noise": "stawm.heads.output",
    "Output": "stawm.heads.output",
    "build": "stawm.factory",
    "build_component": "stawm.assembly",
    "cite": "stawm.factory",
    "config": "stawm.factory",
    "describe": "stawm.description",
    "diagnose": "stawm.diagnosis",
    "inspect": "stawm.checkpoint",
    "list_names": "stawm.registry",
    "load": "stawm.checkpoint",
    "register": "stawm.registry",
    "save": "stawm.checkpoint",
}
_MODULES = ("errors", "export", "hub", "interop", "training", "viz")

__all__ = [
    "Config",
    "Noise",
    "Output",
    "__version__",
    "build",
    "build_component",
    "cite",
    "config",
    "describe",
    "diagnose",
    "errors",
    "export",
    "hub",
    "inspect",
    "interop",
    "list_names",
    "load",
    "register",
    "save",
    "training",
    "viz",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found: Any = import_module(f"stawm.{name}")
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'stawm' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
