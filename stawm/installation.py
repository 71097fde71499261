"""What stawm runs on here: versions, devices, ONNX Runtime's providers, plug-ins; for reports of bugs.

Nothing that is asked for has to be there: a package that is missing or broken is told, and ends nothing. No folder,
no name of a user or a machine is in it.
"""

import os
import platform
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stawm import registry
from stawm._version import __version__
from stawm.catalog.plugins import installed
from stawm.text import Readable

PACKAGES = (
    *("torch", "torchvision", "timm", "numpy", "einops", "jaxtyping", "safetensors", "scikit-learn", "rich", "psutil"),
    *("pillow", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu"),
    *("accelerate", "filelock", "tensorboard", "matplotlib"),
    *("huggingface_hub", "tifffile", "zarr", "imagecodecs", "ray", "tritonclient"),
)
"""What stawm needs, then what its extras bring."""
VARIABLES = ("STAWM_PLUGINS", "STAWM_TRACEBACK", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE")
"""Variables of the environment that change what stawm does, and hold no folder."""


@dataclass(frozen=True, kw_only=True)
class Environment(Readable):
    """What stawm runs on.

    Attributes:
        stawm: The version.
        python: The version of Python, and whose it is.
        system: The operating system and the processor's kind.
        packages: What stawm needs and what its extras bring, with the version; None where it is not installed.
        devices: The CPU, and every GPU that PyTorch can use.
        providers: What ONNX Runtime can run graphs with.
        plugins: The components of other packages: kind, name, and the distribution.
        variables: Variables of the environment that change what stawm does.
        faults: What cannot be used, or stands in the way of something else, each in one sentence.
    """

    stawm: str
    python: str
    system: str
    packages: Mapping[str, str | None]
    devices: tuple[str, ...]
    providers: tuple[str, ...]
    plugins: tuple[str, ...]
    variables: Mapping[str, str]
    faults: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {key: [*value] if isinstance(value, tuple) else value for key, value in vars(self).items()}

    def __str__(self) -> str:
        """Lay it out for reading."""
        there = [f"{name} {found}" for name, found in self.packages.items() if found]
        lacking = [name for name, found in self.packages.items() if not found]
        parts = {
            "packages": there,
            "not installed": [", ".join(lacking)] if lacking else [],
            "devices": self.devices,
            "providers of ONNX Runtime": self.providers,
            "plug-ins": self.plugins,
            "variables": [f"{name}={value}" for name, value in self.variables.items()],
            "faults": self.faults,
        }
        lines = [f"stawm {self.stawm}, Python {self.python}, {self.system}"]
        for heading, found in parts.items():
            lines += [f"{heading}:" if found else f"{heading}: none", *(f"  {line}" for line in found)]
        return "\n".join(lines)


def environment() -> Environment:
    """Return what stawm runs on: versions, devices, ONNX Runtime's providers and plug-ins.

    Reports of bugs ask for it (``stawm env`` prints it). It works also where a package is missing or broken.

    Examples:
        >>> import stawm
        >>> found = stawm.environment()
        >>> found.stawm == stawm.__version__, found.packages["torch"] is not None
        (True, True)
    """
    packages = {name: _version_of(name) for name in PACKAGES}
    faults: list[str] = []
    devices = (_cpu(), *_asked("torch", _gpus, faults))
    runs = packages["onnxruntime"] or packages["onnxruntime-gpu"]  # which only exports and graphs need
    providers = tuple(_asked("onnxruntime", lambda ort: ort.get_available_providers(), faults)) if runs else ()
    plugins = tuple(f"{point.name} from {origin}" for point, origin in installed(registry.ENTRY_POINT_GROUP)[0])
    faults += [f"A plug-in cannot be used: {plugin}." for plugin in registry.broken_plugins()]
    return Environment(
        stawm=__version__,
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        packages=packages,
        devices=devices,
        providers=providers,
        plugins=plugins,
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        faults=(*faults, *_at_odds(packages, devices)),
    )


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _asked(package: str, ask: Callable[[Any], list[str]], faults: list[str]) -> list[str]:
    """Return what a package answers; where it cannot be imported, or fails, note that instead."""
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            found = ask(__import__(package))
    except Exception as error:  # a broken installation fails in many ways
        said = " ".join(str(error).split())[:500]
        faults.append(f"{package} cannot be used: {type(error).__name__}: {said}.")
        return []
    told = dict.fromkeys(" ".join(str(each.message).split())[:500] for each in warned if each.category is UserWarning)
    faults += [f"{package} says: {said}" for said in told]
    return found


def _cpu() -> str:
    return f"CPU: {platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _gpus(torch: Any) -> list[str]:
    found = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        facts = torch.cuda.get_device_properties(index)
        memory, form = facts.total_memory / 2**30, f"{facts.major}.{facts.minor}"
        found.append(f"cuda:{index}: {facts.name}, {memory:.0f} GiB, compute capability {form}")
    if torch.version.cuda:
        found.append(f"PyTorch is built for CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")
    return found + ["mps: Apple's GPU"] * torch.backends.mps.is_available()


def _at_odds(packages: Mapping[str, str | None], devices: tuple[str, ...]) -> list[str]:
    """Return what is known to go wrong with what is installed."""
    found = []
    if packages["onnxruntime"] and packages["onnxruntime-gpu"]:
        found.append(
            "onnxruntime and onnxruntime-gpu are both installed, and overwrite each other's files: uninstall both, "
            "then install the one that is wanted."
        )
    if any(Path("/dev").glob("nvidia[0-9]*")) and not any(device.startswith("cuda:") for device in devices):
        found.append("There is an NVIDIA GPU, and this PyTorch cannot use it: see https://pytorch.org/get-started.")
    return found
