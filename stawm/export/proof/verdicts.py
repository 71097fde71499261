"""What the numbers of a graph say beside PyTorch's."""

from collections.abc import Sequence

import torch

from stawm.export.graphs.names import RECALL
from stawm.export.proof.reference import Named, Reference
from stawm.export.proof.report import Check, Comparison


def live_memory(reference: Reference) -> Check:
    """Whether the memory gives anything: one that reads zeros would be equal to any other that does."""
    largest = {
        name.removeprefix(RECALL): max(exact[name].abs().max().item() for exact in reference.exact)
        for name in reference.exact[0]
        if name.startswith(RECALL)
    }
    dead = [name for name, value in largest.items() if not value > 0]
    if dead:
        return Check("live memory", False, f"{', '.join(dead)} reads only zeros, which proves nothing about the memory")
    return Check("live memory", True, ", ".join(f"{name} reads up to {value:.2g}" for name, value in largest.items()))


def values(comparisons: Sequence[Comparison], reference: Reference, found: Sequence[Named]) -> list[Check]:
    """Whether every output is PyTorch's; if so, whether that says anything, and whether the classes are the same."""
    failed = [c for c in comparisons if not c.ok]
    if failed:
        first = min(failed, key=lambda c: c.glimpse or len(comparisons))
        return [Check("values", False, f"{first}; {len(failed)} of {len(comparisons)} comparisons fail")]
    checks = [
        Check("values", True, f"{len(comparisons)} comparisons are within their tolerance"),
        resolution(comparisons),
    ]
    if "logits" in reference.exact[0]:
        checks.append(agreement(comparisons, reference, found))
    return checks


def resolution(comparisons: Sequence[Comparison]) -> Check:
    """Whether the tolerances tell anything: a model may amplify rounding until nothing can be compared."""
    worst = max(comparisons, key=lambda c: c.tolerance / c.scale if c.scale else 0.0)
    where = worst.output if worst.glimpse is None else f"{worst.output} at glimpse {worst.glimpse}"
    share = f"{worst.tolerance / worst.scale:.1g}" if worst.scale else "0"
    detail = f"the widest tolerance, of {where}, is {share} of the greatest value"
    return Check("resolution", all(c.tells for c in comparisons), detail)


def agreement(comparisons: Sequence[Comparison], reference: Reference, found: Sequence[Named]) -> Check:
    """Whether the most probable class is the same wherever the tolerance leaves no doubt of it."""
    tolerance = next(c.tolerance for c in comparisons if c.output == "logits")
    exact = torch.cat([e["logits"] for e in reference.exact])
    got = torch.cat([f["logits"] for f in found])
    best = exact.topk(2, dim=1).values if exact.shape[1] > 1 else exact.expand(-1, 2)
    sure = best[:, 0] - best[:, 1] > 2 * tolerance
    same = exact.argmax(dim=1) == got.argmax(dim=1)
    detail = f"the class is the same for {int(same.sum())} of {len(same)} images"
    return Check("classes", bool(same[sure].all()), detail)


def forms(reference: Reference, found: Sequence[Named]) -> Check:
    """Whether every output has PyTorch's shape, which is all that is asked of numbers that are rounded on purpose."""
    faults = [
        f"{name} is {tuple(value.shape)} and not {tuple(exact[name].shape)}"
        for exact, given in zip(reference.exact, found, strict=True)
        for name, value in given.items()
        if name in exact and value.shape != exact[name].shape
    ]
    return Check("forms", not faults, "; ".join(faults) if faults else "every output has the shape that PyTorch gives")
