"""What an export or a verification found, as a table and as JSON."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from stawm.errors import ExportError
from stawm.export.table import table
from stawm.text import Readable


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        ok: Whether it is as it has to be.
        detail: What was found, in a sentence.
        severity: What it means where it is not: an ``"error"`` refuses the graph, a ``"warning"`` is only reported.
    """

    name: str
    ok: bool
    detail: str
    severity: Literal["error", "warning"] = "error"

    @property
    def verdict(self) -> str:
        """The result in a word."""
        return "ok" if self.ok else {"error": "FAILED", "warning": "WARNING"}[self.severity]


@dataclass(frozen=True)
class Comparison:
    """An output of the graph against PyTorch, over all images that were tried.

    Attributes:
        output: Its name.
        glimpse: Which glimpse, from 1; None where the output is of all of them.
        error: The greatest absolute difference.
        tolerance: What it may be.
        scale: The greatest absolute value in PyTorch.
    """

    output: str
    glimpse: int | None
    error: float
    tolerance: float
    scale: float

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance; where PyTorch gives no numbers nothing is."""
        return self.error <= self.tolerance < math.inf

    @property
    def tells(self) -> bool:
        """Whether the tolerance is so small that a wrong value would be seen."""
        return self.tolerance <= self.scale / 2 or self.scale == 0

    def __str__(self) -> str:
        where = "" if self.glimpse is None else f" at glimpse {self.glimpse}"
        return f"{self.output}{where} is off by {self.error:.2e}, where {self.tolerance:.2e} is allowed"


@dataclass(frozen=True, kw_only=True)
class Report(Readable):
    """What was found.

    Attributes:
        path: The file, or the folder of a step graph.
        graph: ``"rollout"`` or ``"step"``.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        opset: The ONNX opset.
        nodes: How many nodes there are, by file.
        size: Bytes, of all files.
        checks: What was checked.
        comparisons: The outputs against PyTorch; none in int8, which is judged by what it does on images.
    """

    path: Path
    graph: str
    precision: str
    opset: int
    nodes: dict[str, int]
    size: int
    checks: tuple[Check, ...]
    comparisons: tuple[Comparison, ...] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether no check failed; warnings do not count."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed and refuse the graph."""
        return self._not_ok("error")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The checks that failed and do not matter on the device that was asked for."""
        return self._not_ok("warning")

    def _not_ok(self, severity: str) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok and check.severity == severity)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        comparisons = [{**asdict(c), "ok": c.ok} for c in self.comparisons]
        return asdict(self) | {"path": str(self.path), "ok": self.ok, "comparisons": comparisons}

    def __str__(self) -> str:
        nodes = " + ".join(str(count) for count in self.nodes.values())
        head = (
            f"{self.path}: {self.graph}, {self.precision}, opset {self.opset}, {nodes} nodes, {self.size / 1e6:.1f} MB"
        )
        rows = [(c.verdict, c.name, c.detail) for c in self.checks]
        parts = [head, table(("", "check", "found"), rows)]
        if self.comparisons:
            numbers = [
                (
                    "ok" if c.ok else "FAILED",
                    c.output,
                    "all" if c.glimpse is None else str(c.glimpse),
                    *(f"{value:.1e}" for value in (c.error, c.tolerance, c.scale)),
                )
                for c in self.comparisons
            ]
            parts.append(table(("", "output", "glimpse", "off by", "allowed", "scale"), numbers))
        return "\n\n".join(parts)


class VerificationError(ExportError):
    """A graph is not equal to its model; ``report`` says what was found."""

    def __init__(self, report: Report) -> None:
        self.report = report
        faults = "\n".join(f"{check.name}: {check.detail}" for check in report.failures)
        shown = any(check.name not in ("live memory", "resolution") for check in report.failures)
        verdict = "is not equal to the model" if shown else "cannot be proved equal to the model"
        super().__init__(f"{report.path} {verdict}:\n{faults}")
