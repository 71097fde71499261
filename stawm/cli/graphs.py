"""The commands ``stawm export``, ``verify`` and ``run``, and what ``stawm inspect`` shows of a graph."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stawm.cli import values
from stawm.cli.printing import show, show_json
from stawm.cli.shown import CALIBRATED, shown
from stawm.errors import InputError

MODEL = "a checkpoint, a folder with one, a preset whose weights come with the package, or user/name on the hub"
"""What stands for a trained model."""
DEVICES = ("auto", "cpu", "cuda", "tensorrt")
DATA = "images to judge the graph by, of its test part: a data set, or folder:PATH"


def add_parsers(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to a command line.

    Args:
        add: Adds a command, given what it runs, its name and words for it, and returns its parser.
    """
    _export(add(export, "export", "write a model as verified ONNX"))
    _verify(add(verify, "verify", "prove that an ONNX file is equal to a model"))
    _bench(add(bench, "bench", "compare a model in every format: size, time, error, agreement"))
    _run(add(run_images, "run", "run an ONNX file or a model over images"))


def export(args: argparse.Namespace) -> None:
    """Write a model as verified ONNX, and if asked for as a Triton model repository."""
    from stawm.export.proof.report import VerificationError
    from stawm.export.triton import write_repository
    from stawm.export.write.exporting import to_onnx
    from stawm.storage.pretrained import find_model

    (values.try_file if args.graph == "rollout" else values.try_folder)(args.out)
    if args.triton is not None and args.graph != "rollout":
        raise InputError("Triton serves a rollout, not a step graph: leave out --triton, or take --graph rollout.")
    model = find_model(args.model)
    images, labels, calibration = shown(model, args)
    try:
        report = to_onnx(
            model,
            args.out,
            graph=args.graph,
            glimpses=args.glimpses,
            precision=args.precision,
            weights=args.weights,
            opset=args.opset,
            outputs="all" if args.outputs == ["all"] else args.outputs,
            sample=args.sample,
            steered=args.steered,
            sidecar=args.sidecar,
            images=images,
            labels=labels,
            calibration=calibration,
            bounds=bounds_of(args),
            device=args.device,
        )
    except VerificationError as error:
        show(args, error.report)
        raise
    if args.triton is None:
        show(args, report)
        return
    served = write_repository(args.out, args.triton)
    if args.json:
        show_json(report.as_dict() | {"triton": served.as_dict()})
    else:
        show(args, report, "")
        show(args, served)


def verify(args: argparse.Namespace) -> None:
    """Prove that a file is equal to a model."""
    from stawm.export.proof.report import VerificationError
    from stawm.export.write.verifying import verify
    from stawm.storage.pretrained import find_model

    model = find_model(args.model)
    images, labels, _ = shown(model, args)
    options: Any = {"images": images, "labels": labels, "bounds": bounds_of(args)}
    try:
        show(args, verify(args.graph, model, device=args.device, **options))
    except VerificationError as error:
        show(args, error.report)
        raise


def bench(args: argparse.Namespace) -> None:
    """Compare a model in every format, and fail where one does not answer as the model does."""
    from stawm.export.formats.bench import bench, check
    from stawm.storage.pretrained import find_model

    model = find_model(args.model)
    images, labels, calibration = shown(model, args)
    options: Any = {"images": images, "labels": labels, "calibration": calibration, "bounds": bounds_of(args)}
    found = bench(model, formats=args.formats, rounds=args.rounds, threads=args.threads, **options)
    show(args, found)
    check(found)


def run_images(args: argparse.Namespace) -> None:
    """Run a file, or a model, over images."""
    from stawm.export.serve.folder import run_folder

    show(args, run_folder(_runnable(args), args.images, until=args.until, save=args.save))


def _runnable(args: argparse.Namespace) -> Any:
    """Open a graph; a checkpoint, or a preset whose weights come with the package, is run by PyTorch."""
    if is_graph(args.graph):
        from stawm.export.serve.session import OnnxModel

        return OnnxModel(args.graph, device=args.device, allow_fallback=args.allow_fallback, threads=args.threads)
    import torch

    from stawm.export.serve.live import LiveModel
    from stawm.storage.pretrained import find_model

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    return LiveModel(find_model(args.graph), args.device)


def measured(args: argparse.Namespace) -> Any:
    """Open a graph as what is measured."""
    from stawm.export.serve.measured import MeasuredGraph
    from stawm.export.serve.session import OnnxModel

    return MeasuredGraph(OnnxModel(args.model))


def inspect(args: argparse.Namespace) -> None:
    """Show what the file of a graph is."""
    from stawm.export.file.inspection import inspect

    show(args, inspect(Path(args.file)))


def is_graph(given: str) -> bool:
    """Whether a path is that of a graph and not of a checkpoint: an ONNX file, or a folder without a checkpoint."""
    from stawm.storage.recognise import FileKind, what_is

    path = Path(given)
    if path.is_file() and (kind := what_is(path)) in (FileKind.ONNX, FileKind.SAFETENSORS):
        return kind is FileKind.ONNX
    return path.suffix.lower() == ".onnx" or (path.is_dir() and not (path / "model.safetensors").is_file())


def bounds_of(args: argparse.Namespace) -> Any:
    """Return how far a graph may be from its model, where that is asked for."""
    if args.agreement is None:
        return None
    from stawm.export.proof.behaviour import Bounds

    return Bounds(agreement=args.agreement)


def add_judging(parser: argparse.ArgumentParser) -> None:
    """Add what a graph is judged by."""
    parser.add_argument("--data", help=DATA)
    words = "the share of images whose class, poses and drawing must be the model's (default: 0.995)"
    parser.add_argument("--agreement", type=values.certainty, metavar="P", help=words)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def add_calibrating(parser: argparse.ArgumentParser) -> None:
    """Add on how many images ranges are measured."""
    words = f"in int8, on how many training images ranges are measured (default: {CALIBRATED}; 0: convolutions in fp32)"
    parser.add_argument("--calibrate", type=values.at_least(0), metavar="N", help=words)


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help=MODEL)
    parser.add_argument("out", type=Path, help="the file to write; for a step graph a folder")
    parser.add_argument("--graph", choices=("rollout", "step"), default="rollout", help="all at once, or one by one")
    parser.add_argument(
        "--glimpses", type=values.at_least(1), metavar="N", help="how many are taken; the model's number if left out"
    )
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32")
    parser.add_argument("--weights", choices=("fp32", "fp16"), default="fp32", help="how they are stored")
    parser.add_argument("--opset", type=values.at_least(1), metavar="N", default=18)
    parser.add_argument("--outputs", type=_names, help="fields of the output, commas between, or all")
    parser.add_argument("--sidecar", action="store_true", help="also write what the file says of itself as JSON")
    add_judging(parser)
    add_calibrating(parser)
    parser.add_argument("--sample", action="store_true", help="make the random numbers inputs of the graph")
    parser.add_argument("--steered", action="store_true", help="of a step graph: make poses and writes inputs too")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where it is verified")
    parser.add_argument(
        "--triton", type=values.folder, metavar="DIR", help="also put it into a Triton model repository"
    )


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("graph", type=Path, help="the ONNX file, or the folder of a step graph")
    parser.add_argument("model", help=MODEL)
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where the graph is run")
    add_judging(parser)


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(precision="int8")  # which one of the formats is: its ranges are measured too
    parser.add_argument("model", help=MODEL)
    add_judging(parser)
    add_calibrating(parser)
    parser.add_argument("--formats", type=_names, help="their names, commas between; all if left out")
    parser.add_argument("--rounds", type=values.at_least(1), metavar="N", default=15, help="how often each is timed")
    parser.add_argument("--threads", type=values.at_least(1), metavar="N", help="how many threads a run takes")


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("graph", help=f"an ONNX file, the folder of a step graph, or {MODEL}")
    parser.add_argument("images", type=Path, nargs="+", help="images, and folders of images")
    words = (
        "of a step graph or a model: look at each image until the answer is so certain, say 0.9; models trained with "
        "smoothed labels are never 0.98 sure, and look on to the end; 'tuned': as stawm tune-stop found"
    )
    parser.add_argument("--until", type=values.certainty, metavar="P", help=words)
    parser.add_argument("--save", type=values.folder, metavar="DIR", help="save what is drawn there")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--allow-fallback", action="store_true", help="let the CPU stand in for a GPU")
    parser.add_argument(
        "--threads", type=values.at_least(1), metavar="N", help="how many threads a run on the CPU takes"
    )
