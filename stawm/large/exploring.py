"""Looking at an image that is never loaded whole."""

import os
from typing import Any

import torch
from torch import Tensor

from stawm.errors import InputError
from stawm.large.exploration import Exploration
from stawm.large.levels import ArraySource
from stawm.large.pyramid import SourcePyramid
from stawm.large.source import Source, check_source
from stawm.large.tiff import TiffSource
from stawm.models.model import Model, Stawm, checked_count, evaluating
from stawm.models.states import Seen

PREVIEW = 512
"""How many pixels the longer side of a preview has at most."""


def explore(model: Model, source: Any, *, glimpses: int | None = None) -> Exploration:
    """Look at an image of any size that is never loaded whole.

    The thumbnail and the glimpses are read from the source at the resolution that each needs, and given to the model's
    own weights: what comes out is what the model would give for the image in memory, up to rounding. The thumbnail of
    an image of more than four million pixels is made of a coarser level, which may differ a little more, see
    `stawm.large.pyramid.SourcePyramid.thumbnail`.

    Args:
        model: A model that takes images of any size (``context_size``) and averages what it sees
            (``locator.antialias``).
        source: The path of a TIFF that is stored in tiles; an array, such as a `numpy.memmap`, of shape (height, width)
            or (height, width, channels); or whatever has ``size`` and ``read(box, size)`` as
            `stawm.large.source.Source` describes them.
        glimpses: How many glimpses to take; the configuration's number where left out.

    Raises:
        InputError: The model cannot do that, the image is too small or cannot be read, or a read gives something else
            than it was asked for.
        MissingPackageError: The source is a TIFF, and tifffile or zarr is not installed.

    Examples:
        >>> import numpy as np, stawm
        >>> large = {"context_size": 16, "locator.antialias": True, "locator.scales": 3}
        >>> model = stawm.build("stawm-digits", seed=0, **large)
        >>> found = stawm.explore(model, np.zeros((3000, 5000), np.uint8))
        >>> found.size, tuple(found.corners.shape), found.pixels < 3000 * 5000
        ((3000, 5000), (4, 3, 4, 2), True)
    """
    looker = _looker(model)
    n = checked_count(looker.config.glimpses if glimpses is None else glimpses)
    whole, least = SourcePyramid(open_source(source), looker), looker.config.least_side
    if min(whole.sides) < least:
        raise InputError(
            f"The image has {whole.sides[0]}x{whole.sides[1]} pixels, and {looker.config.name} looks at images of at "
            f"least {least}x{least}: so large is its glimpse or its thumbnail."
        )
    with evaluating(looker):
        seen = _look(looker, whole, n)
        recalled = looker.recall(seen, looker.reads(n, every=looker.config.classifies))
        output, pixels = looker.answer(seen, recalled), whole.pixels
    assert seen.looks is not None
    views = seen.looks.glimpse[0].double().cpu().unflatten(1, (looker.locator.views, -1))
    frames = looker.locator.frames(seen.looks.pose[0], whole.size).double().cpu()
    return Exploration(
        model=looker.config.name,
        size=whole.sides,
        output=output,
        corners=(frames + 1) / 2 * torch.tensor(whole.sides[::-1]),
        class_names=looker.config.class_names,
        preview=whole.preview(PREVIEW),
        glimpses=views * whole.std + whole.mean,
        pixels=pixels,
    )


def open_source(source: Any) -> Source:
    """Return what can be read in parts: a TIFF by its path, an array, or a source, which stays itself.

    Raises:
        InputError: It is none of them, or cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        return TiffSource(source)
    is_array = all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__"))
    return ArraySource(source) if is_array and not isinstance(source, (Source, Tensor)) else _checked(source)


def _checked(source: Any) -> Source:
    check_source(source)
    return source


def _looker(model: Any) -> Stawm:
    config = getattr(model, "config", None)
    if not isinstance(model, Stawm) or config is None or not config.any_size:
        raise InputError(
            f"explore takes a model that looks at images of any size, such as one with context_size and without a head "
            f"that draws; got {getattr(config, 'name', type(model).__name__)}."
        )
    if not getattr(model.locator.config, "antialias", False):
        raise InputError(
            f"explore takes a model whose glimpses average what they see, from a pyramid: {config.name} has "
            "locator.antialias=false, so each of its pixels is one of the image's, wherever it may lie."
        )
    return model


def _look(model: Stawm, whole: SourcePyramid, glimpses: int) -> Seen:
    assert model.config.context_size is not None
    thumbnail = (whole.thumbnail(model.config.context_size) - whole.mean) / whole.std
    context, start = model.loop.begin(thumbnail[None].to(whole.size))
    return Seen(context, *model.loop.walk(whole, glimpses, start))
