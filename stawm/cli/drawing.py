"""The command ``stawm draw``: what a model draws of images, as a picture or an animation."""

import json
from argparse import Namespace
from typing import Any

from stawm.errors import InputError

PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".webp")
COUNT = 4
"""How many images of a set are drawn where nobody says."""


def draw(args: Namespace) -> None:
    """Picture what a model draws of images of a set, or of files."""
    _check(args)
    from stawm import viz
    from stawm.storage.pretrained import find_model
    from stawm.viz import sheet
    from stawm.viz.seen import check_draws

    model = find_model(args.model)
    check_draws(model)
    pixels, labels = _images(args, model)
    if args.out.suffix.lower() == ".gif":
        viz.animate(model, pixels, labels).save(args.out)
    else:
        sheet.save(viz.drawings(model, pixels), args.out)
    said = {"picture": str(args.out), "model": model.config.name, "images": len(pixels)}
    print(json.dumps(said) if args.json else f"{args.out}: what {model.config.name} draws of {len(pixels)} images")


def _check(args: Namespace) -> None:
    """Raise an InputError unless what is given goes together, before anything is loaded."""
    if bool(args.data) == bool(args.images):
        raise InputError("Give images to draw: either files, or a set with --data; not both.")
    if args.out.suffix.lower() not in (".gif", *PICTURES):
        raise InputError(f"--out is .gif for an animation, or one of {', '.join(PICTURES)}; got {args.out.name!r}.")
    if args.count is not None and args.count < 1:
        raise InputError(f"--count is at least 1; got {args.count}.")


def _images(args: Namespace, model: Any) -> tuple[Any, Any]:
    """Return pixel values in [0, 1], and the classes where they are known and the model tells them apart."""
    import torch

    from stawm.training import data
    from stawm.training.data.files import read_images

    c, h, w = model.config.image
    resize = model.config.resize if args.resize is True else args.resize
    if args.images:
        return read_images(args.images[: args.count], c, (h, w), resize or model.config.resize)[:].float() / 255, None
    held = data.load(args.data, image=(c, h, w), resize=resize, download=args.download, held_out=args.held_out).test
    order = torch.arange(len(held))
    if args.seed is not None:
        order = torch.randperm(len(held), generator=torch.Generator().manual_seed(args.seed))
    chosen = order[: args.count or COUNT]
    known = model.config.classifies and len(held.class_names) <= model.config.classes
    return held.images[chosen].float() / 255, held.labels[chosen] if known else None
