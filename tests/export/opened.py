"""Opening exported files for tests, on the CPU."""

from pathlib import Path
from typing import Any

from stawm.export import OnnxModel


def opened(path: Path, **options: Any) -> Any:
    """The graph in a file; untyped, since the fields of an output may be None."""
    return OnnxModel(path, **{"device": "cpu", **options})
