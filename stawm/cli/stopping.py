"""The command ``stawm tune-stop``: when a model has looked enough, found on held-out images and kept with it."""

from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

from stawm.cli.graphs import is_graph
from stawm.cli.printing import show
from stawm.errors import InputError


def tune_stop(args: Namespace) -> None:
    """Find thresholds and write the checkpoint, or the step graph, with them."""
    (_of_graph if is_graph(args.model) else _of_checkpoint)(args)


def _of_graph(args: Namespace) -> None:
    from stawm.cli.values import try_folder
    from stawm.export.serve.measured import MeasuredGraph
    from stawm.export.serve.session import OnnxModel
    from stawm.export.write.tuned import check_tunable, keep_stopping
    from stawm.training import tune_stop

    out = args.out or Path(args.model)
    try_folder(out)
    graph = OnnxModel(args.model)
    check_tunable(graph.info)
    model = MeasuredGraph(graph)
    images, words = _held_out(args, model, {}, "A graph")
    augmentation = augmentation_of({}, "A graph") if args.augment else None
    found = tune_stop(model, images, augmentation=augmentation, data=words, **_goal(args))
    show(args, keep_stopping(args.model, found, out), f"saved {out}")


def _of_checkpoint(args: Namespace) -> None:
    from stawm.storage.checkpoint import inspect, load, save
    from stawm.storage.pretrained import resolve_weights
    from stawm.training import tune_stop
    from stawm.training.stopping import check_looks

    path = resolve_weights(args.model)
    out = _place(args, path)
    info, model = inspect(path), load(path)
    check_looks(model)
    images, words = _held_out(args, model, info.provenance)
    augmentation = augmentation_of(info.provenance) if args.augment else None
    model.stopping = tune_stop(model, images, augmentation=augmentation, data=words, **_goal(args))
    save(model, out, provenance=info.provenance, dtype=info.storage)
    show(args, model.stopping, f"saved {out}")


def _goal(args: Namespace) -> dict[str, Any]:
    """Return what is asked of the thresholds."""
    goal = {"glimpses": args.glimpses} if args.error is None else args.error
    return goal | ({} if args.certainty is None else {"certainty": args.certainty})


def error(given: str) -> dict[str, float]:
    """Read an error: a share or a percentage; with a plus, above that of all glimpses."""
    name, number = ("extra_error", given[1:]) if given.startswith("+") else ("error", given)
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"must be a share such as 0.5% or 0.005, or with a plus +0.05%; got {given!r}")
    return {name: value}


def _place(args: Namespace, path: Path) -> Path:
    """Return where the checkpoint is written to: in its own place where it is a file of the user's.

    Raises:
        InputError: It comes with the package or from the hub, and no other place is given.
    """
    from stawm.cli.values import try_file

    if args.out is None and not Path(args.model).exists():
        raise InputError(f"{args.model} is no file of yours to keep thresholds in: say where to with --out FILE.")
    out = args.out or path
    try_file(out)
    return out


def _held_out(args: Namespace, model: Any, provenance: Any, what: str = "The checkpoint") -> tuple[Any, str]:
    """Return held-out images, and what they are: by the checkpoint's own note where nobody says.

    Raises:
        InputError: It is neither noted nor said.
    """
    from stawm.cli.commands import splits
    from stawm.training import data

    noted = provenance.get("validation")
    count = args.validation if args.validation is not None else noted
    if not isinstance(count, int) or (count == 0 and args.validation is None):
        raise InputError(
            f"{what} does not say that images were held out from its training: give --validation N for the last "
            "N training images, best with --augment where it was trained on them, or 0 for the test images."
        )
    train, test = splits(args, model)
    source = str(args.data).partition(":")[0]
    changed = ", augmented as in training" if args.augment else ""
    if count == 0:
        return test, f"the test part of {source}{changed}"
    return data.hold_out_last(train, count).test, f"the last {count:,} training images of {source}{changed}"


def augmentation_of(provenance: Any, what: str = "The checkpoint") -> Any:
    """Return how the images of a model's training were changed.

    Raises:
        InputError: The checkpoint does not say.
    """
    from stawm.configuration import make
    from stawm.training.data.augment import Augmentation

    recipe = provenance.get("recipe")
    fields = recipe.get("augmentation") if isinstance(recipe, dict) else None
    if not isinstance(fields, dict):
        raise InputError(f"{what} does not say how the images of its training were augmented: leave out --augment.")
    return make(Augmentation, fields, "the augmentation of the checkpoint")
