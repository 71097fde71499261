"""A graph, or its model, over pictures in files."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stawm.errors import InputError
from stawm.export.file.metadata import GraphInfo
from stawm.export.serve.live import LiveModel
from stawm.export.serve.looking import Looked, Until
from stawm.export.serve.pixels import prepare
from stawm.export.table import table
from stawm.models.model import Model
from stawm.pictures import ENDINGS, check_file
from stawm.storage.opening import as_path
from stawm.text import Readable
from stawm.training.data.folders import describe_left, search, shown
from stawm.training.data.notices import warn


@runtime_checkable
class Answering(Protocol):
    """What answers pictures: an `OnnxModel`, or a `LiveModel`, which needs no ONNX Runtime."""

    info: GraphInfo
    batch_size: int

    def __call__(self, images: Any) -> Any:
        """Look at images."""
        ...

    def look(self, images: Any, *, until: Until = None) -> Looked:
        """Look until the answer is certain enough."""
        ...


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
        further: What other heads give, by field: the numbers of a regression, the log-odds of several labels.
    """

    path: Path
    label: int | None = None
    name: str | None = None
    confidence: float | None = None
    glimpses: int | None = None
    error: float | None = None
    drawing: Path | None = None
    further: Mapping[str, Mapping[str, float]] | None = None

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
        further = list(dict.fromkeys(name for answer in self.answers for name in answer.further or ()))
        rows = [
            (str(a.path), *(forms.get(k, str)(getattr(a, k)) for k in there), *(_row(a, name) for name in further))
            for a in self.answers
        ]
        return table(("image", *there, *further), rows)


def _row(answer: Answer, field: str) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in (answer.further or {})[field].items())


def find_images(path: str | os.PathLike[str]) -> list[Path]:
    """Return the images of a folder and of the folders in it, or the one file that is named.

    What of a folder is left out is said through the logger ``stawm.data``.

    Raises:
        InputError: There are none.
    """
    path = Path(path)
    if not path.is_dir():
        check_file(path)
        return [path]
    found = search(path)
    left = describe_left(found.left, path)
    if not found.pictures:
        raise InputError(f"{path} holds no images ({', '.join(ENDINGS)}){f'; there are {left}' if left else ''}.")
    if left:
        warn(f"Left out of {shown(str(path))}: {left}.")
    return sorted(found.pictures)


def run_folder(
    model: Answering | Model,
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    until: Until = None,
    save: str | os.PathLike[str] | None = None,
) -> Answers:
    """Run a graph, or the model itself, over images in files.

    Args:
        model: An `OnnxModel`, or a model, which PyTorch then runs where it is.
        images: A folder, a file, or several of them; the folders in a folder are searched too.
        until: With a step graph or a model: look until the answer is certain enough, each image as long as it
            needs (see `OnnxModel.look`); left out, all glimpses are taken.
        save: A folder to save what is drawn in.

    Raises:
        InputError: There are no images, one cannot be read, the graph cannot do what is asked, or the folder to save
            in cannot be made.
    """
    if isinstance(model, Model):
        model = LiveModel(model, next(model.parameters()).device.type)
    if not isinstance(model, Answering):
        raise InputError(f"run_folder takes an OnnxModel or a model; got {type(model).__name__}.")
    given = [images] if isinstance(images, (str, os.PathLike)) else list(images)
    paths = [found for one in given for found in find_images(as_path(one, "An image"))]
    if not paths:
        raise InputError("No images were given.")
    if save is not None:
        _make_folder(as_path(save, "A folder to save in"))
    size = model.batch_size
    parts = (paths[start : start + size] for start in range(0, len(paths), size))
    return Answers(tuple(answer for part in parts for answer in _answer(model, part, until, save)))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot save in {folder}: {error.strerror}.") from error


def _answer(
    model: Answering,
    paths: Sequence[Path],
    until: Until,
    save: str | os.PathLike[str] | None,
) -> Iterable[Answer]:
    files = [str(path) for path in paths]
    pixels: Any = files if model.info.any_size else torch.from_numpy(prepare(files, model.info))
    if until is not None:
        looked = model.look(pixels, until=until)
        return _classified(model.info, paths, looked.logits, looked.glimpses.tolist())
    output = model(pixels)
    further = _further(model.info, output.extra, len(paths))
    if output.canvas is not None:
        found = _drawn(model.info, paths, pixels, output.canvas, output.logits, save)
    elif output.logits is not None:
        found = _classified(model.info, paths, output.logits, [model.info.glimpses] * len(paths))
    elif any(further):
        found = [Answer(path=path, glimpses=model.info.glimpses) for path in paths]
    else:
        raise InputError("This graph gives neither logits nor a canvas, so there is nothing to say of an image.")
    return [replace(answer, further=own or None) for answer, own in zip(found, further, strict=True)]


def _further(info: GraphInfo, extra: Mapping[str, Tensor], count: int) -> list[dict[str, dict[str, float]]]:
    """Return for each image the numbers that other heads give, by field and by the names that the head has for them."""
    names = [tuple(head["names"]) for head in info.config.get("heads", ()) if head.get("names")]
    rows: list[dict[str, dict[str, float]]] = [{} for _ in range(count)]
    for field, values in extra.items():
        if values.ndim != 2:
            continue
        keys = next((own for own in names if len(own) == values.shape[1]), tuple(map(str, range(values.shape[1]))))
        for row, numbers in zip(rows, values.tolist(), strict=True):
            row[field] = dict(zip(keys, numbers, strict=True))
    return rows


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
    canvas = canvas.cpu()
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
