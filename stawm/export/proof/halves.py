"""What half precision does to a model: how far a graph's answers are from those of the model as it is, in float32.

The proof compares a graph with PyTorch in the graph's own precision, which says that the graph is right. How much
the precision itself costs is another question, and this answers it, on images of people's own too.
"""

from collections.abc import Sequence

from torch import Tensor

from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import example_inputs
from stawm.export.proof.behaviour import Run, Trial, answer, expect, in_float32, judged, outputs_of
from stawm.export.proof.report import Check
from stawm.export.run.walk import Named
from stawm.models.model import Model


def half_precision(run: Run, model: Model, plan: Plan, batches: Sequence[int], trial: Trial) -> list[Check]:
    """Say how far a graph in half precision, or with such weights, is from the model in float32.

    Args:
        run: Runs the graph: from inputs to outputs.
        model: The model as it is.
        plan: What was asked of the export.
        batches: The sizes of the batches of made images, those of the proof.
        trial: Real images, if there are any; where they have labels, the graph is judged by them too.

    Returns:
        A check that always holds; for real images another one, a warning where a class is not the same.
    """
    whole = in_float32(model)
    made = outputs_of(whole, plan, [example_inputs(whole, plan, size, seed) for seed, size in enumerate(batches)])
    checks = [_say("half precision", plan, made.answers, answer(run, made))]
    if trial.images is None:
        return checks
    real = expect(model, plan, trial)
    ours = answer(run, real)
    checks.append(_say("real images", plan, real.answers, ours))
    return checks if trial.labels is None else [*checks, *judged(ours, real.answers, trial)]


def _say(name: str, plan: Plan, whole: Named, half: Named) -> Check:
    both = [key for key in plan.fields if key in whole and key in half]
    said = [f"{key} within {_gap(whole[key], half[key]):.2g}" for key in ("logits", "canvas", "pose") if key in both]
    count = len(next(iter(whole.values())))
    if "logits" not in both:
        return Check(name, True, f"{', '.join(said)} of the model's for {count} images")
    changed = int((whole["logits"].argmax(dim=1) != half["logits"].argmax(dim=1)).sum())
    said.insert(1, f"probabilities within {_gap(whole['logits'].exp(), half['logits'].exp()):.2g}")
    detail = f"{', '.join(said)} of the model's; {changed} of {count} images change their class"
    return Check(name, name != "real images" or not changed, detail, severity="warning")


def _gap(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()
