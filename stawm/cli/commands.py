"""What the commands do: each calls a public function and prints what it gives."""

import json
import sys
from argparse import Namespace
from typing import Any

from stawm.cli import graphs, values
from stawm.cli.printing import show, show_json, show_lines
from stawm.errors import InputError


def demo(args: Namespace) -> None:
    """Train, export and show a small model."""
    from stawm.cli.demo import demo

    show(args, demo(args.data, args.out, quiet=args.json, **args.overrides))


def env(args: Namespace) -> None:
    """Print what stawm runs on."""
    import stawm

    show(args, stawm.environment())


def list_names(args: Namespace) -> None:
    """List registered names, and what could not be plugged in."""
    from stawm import registry

    if args.kind == "recipe":
        from stawm.training import listing

        kept = (name for name in listing.list_recipes() if registry.matches(name, args.pattern or ["*"]))
        recipes = {name: listing.summary(name) for name in kept if not registry.matches(name, args.exclude)}
        lines = [f"  {name:<{max(map(len, recipes))}}  {words}" for name, words in recipes.items()]
        found = [{"kind": listing.FORM, "name": name, "summary": words} for name, words in recipes.items()]
        show_json(found) if args.json else show_lines(lines)
        return
    kinds = list(registry.Kind) if args.kind is None else [registry.as_kind(args.kind)]
    names = {kind: registry.list_names(kind, args.pattern or "*", exclude=args.exclude) for kind in kinds}
    found = [registry.entries(kind)[name] for kind in kinds for name in names[kind]]
    if args.json:
        show_json([{key: getattr(e, key) for key in ("kind", "name", "summary", "origin")} for e in found])
        return
    width = max((len(entry.name) for entry in found), default=0)
    for before, entry in zip([None, *found], found, strict=False):
        heading = [f"{entry.kind}:"] if len(kinds) > 1 and (before is None or before.kind != entry.kind) else []
        show_lines([*heading, f"  {entry.name:<{width}}  {entry.summary}"])
    for plugin in registry.broken_plugins():
        print(f"cannot be used: {plugin}", file=sys.stderr)


def describe(args: Namespace) -> None:
    """Describe a registered name."""
    import stawm
    from stawm.training import listing

    if args.kind == listing.FORM or (args.kind is None and listing.is_recipe(args.name)):
        show(args, listing.describe_recipe(args.name))
        return
    show(args, stawm.describe(args.name, kind=args.kind))


def cite(args: Namespace) -> None:
    """Print BibTeX."""
    import stawm

    print(stawm.cite(stawm.config(args.preset, **args.overrides)))


def train(args: Namespace) -> None:
    """Train a model; of several processes, one speaks."""
    from accelerate import PartialState

    from stawm.training import train, train_seeds
    from stawm.training.options import NAMES

    options = {name: getattr(args, name) for name in NAMES if name in args}
    options["quiet"] = options.get("quiet", False) or args.json
    given = {"data": args.data, "out": args.out, "recipe": args.recipe, "options": options, **args.overrides}
    if args.seeds is not None:
        found = train_seeds(args.preset, seeds=args.seeds, **given)
        if PartialState().is_main_process:
            show(args, found)
        return
    result = train(args.preset, **given)
    if PartialState().is_main_process:
        show(args, result.evaluation, result.verdict)


def evaluate(args: Namespace) -> None:
    """Measure a model, and draw what was measured and where it looked."""
    from stawm.models.pixels import to_unit
    from stawm.storage.pretrained import find_model
    from stawm.training import data, evaluate

    if args.picture is not None and args.picture == args.looks:
        raise InputError(f"--picture and --looks are both {args.picture}: name two files.")
    of_graph = graphs.is_graph(args.model)
    model: Any = graphs.measured(args) if of_graph else find_model(args.model)
    if of_graph and (args.looks or (args.picture and not model.config.classifies)):
        raise InputError("Where a model looks and what it draws is pictured of its checkpoint, not of its graph.")
    _check_pictures(args, model.config)
    train, test = splits(args, model)
    if args.validation:
        train, test = data.hold_out_last(train, args.validation)
    fit = None if of_graph else train
    found = evaluate(model, test, by_glimpse=True, by_class=True, fit=fit, samples=args.samples)
    show(args, found)
    some = data.aligned(test.take(slice(0, 8)), model.config)
    pixels = to_unit(some.images[:])
    if args.picture:
        from stawm import viz

        picture = viz.evaluation(found) if model.config.classifies else viz.drawings(model, pixels)
        viz.save(picture, args.picture)
    if args.looks:
        from stawm import viz

        viz.save(viz.looks(model, pixels, some.labels), args.looks)


def _check_pictures(args: Namespace, config: Any) -> None:
    """Raise an InputError where a model gives nothing to picture, before it is measured."""
    looks = config.glimpses is not None
    if args.looks and not looks:
        raise InputError(f"{config.name} takes no glimpses, so there are none for --looks to show.")
    if args.picture and not (config.classifies or (config.draws and looks)):
        raise InputError(f"{config.name} neither classifies nor draws from glimpses: there is nothing for --picture.")


def diagnose(args: Namespace) -> None:
    """Examine a model's health: where it looks, and what its memory holds."""
    import stawm
    from stawm.storage.pretrained import find_model

    model: Any = find_model(args.model)
    images = splits(args, model).test.take(slice(0, args.images)).images[:]
    report = stawm.diagnose(model, images)
    show(args, report)
    if args.picture:
        from stawm import viz

        viz.save(viz.health(report), args.picture)


def inspect(args: Namespace) -> None:
    """Show what is in a checkpoint, an ONNX file or a folder of step graphs."""
    import stawm
    from stawm.storage.pretrained import resolve_weights

    if graphs.is_graph(args.file):
        graphs.inspect(args)
        return
    said = stawm.inspect(resolve_weights(args.file)).as_dict()
    if args.json:
        show_json(said)
        return
    for key, value in said.items():
        inner = [f"  {name}: {json.dumps(part)}" for name, part in value.items()] if isinstance(value, dict) else []
        show_lines([f"{key}:" if inner else f"{key}: {value or 'none' if isinstance(value, dict) else value}", *inner])


def splits(args: Namespace, model: Any) -> Any:
    """Return the data that a command is given, as the model takes it."""
    from stawm.training import data

    resize = model.config.resize if args.resize is True else args.resize
    given = {"image": model.config.image, "resize": resize, "download": args.download, "held_out": args.held_out}
    return data.load(args.data, **given, **values.data_fields(args))
