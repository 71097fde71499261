"""STAWM: recurrent visual attention with a memory that is written while an image is looked at.

What the package offers is imported when it is first used, so that listing names needs no torch.
"""

from typing import TYPE_CHECKING

from stawm._version import __version__ as __version__
from stawm.lazy import attach

if TYPE_CHECKING:
    from stawm import errors as errors
    from stawm import export as export
    from stawm import runtime as runtime
    from stawm import training as training
    from stawm import viz as viz
    from stawm.configuration.components import build_component as build_component
    from stawm.configuration.config import Config as Config
    from stawm.heads.output import Noise as Noise
    from stawm.heads.output import Output as Output
    from stawm.installation import environment as environment
    from stawm.large.exploring import explore as explore
    from stawm.models.cite import cite as cite
    from stawm.models.describe import describe as describe
    from stawm.models.diagnosis import diagnose as diagnose
    from stawm.models.explaining import explain as explain
    from stawm.models.resolve import config as config
    from stawm.registry import list_names as list_names
    from stawm.registry import register as register
    from stawm.storage import hub as hub
    from stawm.storage import interop as interop
    from stawm.storage.checkpoint import inspect as inspect
    from stawm.storage.checkpoint import load as load
    from stawm.storage.checkpoint import save as save
    from stawm.storage.pretrained import build as build

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
    "environment": "stawm.installation",
    "explain": "stawm.models.explaining",
    "explore": "stawm.large.exploring",
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
    "runtime": "stawm.runtime",
    "training": "stawm.training",
    "viz": "stawm.viz",
}

__getattr__, __dir__, __all__ = attach("stawm", _HOMES, _MODULES, ("__version__",))
