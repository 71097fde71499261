"""A model's site: a folder of static files that any web server can give, from any path."""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, Literal

from stawm._version import __version__
from stawm.configuration.names import as_file_name
from stawm.errors import InputError, shown
from stawm.export.file.writing import put_in_place
from stawm.export.proof.verification import BATCHES
from stawm.export.table import table
from stawm.models.model import Model
from stawm.text import Readable
from stawm.web.models import MARK, check_model, write_json, write_model

INDEX = "site.json"


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
    precision: Literal["fp32", "int8"] = "fp32",
    trial: Callable[[Model], Mapping[str, Any]] | None = None,
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
        models: Models that classify, draw or are asked, in the order in which they are offered.
        out: The folder; one that holds another site is replaced.
        weights: How their weights are stored. ``"fp16"`` halves the files; where the weights are no halves already, it
            rounds them.
        precision: ``"int8"`` computes with weights of 8 bits, which is a quarter of the file; the page then proves that
            it does what the model does, within the bounds of `stawm.export.Bounds`.
        trial: Gives for each model what `to_onnx` judges and measures its graph by: ``images``, ``labels``,
            ``calibration`` and ``bounds``, as far as there are some.
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
        InputError: A model takes no glimpses, or does nothing that a page shows; the folder holds something else; a
            picture cannot be read; the project's address is none of the web.
        ExportError: A model cannot be exported, or in int8 does not do what it does in full precision.
    """
    url = project() if project_url is None else _checked_url(project_url)
    checked = [check_model(model) for model in models]
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
            options = {
                "weights": weights,
                "precision": precision,
                "batches": batches,
                **(trial(model) if trial else {}),
            }
            write_model(model, place, pictures, until, **options)
            sizes[name] = _size(place)
        said = {"title": title, "version": __version__, "project": url, "command": command}
        said |= {"models": list(sizes)}
        write_json(folder / INDEX, said)
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


def _free_name(name: str, taken: Mapping[str, int]) -> str:
    """Return a name that no other model has: the second of a name ends with 2."""
    free = (one for one in (name, *(f"{name}-{i}" for i in range(2, len(taken) + 2))) if one not in taken)
    return next(free)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
