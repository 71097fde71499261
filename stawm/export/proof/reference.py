"""What PyTorch gives for the images that a graph is verified with, and how exact that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stawm.export.graphs.fields import axes_of, in_order, probes
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import Prepared, example_inputs
from stawm.export.graphs.rollout import Rollout
from stawm.export.proof.report import Comparison
from stawm.models.model import Model

SLACK = 8
"""How many times as far from the truth as PyTorch a graph may be: both round, each in its own order."""
FLOOR = 16
"""Units in the last place, for what PyTorch happens to hit exactly."""
WITHIN_ONE = ("canvas", "canvases", "masks", "confidence")
"""How outputs of a sigmoid or an exponential end, which runtimes compute to so many units in the last place of 1."""

Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Reference:
    """PyTorch's answers to several batches.

    Attributes:
        inputs: What was put in, by batch.
        exact: What came out in float64, by batch.
        gaps: By output and glimpse, how far PyTorch in the graph's own precision was from that.
    """

    inputs: list[dict[str, Tensor]]
    exact: list[dict[str, Tensor]]
    gaps: Mapping[tuple[str, int | None], float]

    def compare(self, found: Sequence[Named]) -> list[Comparison]:
        """Compare what a graph gave for the same batches, output by output and glimpse by glimpse."""
        epsilon = torch.finfo(torch.float32).eps
        comparisons = []
        for key, gap in self.gaps.items():
            pairs = [(at(key, e), at(key, f)) for e, f in zip(self.exact, found, strict=True) if key[0] in f]
            if pairs:
                scale = max(e.abs().max().item() for e, _ in pairs if e is not None)
                error = max(distance(e, f) for e, f in pairs)
                unit = max(scale, 1) if key[0].endswith(WITHIN_ONE) else scale
                comparisons.append(Comparison(*key, error, SLACK * gap + FLOOR * epsilon * unit, scale))
        return comparisons


def refer(prepared: Prepared, batches: Sequence[int]) -> Reference:
    """Run PyTorch on as many batches as there are sizes."""
    plan, model = prepared.plan, prepared.model
    inputs = [example_inputs(model, plan, size, seed) for seed, size in enumerate(batches)]
    return refer_to(prepared, inputs, in_order((*plan.fields, *probes(model))))


def refer_to(prepared: Prepared, inputs: Sequence[Named], names: Sequence[str]) -> Reference:
    """Run PyTorch on some batches.

    Args:
        prepared: The model made ready for its export.
        inputs: What is put in, by batch.
        names: The outputs and probes to compute.
    """
    plan, model = prepared.plan, prepared.model
    exact = _run(prepared.exact, plan, names, inputs, torch.float64)
    near = _run(model, plan, names, inputs, torch.float32)
    axes = axes_of(model)
    keys = [key for name in names for key in _keys(name, exact[0][name], axes.get(name, "b r m"))]
    gaps = {key: max(distance(at(key, e), at(key, n)) for e, n in zip(exact, near, strict=True)) for key in keys}
    return Reference([dict(given) for given in inputs], exact, gaps)


def _run(
    model: Model, plan: Plan, names: Sequence[str], inputs: Sequence[Named], dtype: torch.dtype
) -> list[dict[str, Tensor]]:
    noise = tuple(model.noise_shapes(1)) if plan.sample else ()
    rollout = Rollout(model, plan.glimpses, names, noise, plan.steered)
    with torch.no_grad():
        return [rollout.run({name: value.to(dtype) for name, value in given.items()}) for given in inputs]


def _keys(name: str, value: Tensor, axes: str) -> list[tuple[str, int | None]]:
    """An output, or each of its glimpses. A memory that is read once is read after the last."""
    second = axes.split()[1:2]
    return [(name, n + 1) for n in range(value.shape[1])] if second in (["n"], ["r"]) else [(name, None)]


def at(key: tuple[str, int | None], values: Named) -> Tensor | None:
    """Return an output at a glimpse, or None where the graph has fewer."""
    name, glimpse = key
    if glimpse is None:
        return values[name]
    return values[name][:, glimpse - 1] if glimpse <= values[name].shape[1] else None


def distance(a: Tensor | None, b: Tensor | None) -> float:
    """Return the greatest difference; infinite where shapes differ, or one is no number and the other is."""
    if a is None or b is None or a.shape != b.shape:
        return float("inf")
    difference = (a.double() - b.double()).abs()
    return float("inf") if bool(difference.isnan().any()) else difference.max().item()
