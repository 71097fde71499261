"""The weights that come with the package."""

from importlib import resources
from pathlib import Path

from stawm.errors import CheckpointError


def weights_folder() -> Path:
    """Return the folder with the weights that come with the package."""
    return Path(str(resources.files("stawm"))) / "weights"


def shipped_names() -> list[str]:
    """Return the presets and variants that weights come for."""
    return sorted(path.stem for path in weights_folder().glob("*.safetensors"))


def shipped_weights(name: str) -> Path:
    """Return the path of the weights that come with the package for a preset, or else for a variant of it.

    Raises:
        CheckpointError: None come for it.
    """
    names = shipped_names()
    found = next((n for n in names if n == name), next((n for n in names if n.startswith(f"{name}.")), None))
    if found is None:
        raise CheckpointError(f"No weights come with stawm for {name!r}; they come for: {', '.join(names) or 'none'}.")
    return weights_folder() / f"{found}.safetensors"
