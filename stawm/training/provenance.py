"""What a checkpoint says of the run that it comes from, without the paths of the machine that it was made on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def source_without_folders(source: str) -> str:
    """Return a data source without the folders of the machine that it was on.

    Examples:
        >>> source_without_folders("mnist:/home/me/data")
        'mnist:ROOT'
    """
    name, _, root = source.partition(":")
    first, _, second = root.partition(",")
    if name == "folder":
        return f"folder:{Path(first).name}"
    return name + (":ROOT" if root else "") + (f",{Path(second).name}" if second else "")


def source_with_folders(source: str, root: str | Path) -> str:
    """Return a data source that was noted, with the folders of a machine that keeps its data under one.

    Args:
        source: What `source_without_folders` gave.
        root: That folder; it stands for ROOT, and holds folders that were noted by their names.

    Examples:
        >>> source_with_folders("figure-ground:ROOT,photographs", "/home/me/data")
        'figure-ground:/home/me/data,/home/me/data/photographs'
    """
    name, _, noted = source.partition(":")
    folders = [str(root if folder == "ROOT" else Path(root, folder)) for folder in noted.split(",") if folder]
    return f"{name}:{','.join(folders)}" if folders else name


def fields_without_folders(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a data set without the folders of the machine that it was on.

    Examples:
        >>> fields_without_folders({"size": 60, "ground": "cifar10:/home/me/data"})
        {'size': 60, 'ground': 'cifar10:ROOT'}
    """
    return {key: source_without_folders(value) if isinstance(value, str) else value for key, value in fields.items()}


def run_of_checkpoint(path: str | Path) -> str:
    """Return a run's checkpoint by the run's own folder.

    Examples:
        >>> run_of_checkpoint("/home/me/trials/draw-6/model.safetensors")
        'runs/draw-6/model.safetensors'
    """
    path = Path(path)
    return f"runs/{path.parent.name}/{path.name}" if path.parent.name else path.name


def hardware(device: torch.device) -> str:
    """Name what a model is trained on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} CPU thread{'s' * (threads > 1)}"
