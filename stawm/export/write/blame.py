"""Which component an export failed on, and by what operation: so that a message can name them."""

import linecache
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jaxtyping
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

FOREIGN = tuple(str(Path(file).parent) for file in (torch.__file__, jaxtyping.__file__, Path(__file__).parent))
"""Where code is that does not decide what is computed."""


class Place(NamedTuple):
    """Where something happened.

    Attributes:
        module: The path of the innermost module on the way, and its class.
        line: The source line, with its place.
    """

    module: str
    line: str

    def __str__(self) -> str:
        return f"{self.module}, at {self.line}"


def place_of(frames: Iterable[FrameType], graph: nn.Module) -> Place | None:
    """Return where among frames, the innermost last, a graph's own code was.

    Args:
        frames: The frames.
        graph: The module that was run; only its parts count.
    """
    paths = {id(module): path.removeprefix("model.") for path, module in graph.named_modules() if path}
    module = line = None
    for frame in frames:
        own = frame.f_locals.get(next(iter(frame.f_code.co_varnames), ""))  # of a method, the object itself
        if id(own) in paths:
            module = f"{paths[id(own)]} ({type(own).__name__})"
            line = None
        if module and not frame.f_code.co_filename.startswith(FOREIGN):
            line = _line(frame)
    return None if module is None else Place(module, line or "an operation of its own")


def _line(frame: FrameType) -> str:
    path, number = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(path, number).strip()
    return f"{path.rpartition('/')[2]}:{number}" + (f" ({source})" if source else "")


def place_of_error(error: BaseException, graph: nn.Module) -> Place | None:
    """Return where an error, or what began its chain, was raised."""
    place = None
    while True:
        place = place_of((frame for frame, _ in traceback.walk_tb(error.__traceback__)), graph) or place
        if error.__cause__ is None:
            return place
        error = error.__cause__


class Witness(TorchFunctionMode):
    """Notes, while a graph is traced, where its operations come from.

    Attributes:
        operations: The last place of each operation, by its name in PyTorch.
        fixed: Where a size that was open became a number first.
    """

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph
        self.operations: dict[str, Place] = {}
        self.fixed: Place | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note an operation and do it."""
        if place := self._here():
            self.operations[getattr(func, "__name__", str(func)).strip("_")] = place
        sizes = [size for x in args if isinstance(x, torch.Tensor) for size in x.shape if _is_open(size)]
        found = func(*args, **(kwargs or {}))
        if not all(map(_is_open, sizes)):
            self.fixed = self.fixed or place
        return found

    def __enter__(self) -> "Witness":
        """Watch operations, and the sizes that become numbers."""
        sizes: Any = torch.SymInt
        self._convert = (sizes.__index__, sizes.__int__)
        sizes.__index__ = sizes.__int__ = lambda size: self._converted(size)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        """Leave everything as it was."""
        super().__exit__(*error)
        sizes: Any = torch.SymInt
        sizes.__index__, sizes.__int__ = self._convert

    def of_operation(self, target: str) -> Place | None:
        """Return where an operation of ATen, such as ``aten.zeros.default``, came from."""
        name = target.removeprefix("aten.").partition(".")[0].strip("_")
        alike = [place for known, place in self.operations.items() if known and (known in name or name in known)]
        return self.operations.get(name, alike[0] if alike else None)

    def _converted(self, size: Any) -> int:
        was_open = _is_open(size)
        number = self._convert[0](size)
        if was_open and not _is_open(size):
            self.fixed = self.fixed or self._here()
        return number

    def _here(self) -> Place | None:
        return place_of(reversed([frame for frame, _ in traceback.walk_stack(None)]), self.graph)


def _is_open(size: Any) -> bool:
    return isinstance(size, torch.SymInt) and not size.node.expr.is_number
