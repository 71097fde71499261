"""What other packages, and scripts, bring: found and imported so that their worst behaviour stays their own."""

import contextlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from stawm.errors import InputError, shown

Found = list[tuple[EntryPoint, str]]


def installed(group: str) -> tuple[Found, list[tuple[str, str]]]:
    """Return the entry points of a group, each with the distribution that brings it; nothing is imported.

    Args:
        group: The group.

    Returns:
        The entry points, and the distributions whose entry points cannot be read, each with the reason.
    """
    try:
        points = [*entry_points(group=group)]
    except Exception:  # one malformed file anywhere ends the reading of all
        return _one_by_one(group)
    return [(point, _origin(point.dist)) for point in points], []


def _one_by_one(group: str) -> tuple[Found, list[tuple[str, str]]]:
    found: dict[str, tuple[EntryPoint, str]] = {}
    unreadable = []
    for distribution in distributions():
        origin = _origin(distribution)
        try:
            points = distribution.entry_points.select(group=group)
        except Exception as error:  # whatever the parser says of a file that is none
            unreadable.append((origin, f"its entry points cannot be read ({type(error).__name__}: {error})"))
            continue
        for point in points:
            found.setdefault(f"{origin} {point.name}", (point, origin))
    return [*found.values()], unreadable


def _origin(distribution: Distribution | None) -> str:
    try:
        assert distribution is not None
        return f"{distribution.name} {distribution.version}"
    except Exception:  # metadata that is not there, or is malformed
        return "an unknown distribution"


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Send what a module prints while it is imported to standard error: standard output is the answer's."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def import_script(path: Path) -> ModuleType:
    """Import a file of Python that registers components or presets.

    Args:
        path: The file; its folder is searched for what it imports itself.

    Raises:
        InputError: It is not there, is no Python, or fails; the message says how.
    """
    if not path.is_file() or path.suffix != ".py":
        raise InputError(f"--import takes a file of Python, such as my_file.py; got {shown(str(path))}.")
    name = re.sub(r"\W", "_", path.stem)
    present = sys.modules.get(name)
    if present is not None and getattr(present, "__file__", None) == str(path.resolve()):
        return present
    name = name if present is None else f"script_{name}"
    spec = spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(str(path.resolve().parent))
    try:
        with quietly():
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises, sys.exit too
        sys.modules.pop(name, None)
        place = _place(error, path)
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}{place}.") from error
    return module


def _place(error: BaseException, path: Path) -> str:
    """Say at which line of a file an error was raised."""
    lines, traceback = [], error.__traceback__
    while traceback is not None:
        if Path(traceback.tb_frame.f_code.co_filename).name == path.name:
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return f" (line {lines[-1]})" if lines else ""
