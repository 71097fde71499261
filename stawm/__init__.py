"""STAWM: recurrent visual attention with a memory that is written while an image is looked at.

What the package offers is imported when it is first used, so that listing names needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stawm._version import __version__

if TYPE_CHECKING:
    from stawm import errors, export, training, viz
    from stawm.configuration.components import build_component
    from stawm.configuration.config import Config
    from stawm.heads.output import Noise, Output
    from stawm.models.cite import cite
    from stawm.models.describe import describe
    from stawm.models.diagnosis import diagnose
    from stawm.models.resolve import config
    from stawm.registry import list_names, register
    from stawm.storage import hub, interop
    from stawm.storage.checkpoint import inspect, load, save
    from stawm.storage.pretrained import build

_HOMES = {
    "Config": "stawm.configuration.config",
    "Noise": "stawm.heads.output",
    "Output": "stawm.heads.output",
    "build": "stawm.storage.pretrained",
    "build_component": "stawm.configuration.components",
    "cite": "stawm.models.cite",
    "config": "stawm.models.resolve",
    "describe": "stawm.models.describe",
    "diagnose": "stawm.models.diagnosis",
    "inspect": "stawm.storage.checkpoint",
    "list_names": "stawm.registry",
    "load": "stawm.storage.checkpoint",
    "register": "stawm.registry",
    "save": "stawm.storage.checkpoint",
}
_MODULES = {
    "errors": "stawm.errors",
    "export": "stawm.export",
    "hub": "stawm.storage.hub",
    "interop": "stawm.storage.interop",
    "training": "stawm.training",
    "viz": "stawm.viz",
}

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
        found: Any = import_module(_MODULES[name])
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'stawm' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
