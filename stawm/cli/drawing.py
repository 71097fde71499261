"""The command ``stawm draw``: what a model draws of images, as a picture of one kind or another, or an animation."""

from argparse import Namespace
from typing import Any

from stawm.cli.commands import splits
from stawm.cli.printing import show_json, show_lines
from stawm.errors import InputError

COUNT = 4
"""How many images of a set are drawn where nobody says."""
WAYS = {
    "--reconstructions": "only the results, of several models above each other (--beside), over their targets",
    "--canvases": "how the canvas grows, of several models under each other (--beside)",
    "--sketches": "every sketch by itself, at its place and through its mask",
    "--segments": "what the last mask takes out of each image, of a model with masks",
    "--traverse": "what each number of the latent does, of one sketch (--glimpse) or of all",
    "--generate": "what is drawn from the prior: without images of a baseline, else at the places of images",
}
"""Other pictures than what is seen, sketched and drawn, by the options that ask for them."""


def draw(args: Namespace) -> None:
    """Picture what a model draws of images of a set, or of files."""
    without = args.way == "generate" and not (args.data or args.images)
    if not without and bool(args.data) == bool(args.images):
        raise InputError("Give images to draw: either files, or a set with --data; not both.")
    _check_options(args)
    from stawm import viz
    from stawm.storage.pretrained import find_model
    from stawm.viz.seen import check_draws

    model = find_model(args.model)
    if args.way in (None, "canvases", "sketches"):
        check_draws(model)
    given: tuple[Any, Any] = (None, None) if without else images_of(args, model)
    pixels, labels = given
    if args.out.suffix.lower() == ".gif":
        viz.animate(model, pixels, labels).save(args.out)
    else:
        viz.save(_picture(args, model, pixels), args.out)
    count = 0 if pixels is None else len(pixels)
    if args.json:
        show_json({"picture": str(args.out), "model": model.config.name, "images": count})
    else:
        of = f"of {count} images" if count else "from the prior"
        show_lines([f"{args.out}: what {model.config.name} draws {of}"])


def _check_options(args: Namespace) -> None:
    """Raise an InputError where an option has no effect on the picture that is asked for."""
    if args.way and args.out.suffix.lower() == ".gif":
        raise InputError(f"--{args.way} is no animation: give --out another suffix than .gif.")
    if args.beside and args.way not in ("reconstructions", "canvases"):
        raise InputError("--beside is for --reconstructions and --canvases, which show several models.")
    if args.glimpse is not None and args.way != "traverse":
        raise InputError("--glimpse is for --traverse, and says of which sketch a number is set.")


def _picture(args: Namespace, model: Any, pixels: Any) -> Any:
    """Return the picture that is asked for."""
    from stawm import viz
    from stawm.storage.pretrained import find_model

    if args.way in ("reconstructions", "canvases"):
        return getattr(viz, args.way)([model, *map(find_model, args.beside)], pixels)
    if args.way == "traverse":
        return viz.traversals(model, pixels, glimpse=args.glimpse)
    if args.way == "generate":
        return viz.generated(
            model, pixels, seed=args.seed or 0, **({"count": args.count} if pixels is None and args.count else {})
        )
    return getattr(viz, args.way or "drawings")(model, pixels)


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
