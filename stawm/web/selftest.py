"""What a page proves itself by: images, what PyTorch gives for them, and how far off a browser may be."""

import base64
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.export.graphs import steering
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import example_inputs, prepare
from stawm.export.graphs.steering import Steering
from stawm.export.proof.reference import Reference, refer_to
from stawm.export.proof.report import Report
from stawm.models.model import Stawm

IMAGES = 3
"""How many images are run: beside the first look, so that few have to do."""


def self_test(model: Stawm, plan: Plan, report: Report, images: Float[Tensor, "b c h w"]) -> list[dict[str, Any]]:
    """Return the cases of a self-test.

    Args:
        model: The model that was exported.
        plan: What was asked of the export, a steered step graph.
        report: What its proof found, whose tolerances hold here too.
        images: Images that the model was made for, normalised; where there are few, noise stands in.
    """
    glimpses = plan.glimpses or 1
    noise = example_inputs(model, plan._replace(steered=False), IMAGES, 0)["image"]
    given = torch.cat([images[: IMAGES - 1].to(noise), noise])[:IMAGES]
    steer = _steer(model, glimpses)
    fields = {"logits": "glimpse_logits", "pose": "pose", "canvas": "canvas", "shares": "shares"}
    names = [name for name in fields.values() if name in plan.fields]
    prepared = prepare(model, plan, "fp32")
    reference = refer_to(prepared, [{"image": given, **steer.named()}], names)
    allowed = _tolerances(reference, report)
    return [
        {
            "image": _packed(given[i]),
            "steer": [_said(steer, i, t) for t in range(glimpses)],
            "expected": {
                key: _expected(reference, allowed, name, i, glimpses) for key, name in fields.items() if name in names
            },
        }
        for i in range(IMAGES)
    ]


def _steer(model: Stawm, glimpses: int) -> Steering:
    """Steer the last image alone: its second glimpse is placed, its first is not written."""
    steer = steering.neutral(IMAGES, glimpses, model.locator.pose_size)
    second = min(1, glimpses - 1)
    steer.pose[-1, second] = model.locator.identity_pose() / 2
    steer.placed[-1, second] = 1
    if glimpses > 1:
        steer.written[-1, 0] = 0
    return steer


def _said(steer: Steering, image: int, t: int) -> dict[str, Any]:
    said = {"pose": steer.pose[image, t].tolist()} if steer.placed[image, t] else {}
    return said if steer.written[image, t] else {**said, "written": False}


def _tolerances(reference: Reference, report: Report) -> Mapping[tuple[str, int | None], float]:
    """Return how far off an output may be: by what is found for these images, and by what was for the proof's."""
    here = reference.compare(reference.exact)
    found: dict[tuple[str, int | None], float] = {}
    for one in (*report.comparisons, *here):
        key = (one.output, one.glimpse)
        found[key] = max(found.get(key, 0.0), one.tolerance)
    return found


def _expected(
    reference: Reference, allowed: Mapping[tuple[str, int | None], float], name: str, image: int, glimpses: int
) -> list[dict[str, Any] | None]:
    """Return what an output is after each glimpse; null where that is not compared."""
    values = reference.exact[0][name][image]
    if name in ("canvas", "shares"):  # of all glimpses together
        tolerance = max(value for (output, _), value in allowed.items() if output == name)
        return [*([None] * (glimpses - 1)), {"values": _packed(values), "tolerance": tolerance}]
    return [{"values": _packed(values[t]), "tolerance": allowed[name, t + 1]} for t in range(glimpses)]


def _packed(values: Tensor) -> str:
    """Return numbers in single precision, little endian, as base64."""
    return base64.b64encode(values.detach().cpu().contiguous().numpy().astype("<f4").tobytes()).decode("ascii")
