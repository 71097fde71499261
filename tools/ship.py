"""Put what a run saved among the weights that come with the package: its preset's name, fp16, the run's provenance.

What is too large as fp16 is stored as int8, what is too large as int8 as int4.
``python tools/ship.py CHECKPOINT ...`` also records the hash of each file in ``stawm/weights/checksums.json``.
``python tools/ship.py stawm/weights/*.safetensors`` writes those that ship anew, in the form of today.
"""

import hashlib
import json
import sys
import tempfile
from os import PathLike
from pathlib import Path

import torch

from stawm import registry
from stawm.errors import InputError
from stawm.models.config import SharedConfig
from stawm.models.resolve import config as resolve_config
from stawm.registry import Kind
from stawm.storage import checkpoint
from stawm.storage.file import write_atomically
from stawm.storage.integers import INT4
from stawm.storage.shipped import weights_folder

CHECKSUMS = "checksums.json"
DTYPES = (torch.float16, torch.int8, INT4)
"""How weights are stored: the first of these that makes the file small enough."""
LARGEST = 12_000_000
"""Bytes that one file may have."""
LARGEST_TOGETHER = 50_000_000
"""Bytes that all of them may have."""


def checksums() -> dict[str, str]:
    """Return the SHA-256 that is on record for each file."""
    return json.loads((weights_folder() / CHECKSUMS).read_text(encoding="utf-8"))


def faults() -> list[str]:
    """Return what is wrong with the shipped files: without a record, missing, altered, too large."""
    found, recorded = {path.name: path for path in weights_folder().glob("*.safetensors")}, checksums()
    sizes = {name: path.stat().st_size for name, path in found.items()}
    altered = [name for name in found if name in recorded and _sha256(found[name]) != recorded[name]]
    return [
        *(f"{name} is not on record in {CHECKSUMS}" for name in sorted(found.keys() - recorded.keys())),
        *(f"{name} is on record in {CHECKSUMS}, but not there" for name in sorted(recorded.keys() - found.keys())),
        *(f"{name} is not the file that is on record" for name in sorted(altered)),
        *(f"{name} has {size:,} bytes; at most {LARGEST:,} ship" for name, size in sizes.items() if size > LARGEST),
        *[f"the files have {sum(sizes.values()):,} bytes; at most {LARGEST_TOGETHER:,} ship together"]
        * (sum(sizes.values()) > LARGEST_TOGETHER),
    ]


def ship(path: str | PathLike[str]) -> Path:
    """Put a run's checkpoint among the weights that come with the package, as small as need be, and record its hash.

    Args:
        path: The checkpoint; its provenance goes with it. One that ships already is written anew.

    Returns:
        The new file, named after the checkpoint's preset or variant; an older one is replaced.

    Raises:
        CheckpointError: The checkpoint is damaged or foreign.
        InputError: It is of no preset, was changed in its form, or is too large.
    """
    path = Path(path)
    info, model = checkpoint.inspect(path), checkpoint.load(path)
    model.config = named_after_variant(model.config)
    name, folder = model.config.name, weights_folder()
    if Kind.PRESET not in registry.kinds_of(name):
        raise InputError(f"Weights ship for presets alone; {path} is of {name!r}.")
    target = folder / f"{name}.safetensors"
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        made = Path(temporary) / target.name
        for dtype in DTYPES:
            checkpoint.save(model, made, provenance=info.provenance, dtype=dtype)
            if (size := made.stat().st_size) <= LARGEST:
                break
        else:
            raise InputError(f"{path} takes {size:,} bytes as int4; at most {LARGEST:,} ship.")
        made.replace(target)
    if path.resolve().parent == folder.resolve() and path.name != target.name:
        path.unlink()
    recorded = {**checksums(), target.name: _sha256(target)}
    text = json.dumps({key: recorded[key] for key in sorted(recorded) if (folder / key).exists()}, indent=2)
    write_atomically(folder / CHECKSUMS, f"{text}\n".encode())
    return target


def named_after_variant(config: SharedConfig) -> SharedConfig:
    """Return a configuration under the name of the variant that it is: older runs have the preset's name alone."""
    variants = (resolve_config(name) for name in registry.variants_of(config.name))
    return next((variant for variant in variants if variant == config.replace(name=variant.name)), config)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    for given in sys.argv[1:]:
        sys.stdout.write(f"{ship(given)}\n")
