"""A model's site: a folder of static files that any web server can give, from any path."""

import base64
import contextlib
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from statistics import median
from typing import Any, Literal

from stawm._version import __version__
from stawm.configuration.names import as_file_name
from stawm.errors import InputError, shown
from stawm.export.file.inspection import inspect
from stawm.export.file.writing import put_in_place
from stawm.export.graphs.fields import available
from stawm.export.graphs.names import PARTS
from stawm.export.proof.verification import BATCHES
from stawm.export.serve.looking import UNTIL
from stawm.export.table import table
from stawm.export.write.exporting import to_onnx
from stawm.export.write.sidecar import contents
from stawm.models.model import Model, Stawm
from stawm.models.pixels import to_unit
from stawm.text import Readable
from stawm.web.samples import samples
from stawm.web.selftest import self_test

FORMAT = "1"
MARK = "stawm.web"
INDEX = "site.json"
WANTED = ("logits", "canvas", "pose", "corners", "glimpses", "confidence", "matrix", "shares")
"""The outputs that the page shows, of those that a model has."""


@dataclass(frozen=True, kw_only=True)
class Site(Readable):
    """What was written.

    Attributes:
        path: The folder.
        models: The bytes of each model, by the name that it has on the page.
        size: The bytes of all files.
    """

    path: Path
    models: Mapping[str, int]
    size: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"path": str(self.path), "models": dict(self.models), "size": self.size}

    def __str__(self) -> str:
        rows = [(name, f"{size / 1e6:.1f}") for name, size in self.models.items()]
        rows.append(("page and runtime", f"{(self.size - sum(self.models.values())) / 1e6:.1f}"))
        return table((f"{self.path}/", "MB"), [*rows, ("together", f"{self.size / 1e6:.1f}")])


def write_site(
    models: Sequence[Model],
    out: Path,
    *,
    weights: Literal["fp32", "fp16"] = "fp16",
    title: str = "",
    pictures: Sequence[Path] = (),
    until: float | None = None,
    command: str = "",
    project_url: str | None = None,
    batches: Sequence[int] = BATCHES,
) -> Site:
    """Write a site on which people can watch models look.

    Each model is exported as a steered step graph, proved equal to it, and gets a file by which the page proves itself
    in the browser. The folder appears under its name when all of it is there.

    Args:
        models: Models that classify or draw, in the order in which they are offered.
        out: The folder; one that holds another site is replaced.
        weights: How their weights are stored. ``"fp16"`` halves the files; where the weights are no halves already, it
            rounds them.
        title: What the page is called.
        pictures: Pictures to try the models on, in place of the ten digits that come with the package.
        until: The probability at which a model stops at first, until somebody moves the slider. Left out, the model's
            tuned thresholds decide (``model.stopping``), where it has any. Else it is that of
            `OnnxModel.look`; a model that draws too takes all glimpses, so that its picture is finished.
        command: The command that the page shows as the one that made it.
        project_url: Where the page's link to the project leads. Left out it is what the installed package names as its
            home page, and where it names none there is no link.
        batches: The sizes of the batches that the graphs are proved with.

    Raises:
        InputError: A model neither classifies nor draws, or takes no glimpses; the folder holds something else; a
            picture cannot be read; the project's address is none of the web.
        ExportError: A model cannot be exported.
    """
    url = project() if project_url is None else _checked_url(project_url)
    checked = [_checked(model) for model in models]
    if not checked:
        raise InputError("A site is of at least one model; got none.")
    out = check_site(out)
    folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        here = Path(str(resources.files("stawm"))) / "web"
        shutil.copytree(here / "page", folder, dirs_exist_ok=True)
        shutil.copytree(here / "runtime", folder / "runtime")
        sizes = {}
        for model in checked:
            name = _free_name(as_file_name(model.config.name), sizes)
            place = folder / "models" / name
            place.parent.mkdir(exist_ok=True)
            _write_model(model, place, pictures, until, weights=weights, batches=batches)
            sizes[name] = _size(place)
        said = {"title": title, "version": __version__, "project": url, "command": command}
        said |= {"models": list(sizes)}
        _write_json(folder / INDEX, said)
        folder.chmod(0o755)
        size = _size(folder)
        put_in_place(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Site(path=out, models=sizes, size=size)


def project() -> str | None:
    """Return the address of the project, as the installed package names it."""
    with contextlib.suppress(PackageNotFoundError):
        for entry in metadata("stawm").get_all("Project-URL") or []:
            label, _, url = entry.partition(", ")
            if label.lower() in ("homepage", "source", "repository"):
                return url
    return None


def _checked_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", url):
        raise InputError(f"The project's address must be one of the web, https://...; got {shown(url)}.")
    return url


def check_site(out: Path) -> Path:
    """Return the folder that a site is written to, made absolute.

    Raises:
        InputError: It holds something else, or has nowhere to be.
    """
    out = Path(out).absolute()
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} is not a folder, so {out.name} cannot be written there.")
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or _is_site(out))):
        raise InputError(f"{out} holds other files, which a site would replace: choose another name.")
    return out


def _is_site(folder: Path) -> bool:
    try:
        found = json.loads((folder / INDEX).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and MARK in found


def _checked(model: Any) -> Stawm:
    if not isinstance(model, Model):
        raise InputError(f"A site is of models that stawm.build or stawm.load made; got {type(model).__name__}.")
    name = model.config.name
    if not isinstance(model, Stawm):
        raise InputError(f"{name} takes no glimpses, so there is nothing to watch: a page takes models that do.")
    if not (model.config.classifies or model.config.draws):
        heads = ", ".join(head.name for head in model.config.heads)
        raise InputError(f"{name} neither classifies nor draws (its heads: {heads}), and a page shows nothing else.")
    return model


def _free_name(name: str, taken: Mapping[str, int]) -> str:
    """Return a name that no other model has: the second of a name ends with 2."""
    free = (one for one in (name, *(f"{name}-{i}" for i in range(2, len(taken) + 2))) if one not in taken)
    return next(free)


def _write_model(model: Stawm, place: Path, pictures: Sequence[Path], until: float | None, **options: Any) -> None:
    """Export a model to a folder, and write what the page has to know of it.

    Args:
        model: The model.
        place: The folder.
        pictures: Pictures to try it on.
        until: When it stops at first.
        **options: What `to_onnx` is told besides.
    """
    names, pixels = samples(model.config, pictures)
    outputs = [name for name in WANTED if name in available(model, "steered")]
    report = to_onnx(model, place, graph="step", outputs=outputs, steered=True, **options)
    info = inspect(place).info
    fields = (*info.plan.fields, "glimpse_logits") if model.config.classifies else info.plan.fields
    cases = self_test(model, info.plan._replace(fields=fields), report, model.normalise(to_unit(pixels)))
    _write_json(place / "selftest.json", {"cases": cases})
    known = [
        {"name": name, "pixels": base64.b64encode(image.contiguous().numpy().tobytes()).decode("ascii")}
        for name, image in zip(names, pixels, strict=True)
    ]
    said = {
        **contents(place),
        **_stopping(model, until),
        "samples": known,
        "files": {part: _facts(place / f"{part}.onnx") for part in PARTS},
        "self_test": _facts(place / "selftest.json"),
    }
    _write_json(place / "model.json", said)


def _stopping(model: Stawm, until: float | None) -> dict[str, Any]:
    """Return when a model stops at first: where the slider stands, and thresholds that were tuned instead."""
    tuned = model.stopping if until is None else None
    if tuned is None:
        return {"until": until or (1.0 if model.config.draws else UNTIL)}
    real = [threshold for threshold in tuned.thresholds if 0 < threshold < 1]
    said = {"thresholds": tuned.thresholds, "temperatures": tuned.temperatures}
    return {"until": median(real) if real else UNTIL, "stopping": said}


def _write_json(path: Path, said: Mapping[str, Any]) -> None:
    path.write_text(json.dumps({MARK: FORMAT, **said}, sort_keys=True) + "\n", encoding="utf-8")


def _facts(path: Path) -> dict[str, Any]:
    """Return what a page checks a file by."""
    data = path.read_bytes()
    return {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
