"""Exported files and their models, as tests use them."""

from pathlib import Path
from typing import Any

from torch import Tensor

from stawm.export import OnnxModel


def answers(model: Any, pixels: Tensor, **options: Any) -> Any:
    """What a model gives for pixels."""
    return model(model.normalise(pixels), **options)


def opened(path: Path, **options: Any) -> Any:
    """The graph in a file; untyped, since the fields of an output may be None."""
    return OnnxModel(path, **{"device": "cpu", **options})
