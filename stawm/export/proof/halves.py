"""What half precision does to a model: how far a graph's answers are from those of the model as it is, in float32.

The proof compares a graph with PyTorch in the graph's own precision, which says that the graph is right. How much
the precision itself costs is another question, and this answers it, on images of people's own too.
"""

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import example_inputs
from stawm.export.graphs.rollout import Rollout
from stawm.export.proof.report import Check
from stawm.export.run.walk import Named
from stawm.models.model import Model

BATCH = 128
"""How many images are run at once."""

Run = Callable[[Named], Named]


def half_precision(
    run: Run, model: Model, plan: Plan, batches: Sequence[int], images: Tensor | None = None
) -> list[Check]:
    """Say how far a graph in half precision, or with such weights, is from the model in float32.

    Args:
        run: Runs the graph: from inputs to outputs.
        model: The model as it is.
        plan: What was asked of the export.
        batches: The sizes of the batches of made images, those of the proof.
        images: Real images, normalised, (b, c, h, w).

    Returns:
        A check that always holds; for real images another one, a warning where a class is not the same.
    """
    whole = copy.deepcopy(model).to("cpu", torch.float32).eval()
    made = (example_inputs(whole, plan, size, seed) for seed, size in enumerate(batches))
    checks = [_judge("half precision", run, whole, plan, made)]
    if images is not None:
        checks.append(_judge("real images", run, whole, plan, _real(whole, plan, images.float().cpu())))
    return checks


def _real(model: Model, plan: Plan, images: Tensor) -> Iterator[Named]:
    for part in images.split(BATCH):
        yield example_inputs(model, plan, len(part), 0) | {"image": part}


def _judge(name: str, run: Run, model: Model, plan: Plan, inputs: Iterator[Named]) -> Check:
    noise = tuple(model.noise_shapes(1)) if plan.sample else ()
    rollout = Rollout(model, plan.glimpses, plan.fields, noise)
    pairs = []
    for given in inputs:
        with torch.no_grad():
            expected = rollout.run(given)
        pairs.append((expected, run(given)))
    both = [key for key in plan.fields if all(key in found for _, found in pairs)]
    whole, half = ({key: torch.cat([pair[i][key] for pair in pairs]) for key in both} for i in (0, 1))
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
