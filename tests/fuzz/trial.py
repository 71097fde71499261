"""One trial: a file is given to the calls that read checkpoints, and is refused, or is a model that runs."""

from pathlib import Path
from typing import Any

import torch

import stawm
from stawm.errors import LONGEST, CheckpointError

SMALL = 2_000_000
"""Models of how many numbers in a pass are also run."""


def outcome(data: bytes, path: Path) -> str:
    """Return what became of a file: ``refused``, ``accepted``, or ``run``; anything else is raised.

    Args:
        data: The file.
        path: Where to put it.
    """
    path.write_bytes(data)
    said, model = _refusal(stawm.inspect, path), _refusal(stawm.load, path)
    if isinstance(model, str):
        assert str(path) in model
        assert len(model) <= LONGEST
        return "refused"
    assert not isinstance(said, str), f"load takes what inspect refuses: {said}"
    config = model.config
    steps = config.glimpses or 1
    if steps * max(config.image[0] * config.image[1] * config.image[2], getattr(config, "memory_size", 1) ** 2) > SMALL:
        return "accepted"
    with torch.no_grad():
        model.float()(torch.zeros(2, *config.image))
    return "run"


def _refusal(call: Any, path: Path) -> Any:
    """Return what a call gives, or what it says where it refuses."""
    try:
        return call(path)
    except CheckpointError as error:
        return str(error)
