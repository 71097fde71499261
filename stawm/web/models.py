"""One model of a site: its graphs, the file by which the page proves itself, and what the page has to know of it."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from stawm.errors import ExportError, InputError
from stawm.export.file.inspection import inspect
from stawm.export.graphs.fields import available
from stawm.export.graphs.names import PARTS
from stawm.export.graphs.plan import without_step
from stawm.export.proof.behaviour import Bounds
from stawm.export.proof.report import VerificationError
from stawm.export.serve.looking import UNTIL
from stawm.export.write.exporting import to_onnx
from stawm.export.write.sidecar import contents
from stawm.models.model import Model, Stawm
from stawm.models.pixels import to_unit
from stawm.web.questions import is_asked, questions, unaskable
from stawm.web.samples import are_digits, samples
from stawm.web.selftest import self_test
from stawm.web.selftest_int8 import self_test_in_int8

FORMAT = "1"
MARK = "stawm.web"
WANTED = ("logits", "canvas", "pose", "corners", "glimpses", "confidence", "matrix", "shares", "answers")
"""The outputs that the page shows, of those that a model has."""


def check_model(model: Any) -> Stawm:
    """Return a model that a page can show.

    Raises:
        InputError: It is none, or a page shows nothing of it.
    """
    if not isinstance(model, Model):
        raise InputError(f"A site is of models that stawm.build or stawm.load made; got {type(model).__name__}.")
    name = model.config.name
    if model.config.glimpses is None:
        raise InputError(f"{name} takes no glimpses, so there is nothing to watch: a page takes models that do.")
    if not isinstance(model, Stawm):
        family = getattr(model.config, "family", "")
        raise InputError(f"{name} is of the family {family!r}, and a page shows models of the family 'stawm' alone.")
    if reason := without_step(model):
        raise InputError(f"{reason}; a page takes one glimpse after the other.")
    if strange := unaskable(model):
        raise InputError(
            f"{name} has the head {strange[0]!r}, and a page asks only a head 'recall' whose questions are numbered."
        )
    if not (model.config.classifies or model.config.draws or is_asked(model)):
        heads = ", ".join(head.name for head in model.config.heads)
        raise InputError(
            f"{name} neither classifies nor draws nor is asked (its heads: {heads}), and a page shows nothing else."
        )
    return model


def write_model(model: Stawm, place: Path, pictures: Sequence[Path], until: float | None, **options: Any) -> None:
    """Export a model to a folder, and write what the page has to know of it.

    Args:
        model: The model.
        place: The folder.
        pictures: Pictures to try it on.
        until: When it stops at first.
        **options: What `to_onnx` is told besides.

    Raises:
        InputError: A picture cannot be read.
        ExportError: The model cannot be exported, or in int8 does not do what it does in full precision.
    """
    names, pixels = samples(model.config, pictures)
    outputs = [name for name in WANTED if name in available(model, "steered")]
    try:
        report = to_onnx(model, place, graph="step", outputs=outputs, steered=True, **options)
    except VerificationError as error:
        raise _refused(model, error, judged=options.get("images") is not None) from error
    info, images = inspect(place).info, model.normalise(to_unit(pixels))
    if info.precision == "int8":
        cases = self_test_in_int8(model, place, images, options.get("bounds") or Bounds())
    else:
        cases = self_test(model, info.plan, report, images)
    write_json(place / "selftest.json", {"cases": cases})
    known = [
        {"name": name, "pixels": base64.b64encode(image.contiguous().numpy().tobytes()).decode("ascii")}
        for name, image in zip(names, pixels, strict=True)
    ]
    said = {
        **contents(place),
        **stopping_of(model, until, info.precision),
        "questions": questions(model),
        "samples": known,
        "digits": are_digits(model.config, pictures),
        "files": {part: _facts(place / f"{part}.onnx") for part in PARTS},
        "self_test": _facts(place / "selftest.json"),
    }
    write_json(place / "model.json", said)


def _refused(model: Stawm, error: VerificationError, judged: bool) -> Exception:
    """Return what to raise where a graph is not its model; in int8 that is to be expected of some models.

    Args:
        model: The model.
        error: What its proof found.
        judged: Whether it was judged by images of its own kind.
    """
    if error.report.precision != "int8":
        return error
    failures = error.report.failures
    found = "; ".join(f"{check.name}: {check.detail}" for check in failures)
    remedy = ", or ask for less by --agreement" if any(check.name != "error" for check in failures) else ""
    if not judged:
        remedy = ", or name images of its own kind by --data, which it is judged by and measured on"
    return ExportError(
        f"{model.config.name} in int8 does not do what it does in full precision, so no page is written ({found}). "
        f"Leave out --precision int8{remedy}."
    )


def stopping_of(model: Stawm, until: float | None, precision: str) -> dict[str, Any]:
    """Return when a model stops at first: where the slider stands, and thresholds that were tuned instead.

    Thresholds are tuned to how sure a model is, and in int8 it is as sure as another model.
    """
    tuned = model.stopping if until is None and precision == "fp32" else None
    if tuned is None:
        return {"until": until or (1.0 if model.config.draws else UNTIL)}
    real = [threshold for threshold in tuned.thresholds if 0 < threshold < 1]
    said = {"thresholds": tuned.thresholds, "temperatures": tuned.temperatures}
    return {"until": median(real) if real else UNTIL, "stopping": said}


def write_json(path: Path, said: Mapping[str, Any]) -> None:
    """Write a file that the page reads."""
    path.write_text(json.dumps({MARK: FORMAT, **said}, sort_keys=True) + "\n", encoding="utf-8")


def _facts(path: Path) -> dict[str, Any]:
    """Return what a page checks a file by."""
    data = path.read_bytes()
    return {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
