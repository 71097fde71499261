"""The command ``stawm draw``: what a model draws of images, as a picture or an animation."""

from argparse import Namespace
from typing import Any

from stawm.cli.commands import splits
from stawm.cli.printing import show_json, show_lines
from stawm.errors import InputError

COUNT = 4
"""How many images of a set are shown where nobody says."""


def draw(args: Namespace) -> None:
    """Picture what a model draws of images of a set, or of files."""
    if bool(args.data) == bool(args.images):
        raise InputError("Give images to draw: either files, or a set with --data; not both.")
    from stawm import viz
    from stawm.storage.pretrained import find_model
    from stawm.viz.seen import check_draws

    model = find_model(args.model)
    check_draws(model)
    pixels, labels = images_of(args, model)
    if args.out.suffix.lower() == ".gif":
        viz.animate(model, pixels, labels).save(args.out)
    else:
        viz.save(viz.drawings(model, pixels), args.out)
    said = {"picture": str(args.out), "model": model.config.name, "images": len(pixels)}
    if args.json:
        show_json(said)
    else:
        show_lines([f"{args.out}: what {model.config.name} draws of {len(pixels)} images"])


def images_of(args: Namespace, model: Any) -> tuple[Any, Any]:
    """Return pixel values in [0, 1], and the classes where they are known and the model tells them apart."""
    import torch

    from stawm.models.pixels import to_unit
    from stawm.training import data
    from stawm.training.data.files import read_images

    c, h, w = model.config.image
    if args.images:
        resize: Any = args.resize if isinstance(args.resize, str) else model.config.resize
        return to_unit(read_images(args.images[: args.count], c, (h, w), resize)[:]), None
    held = splits(args, model).test
    order = torch.arange(len(held))
    if args.seed is not None:
        order = torch.randperm(len(held), generator=torch.Generator().manual_seed(args.seed))
    chosen = order[: args.count or COUNT]
    some = held.take(chosen)
    return to_unit(some.images[:]), data.known_labels(some, model.config)
