"""What the commands do: each calls a public function and prints what it gives."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stawm.errors import InputError


def demo(args: Namespace) -> None:
    """Train, export and show a small model."""
    from stawm.demo import demo

    _print(args, demo(args.data, args.out, quiet=args.json, **args.overrides))


def list_names(args: Namespace) -> None:
    """List registered names, and what could not be plugged in."""
    from stawm import registry

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

    _print(args, stawm.describe(args.name, kind=args.kind))


def cite(args: Namespace) -> None:
    """Print BibTeX."""
    import stawm

    print(stawm.cite(stawm.config(args.preset, **args.overrides)))


def train(args: Namespace) -> None:
    """Train a model; of several processes, one speaks."""
    from accelerate import PartialState

    from stawm.training import train

    result = train(
        args.preset,
        data=args.data,
        out=args.out,
        recipe=args.recipe,
        seed=args.seed,
        precision=args.precision,
        validation=args.validation,
        resize=args.resize,
        download=args.download,
        cpu=args.cpu,
        quiet=args.quiet or args.json,
        **args.overrides,
    )
    if PartialState().is_main_process:
        _print(args, result.evaluation, f"saved {result.checkpoint}")


def evaluate(args: Namespace) -> None:
    """Measure a model, and draw where it looked."""
    import stawm
    from stawm.training import evaluate

    model = stawm.load(args.checkpoint)
    images = _images(args, model)
    if args.picture:
        from stawm import viz

        some = images.take(slice(0, 8))
        viz.looks(model, some.images.float() / 255, some.labels).savefig(args.picture)
    _print(args, evaluate(model, images, by_glimpse=True))


def diagnose(args: Namespace) -> None:
    """Examine a memory's health."""
    import stawm

    model: Any = stawm.load(args.checkpoint)
    images = _images(args, model).take(slice(0, args.images)).images
    report = stawm.diagnose(model, model.normalise(images.float() / 255))
    if args.picture:
        from stawm import viz

        viz.health(report).savefig(args.picture)
    _print(args, report)


def export(args: Namespace) -> None:
    """Write a verified ONNX file."""
    import stawm

    report = stawm.export.to_onnx(
        stawm.load(args.checkpoint),
        args.out,
        graph=args.graph,
        glimpses=args.glimpses,
        precision=args.precision,
        opset=args.opset,
        outputs=args.outputs,
        sample=args.sample,
    )
    _print(args, report)


def verify(args: Namespace) -> None:
    """Prove that a file is equal to a model."""
    import stawm

    _print(args, stawm.export.verify(args.graph, stawm.load(args.checkpoint)))


def run(args: Namespace) -> None:
    """Classify images with an ONNX file."""
    import stawm
    from stawm.export.report import table

    files = _image_files(args.images)
    onnx = stawm.export.OnnxModel(args.graph, device=args.device)
    looked = None if args.until is None else onnx.look(files, until=args.until)
    logits = onnx(files).logits if looked is None else looked.logits
    if logits is None:
        raise InputError(f"{args.graph} has no output 'logits', so it has no answers to print.")
    chances, answers = logits.exp().max(dim=1)
    names = onnx.info.class_names
    rows = [
        {"file": str(file), "answer": names[answer] if names else str(answer), "probability": chance}
        for file, answer, chance in zip(files, answers.tolist(), chances.tolist(), strict=True)
    ]
    if looked is not None:
        rows = [{**row, "glimpses": count} for row, count in zip(rows, looked.glimpses.tolist(), strict=True)]
    if args.json:
        print(json.dumps(rows))
        return
    cells = [[f"{v:.2%}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    print(table(list(rows[0]), cells))


def inspect(args: Namespace) -> None:
    """Show what a checkpoint, an ONNX file or a folder of step graphs says of itself."""
    import stawm

    if args.file.suffix == ".onnx" or args.file.is_dir():
        _print(args, stawm.export.inspect(args.file))
        return
    said = stawm.inspect(args.file).as_dict()
    print(json.dumps(said) if args.json else "\n".join(f"{key}: {_readable(value)}" for key, value in said.items()))


def _image_files(paths: Sequence[Path]) -> list[Path]:
    """Return image files, with those in a folder in the place of the folder."""
    from PIL import Image

    kinds = Image.registered_extensions()
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in kinds) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path} holds no image.")
        found += inside
    return found


def _images(args: Namespace, model: Any) -> Any:
    """Load the images to test on, in the model's form."""
    from stawm.training import data

    return data.load(args.data, image=model.config.image, resize=args.resize, download=args.download).test


def _print(args: Namespace, found: Any, *more: str) -> None:
    """Print what was found as JSON, or laid out for reading."""
    if args.json:
        print(json.dumps(found.as_dict()))
        return
    print(found)
    for line in more:
        print(line)


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {key}: {json.dumps(inner)}" for key, inner in value.items()) or "none"
    return str(value)
