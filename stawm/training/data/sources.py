"""Where images to train and test on come from: data sets by name, each with a configuration of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias, get_args

import torch
from PIL import Image

from stawm import registry
from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration import Config, plain
from stawm.configuration import resolve as resolve_component
from stawm.errors import InputError, shown
from stawm.models.resizing import Resize
from stawm.registry import Kind
from stawm.training.data.base import Request, Source, other_form
from stawm.training.data.pictures import fit_all
from stawm.training.data.sets import ImageSet, Splits
from stawm.training.data.streamed import Streamed
from stawm.training.data.torch_datasets import HELD_OUT

DataSpec: TypeAlias = str | Config | Mapping[str, Any]
"""A data set by name: ``mnist:ROOT``, its configuration, or a mapping with ``name``."""


def load(
    source: DataSpec,
    *,
    image: tuple[int, int, int] | None = None,
    resize: bool | Resize = False,
    download: bool = False,
    seed: int = 0,
    held_out: float = HELD_OUT,
    memory: int | None = None,
    **fields: Any,
) -> Splits:
    """Load a set by name.

    What was taken of a folder and what was left out is said through the logger ``stawm.data``.

    Args:
        source: ``digits``, or ``mnist:ROOT``, ``fashion-mnist:ROOT``, ``emnist:ROOT`` (its balanced split, or
            ``emnist-letters:ROOT`` and so on), ``cifar10:ROOT``, ``celeba:ROOT`` (torchvision's folders under ROOT; of
            MNIST and its kin the files themselves will do, packed or not), or ``folder:PATH`` (a folder a class, inside
            folders called like ``train`` and ``test`` or not), or ``figure-ground:ROOT,PATH`` (MNIST's digits under
            ROOT pasted on patches of the photographs in the folder PATH; where the digit is is known), or
            ``clutter:ROOT`` (scenes of MNIST's digits, made afresh in every epoch), or the name of a set of your own
            (see `stawm.register`). A configuration, or a mapping with ``name``, will do too.
        image: Channels, height and width that the images have to have.
        resize: Whether images of another size are brought to it, and how: "crop", which True stands for, cuts the
            largest part of that aspect out of the middle, "squeeze" scales each side by itself.
        download: Whether torchvision may fetch a set that is not there.
        seed: Decides the test part of a set that has none of its own, how figures are pasted, and test scenes.
        held_out: The share of a folder without a test part that is held out for testing; 1 for all of it, which
            leaves nothing to train on.
        memory: How many bytes the images of a folder may take; more stay on disk and are read batch by batch.
            Half of what is free where left out.
        **fields: Fields of the data set's own configuration; `stawm.describe` says which it has.

    Raises:
        InputError: There is no such set, or it is not as it has to be; the message names the cure.
        ConfigError: A field does not exist, or is not legal.

    Examples:
        >>> from stawm.training import data
        >>> train, test = data.load("digits")
        >>> len(train), len(test), train.shape
        (1437, 360, (1, 16, 16))
        >>> data.load("clutter", things="digits", size=40, pieces=4).train.shape
        (1, 40, 40)
    """
    found = open_source(source, fields)
    spelling = spelled(found.config)
    if found.takes_folder and not getattr(found.config, found.folders[0]):
        raise InputError(f"{spelling!r} lacks its folder. {_legal()}")
    rule = "crop" if resize is True else resize or None
    if rule not in (None, *get_args(Resize)):
        raise InputError(f"resize is True, False, 'crop' or 'squeeze'; got {resize!r}.")
    if not 0 < held_out <= 1:
        raise InputError(f"The share that is held out is above 0 and at most 1; got {held_out}.")
    request = Request(spelling, image, rule, download, seed, held_out, memory)
    return Splits(*(replace(_fit(part, request), source=found.config.name) for part in found.load(request)))


def open_source(source: DataSpec, fields: Mapping[str, Any] | None = None) -> Source:
    """Return a data set that is named, before anything of it is read; the arguments are those of `load`.

    Raises:
        InputError: There is no such set, or it takes no folder.
        ConfigError: A field does not exist, or is not legal.
        UnknownNameError: A package brings the set, and it cannot be imported.
    """
    spec = _read(source) if isinstance(source, str) else source
    if isinstance(spec, Config) and not fields:
        config = resolve_component(Kind.DATA, spec)
    elif isinstance(spec, Config):
        config = resolve_component(Kind.DATA, dict(fields or {}), spec)
    elif isinstance(spec, Mapping):
        config = resolve_component(Kind.DATA, {**spec, **(fields or {})})
    else:
        raise InputError(f"A data set is named by a string, a mapping or a configuration; got {shown(source)}.")
    return registry.find(Kind.DATA, config.name).load()(config)


def is_named(data: Any) -> bool:
    """Whether data is given by a name, and not as images."""
    return isinstance(data, (str, Config)) or (isinstance(data, Mapping) and "name" in data)


def spelled(config: Config) -> str:
    """Return a data set's name with its folders, as it is given on the command line.

    Examples:
        >>> from stawm.training.data.sources import open_source, spelled
        >>> spelled(open_source("mnist:here").config)
        'mnist:here'
    """
    cls = registry.find(Kind.DATA, config.name).load()
    given = [getattr(config, field) for field in cls.folders if getattr(config, field)]
    return f"{config.name}:{','.join(given)}" if given else config.name


def fields_of(config: Config) -> dict[str, Any]:
    """Return the fields of a data set that are not as usual, its folders aside, as plain JSON values."""
    cls = registry.find(Kind.DATA, config.name).load()
    usual, own = type(config)(name=config.name).to_dict(), config.to_dict()
    return {key: plain(value) for key, value in own.items() if key not in cls.folders and value != usual[key]}


def channels_of(source: DataSpec) -> int | None:
    """Return the channels of a set by name: 1 for grey images, 3 for colour; None where the model's are taken.

    A folder is one of colour images where one of its files has colour, of up to 1,000 that are looked at.

    Args:
        source: The set, as `load` takes it.

    Raises:
        InputError: It is a folder that is not there, or that has no part to train on.
    """
    if isinstance(source, str) and Kind.DATA not in registry.kinds_of(source):
        return None
    found = open_source(source)
    return None if found.takes_folder and not getattr(found.config, found.folders[0]) else found.channels()


def _read(source: str) -> dict[str, Any]:
    """Return the fields that a spelling such as ``mnist:ROOT`` gives."""
    name, _, rest = source.partition(":")
    name = registry.current(Kind.DATA, name)
    names = registry.list_names(Kind.DATA)
    if name not in names:
        raise InputError(f"No data set named {name!r}.{did_you_mean(nearest(name, names))} {_legal()}")
    keys = registry.find(Kind.DATA, name).load().folders
    if rest and not keys:
        raise InputError(f"{source!r} takes no folder. {_legal()}")
    given = rest.split(",", len(keys) - 1) if rest else []
    return {"name": name, **dict(zip(keys, given, strict=False))}


def _fit(images: ImageSet, request: Request) -> ImageSet:
    """Bring images to the wanted form, or say what to change."""
    wanted = request.image
    if wanted is None or images.shape == wanted or not len(images):
        return images
    held = isinstance(images.images, Streamed)
    if images.shape[0] != wanted[0] or request.resize is None or held:
        raise InputError(other_form(request, images.shape, resizes=not held))
    pixels = fit_all(images.images[:], wanted[1:], request.resize)
    masks = images.masks
    if masks is not None:
        masks = fit_all(masks[:].to(torch.uint8), wanted[1:], request.resize, Image.Resampling.NEAREST).bool()
    return replace(images, images=pixels, masks=masks)


def _legal() -> str:
    forms = []
    for name, entry in registry.entries(Kind.DATA).items():
        try:
            keys = entry.load().folders
        except Exception:  # a package's own, which cannot be imported: it is listed, and says so when it is used
            keys = ()
        forms.append(f"{name}:{','.join(['FOLDER'] * len(keys))}" if keys else name)
    return "Data is given as " + ", ".join(forms) + "."
