"""A graph over a folder of images."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from stawm.errors import InputError
from stawm.export.file.metadata import GraphInfo
from stawm.export.serve.pixels import prepare
from stawm.export.serve.session import OnnxModel
from stawm.export.table import table
from stawm.text import Readable

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a graph says of one image; fields that its model has no head for are None.

    Attributes:
        path: The image.
        label: The most probable class.
        name: Its name, where the classes have names.
        confidence: Its probability.
        glimpses: How many glimpses were taken.
        error: The mean squared error of what was drawn, on pixels in [0, 1].
        drawing: Where what was drawn is saved.
    """

    path: Path
    label: int | None = None
    name: str | None = None
    confidence: float | None = None
    glimpses: int | None = None
    error: float | None = None
    drawing: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Answers(Readable):
    """What a graph says of many images, in the order of their paths."""

    answers: tuple[Answer, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"answers": [answer.as_dict() for answer in self.answers]}

    def __str__(self) -> str:
        forms = {"confidence": "{:.1%}".format, "error": "{:.5f}".format}
        order = ("name", "label", "confidence", "glimpses", "error", "drawing")
        there = [key for key in order if any(getattr(answer, key) is not None for answer in self.answers)]
        if "name" in there:
            there.remove("label")
        rows = [(str(a.path), *(forms.get(k, str)(getattr(a, k)) for k in there)) for a in self.answers]
        return table(("image", *there), rows)


def find_images(path: str | os.PathLike[str]) -> list[Path]:
    """Return the images of a folder and of the folders in it, or the one file that is named.

    Raises:
        InputError: There are none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()) if path.is_dir() else []
    if not found:
        raise InputError(f"{path} holds no images ({', '.join(SUFFIXES)}).")
    return found


def run_folder(
    model: OnnxModel,
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    until: float | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Answers:
    """Run a graph over images in files.

    Args:
        model: The graph.
        images: A folder, a file, or several files.
        until: With a step graph: look until the answer is so certain, each image as long as it needs.
        save: A folder to save what is drawn in.

    Raises:
        InputError: There are no images, one cannot be read, or the graph cannot do what is asked.
    """
    paths = find_images(images) if isinstance(images, (str, os.PathLike)) else [Path(path) for path in images]
    if save is not None:
        Path(save).mkdir(parents=True, exist_ok=True)
    size = model.batch_size
    parts = (paths[start : start + size] for start in range(0, len(paths), size))
    return Answers(tuple(answer for part in parts for answer in _answer(model, part, until, save)))


def _answer(
    model: OnnxModel, paths: Sequence[Path], until: float | None, save: str | os.PathLike[str] | None
) -> Iterable[Answer]:
    pixels = prepare([str(path) for path in paths], model.info)
    if until is not None:
        looked = model.look(pixels, until=until)
        return _classified(model.info, paths, looked.logits, looked.glimpses.tolist())
    output = model(pixels)
    if output.canvas is not None:
        return _drawn(model.info, paths, pixels, output.canvas, output.logits, save)
    if output.logits is None:
        raise InputError("This graph gives neither logits nor a canvas, so there is nothing to say of an image.")
    return _classified(model.info, paths, output.logits, [model.info.glimpses] * len(paths))


def _classified(info: GraphInfo, paths: Sequence[Path], logits: Tensor, glimpses: Sequence[int | None]) -> list[Answer]:
    best = logits.max(dim=1)
    names = info.class_names or [None] * logits.shape[1]
    return [
        Answer(path=path, label=label, name=names[label], confidence=math.exp(value), glimpses=count)
        for path, label, value, count in zip(paths, best.indices.tolist(), best.values.tolist(), glimpses, strict=True)
    ]


def _drawn(
    info: GraphInfo,
    paths: Sequence[Path],
    pixels: Tensor,
    canvas: Tensor,
    logits: Tensor | None,
    save: str | os.PathLike[str] | None,
) -> list[Answer]:
    errors = (canvas - pixels).square().mean(dim=(1, 2, 3)).tolist()
    found = [Answer(path=path, glimpses=info.glimpses) for path in paths]
    if logits is not None:
        found = _classified(info, paths, logits, [info.glimpses] * len(paths))
    files = [None if save is None else _save(Path(save), path, c) for path, c in zip(paths, canvas, strict=True)]
    drawn = zip(found, errors, files, strict=True)
    return [replace(answer, error=error, drawing=file) for answer, error, file in drawn]


def _save(folder: Path, path: Path, canvas: Tensor) -> Path:
    pixels = (canvas.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    file, number = folder / f"{path.stem}.png", 1
    while file.exists():
        file, number = folder / f"{path.stem}-{number}.png", number + 1
    Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)).save(file)
    return file
