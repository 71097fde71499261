"""What the commands do: each calls a public function and prints what it gives."""

import json
import sys
from argparse import Namespace
from fnmatch import fnmatchcase
from typing import Any

from stawm.cli import graphs


def demo(args: Namespace) -> None:
    """Train, export and show a small model."""
    from stawm.cli.demo import demo

    graphs.show(args, demo(args.data, args.out, quiet=args.json, **args.overrides))


def list_names(args: Namespace) -> None:
    """List registered names, and what could not be plugged in."""
    from stawm import registry

    if args.kind == "recipe":
        from stawm.training import listing

        recipes = {name: listing.summary(name) for name in _matching(listing.list_recipes(), args)}
        lines = [f"  {name:<{max(map(len, recipes))}}  {words}" for name, words in recipes.items()]
        found = [{"kind": listing.FORM, "name": name, "summary": words} for name, words in recipes.items()]
        print(json.dumps(found) if args.json else "\n".join(lines))
        return
    kinds = list(registry.Kind) if args.kind is None else [registry.as_kind(args.kind)]
    names = {kind: registry.list_names(kind, args.pattern or "*", exclude=args.exclude) for kind in kinds}
    found = [registry.entries(kind)[name] for kind in kinds for name in names[kind]]
    if args.json:
        print(json.dumps([{key: getattr(e, key) for key in ("kind", "name", "summary", "origin")} for e in found]))
        return
    width = max((len(entry.name) for entry in found), default=0)
    for before, entry in zip([None, *found], found, strict=False):
        if len(kinds) > 1 and (before is None or before.kind != entry.kind):
            print(f"{entry.kind}:")
        print(f"  {entry.name:<{width}}  {entry.summary}")
    for plugin in registry.broken_plugins():
        print(f"cannot be used: {plugin}", file=sys.stderr)


def describe(args: Namespace) -> None:
    """Describe a registered name."""
    import stawm
    from stawm.training import listing

    if args.kind == listing.FORM or (args.kind is None and listing.is_recipe(args.name)):
        found = listing.describe_recipe(args.name)
        print(json.dumps(found.as_dict()) if args.json else found)
        return
    graphs.show(args, stawm.describe(args.name, kind=args.kind))


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
            print(json.dumps(found.as_dict()) if args.json else found)
        return
    result = train(args.preset, **given)
    if PartialState().is_main_process:
        graphs.show(args, result.evaluation, result.verdict)


def evaluate(args: Namespace) -> None:
    """Measure a model, and draw what was measured and where it looked."""
    from stawm.storage.pretrained import find_model
    from stawm.training import data, evaluate

    model = find_model(args.model)
    train, test = _splits(args, model)
    if args.validation:
        train, test = data.hold_out_last(train, args.validation)
    found = evaluate(model, test, by_glimpse=True, by_class=True, fit=train)
    some = test.take(slice(0, 8))
    pixels = some.images[:].float() / 255
    if args.picture:
        from stawm import viz

        picture = viz.drawings(model, pixels) if found.confusion is None else viz.evaluation(found)
        picture.savefig(args.picture)
    if args.looks:
        from stawm import viz

        viz.looks(model, pixels, some.labels).savefig(args.looks)
    graphs.show(args, found)


def diagnose(args: Namespace) -> None:
    """Examine a memory's health."""
    import stawm
    from stawm.storage.pretrained import find_model

    model: Any = find_model(args.model)
    images = _splits(args, model).test.take(slice(0, args.images)).images[:]
    report = stawm.diagnose(model, images)
    if args.picture:
        from stawm import viz

        viz.health(report).savefig(args.picture)
    graphs.show(args, report)


def inspect(args: Namespace) -> None:
    """Show what a checkpoint, an ONNX file or a folder of step graphs says of itself."""
    import stawm
    from stawm.storage.pretrained import resolve_weights

    if graphs.is_graph(args.file):
        graphs.inspect(args)
        return
    said = stawm.inspect(resolve_weights(args.file)).as_dict()
    print(json.dumps(said) if args.json else "\n".join(f"{key}: {_readable(value)}" for key, value in said.items()))


def _matching(names: list[str], args: Namespace) -> list[str]:
    patterns = args.pattern or ["*"]
    kept = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
    return [name for name in kept if not any(fnmatchcase(name, pattern) for pattern in args.exclude)]


def _splits(args: Namespace, model: Any) -> Any:
    from stawm.training import data

    return data.load(args.data, image=model.config.image, resize=args.resize, download=args.download)


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {key}: {json.dumps(inner)}" for key, inner in value.items()) or "none"
    return str(value)
