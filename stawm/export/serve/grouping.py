"""Images of several sizes in one call: those of one size are run together, and answers keep the order of the images."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from stawm.arrays import is_array, is_floating, to_numpy
from stawm.export.file.metadata import GraphInfo
from stawm.export.serve.looking import Looked
from stawm.export.serve.pixels import check_file_size
from stawm.pictures import measure

Call = TypeVar("Call", bound=Callable[..., Any])


def size_by_size(call: Call) -> Call:
    """Let a call on images of one size take a list of files or arrays of several, where the model takes any size.

    Args:
        call: A method of something with an ``info``, on images and options, which gives what was looked, or outputs
            that its method ``_in_order`` puts together.
    """

    @functools.wraps(call)
    def grouped(self: Any, images: Any, **options: Any) -> Any:
        groups = groups_of(images, self.info)
        if len(groups) <= 1:
            return call(self, images, **options)
        cue = options.pop("cue", None)
        asked: list[dict[str, Any]] = [{} if cue is None else {"cue": _of(cue, rows, len(images))} for rows in groups]
        parts = zip(groups, asked, strict=True)
        found = [call(self, [images[row] for row in rows], **own, **options) for rows, own in parts]
        order = np.argsort([row for rows in groups for row in rows])
        if isinstance(found[0], Looked):
            joined = Looked.join(found)
            return Looked(joined.logits[order], joined.confidence[order], joined.glimpses[order])
        return self._in_order(found, order)

    return grouped  # pyright: ignore[reportReturnType]  (it takes what the call takes)


def _of(cue: Any, rows: list[int], count: int) -> Any:
    """Return what is asked about some of the images: the same as about all, unless each has questions of its own."""
    if isinstance(cue, Mapping):
        return {name: _of(own, rows, count) for name, own in cue.items()}
    try:
        asked = to_numpy(cue)
    except (TypeError, ValueError):
        return cue
    by_image = asked.ndim > 1 + is_floating(asked) and len(asked) == count
    return asked[rows] if by_image else cue


def groups_of(images: Any, info: GraphInfo) -> list[list[int]]:
    """Return which images of a list are of one size, as their places; nothing where a call takes them as they are.

    Args:
        images: What a session is given; of files only the headers are read.
        info: What the graph says of itself.

    Raises:
        InputError: A file cannot be read, or is smaller than what the model looks at.
    """
    if not info.any_size or not isinstance(images, (list, tuple)):
        return []
    groups: dict[Any, list[int]] = {}
    for place, image in enumerate(images):
        groups.setdefault(_form(image, info), []).append(place)
    return list(groups.values())


def _form(image: Any, info: GraphInfo) -> Any:
    """Return what images of one batch have in common."""
    if isinstance(image, (str, os.PathLike)):
        size = measure(image)
        check_file_size(Path(image), size, info)
        return size
    return (type(image), tuple(image.shape), image.dtype) if is_array(image) else type(image)
