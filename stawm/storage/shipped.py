"""The weights that come with the package."""

from importlib import resources
from pathlib import Path

from stawm.errors import CheckpointError


def weights_folder() -> Path:
    """Return the folder with the weights that come with the package."""
    return Path(str(resources.files("stawm"))) / "weights"


def shipped_names() -> list[str]:
    """Return the presets that weights come for."""
    return sorted(path.stem for path in weights_folder().glob("*.safetensors"))


def shipped_weights(name: str) -> Path:
    """Return the path of the weights that come with the package for a preset.

    Raises:
        CheckpointError: None come for that preset.
    """
    path = weights_folder() / f"{name}.safetensors"
    if not path.is_file():
        there = ", ".join(shipped_names()) or "no preset yet"
        raise CheckpointError(f"No weights come with stawm for {name!r}; they come for: {there}.")
    return path
