"""What a page proves itself by: images, what PyTorch gives for them, and how far off a browser may be."""

import base64
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.export.graphs import steering
from stawm.export.graphs.cues import cue_inputs
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import example_inputs, prepare
from stawm.export.graphs.steering import Steering
from stawm.export.proof.reference import Reference, refer_to
from stawm.export.proof.report import Report
from stawm.export.run.walk import Named
from stawm.models.model import Stawm

IMAGES = 3
"""How many images are run: beside the first look, so that few have to do."""
LAST = ("canvas", "shares", "answers")
"""What is compared after the last glimpse alone."""
FIELDS = {"logits": "glimpse_logits", "pose": "pose", **{name: name for name in LAST}}
"""What the page compares, and what a run of all glimpses calls it."""


def self_test(model: Stawm, plan: Plan, report: Report, images: Float[Tensor, "b c h w"]) -> list[dict[str, Any]]:
    """Return the cases of a self-test of a graph that gives the model's numbers.

    Args:
        model: The model that was exported.
        plan: What was asked of the export, a steered step graph.
        report: What its proof found, whose tolerances hold here too.
        images: Images that the model was made for, normalised; where there are few, noise stands in.
    """
    plan = with_glimpse_logits(model, plan)
    names = [name for name in FIELDS.values() if name in plan.fields]
    glimpses = plan.glimpses or 1
    given = some_images(model, plan, images[: IMAGES - 1], IMAGES)
    steer = steered(model, IMAGES, glimpses, slice(-1, None))
    reference = refer_to(prepare(model, plan, "fp32"), [inputs_of(model, given, steer)], names)
    allowed = _tolerances(reference, report)
    return [
        case(
            given[i],
            Steering(*(part[i] for part in steer)),
            {key: _expected(reference, allowed, name, i, glimpses) for key, name in FIELDS.items() if name in names},
        )
        for i in range(IMAGES)
    ]


def with_glimpse_logits(model: Stawm, plan: Plan) -> Plan:
    """Return a plan in which the classes after each glimpse are computed, where there are some."""
    return plan._replace(fields=(*plan.fields, "glimpse_logits")) if model.config.classifies else plan


def some_images(model: Stawm, plan: Plan, images: Float[Tensor, "b c h w"], count: int) -> Float[Tensor, "n c h w"]:
    """Return as many images, of noise where there are no others."""
    noise = example_inputs(model, plan._replace(steered=False), count, 0)["image"]
    return torch.cat([images.to(noise), noise])[:count]


def steered(model: Stawm, images: int, glimpses: int, which: slice = slice(None)) -> Steering:
    """Return how images are steered: of some of them the second glimpse is placed, and the first is not written."""
    steer = steering.neutral(images, glimpses, model.locator.pose_size)
    second = min(1, glimpses - 1)
    steer.pose[which, second] = model.locator.identity_pose() / 2
    steer.placed[which, second] = 1
    if glimpses > 1:
        steer.written[which, 0] = 0
    return steer


def inputs_of(model: Stawm, images: Float[Tensor, "b c h w"], steer: Steering) -> Named:
    """Return what a whole run takes: images, how they are steered, and all questions where there are some."""
    asked = {
        name: torch.arange(head.cues, dtype=torch.float32).expand(len(images), -1)
        for name, head in cue_inputs(model).items()
        if head.cues is not None
    }
    return {"image": images, **asked, **steer.named()}


def case(image: Float[Tensor, "c h w"], steer: Steering, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Return one image, how its glimpses are steered, and what is expected of each output after each of them."""
    said = []
    for pose, placed, written in zip(*steer, strict=True):
        one: dict[str, Any] = {"pose": pose.tolist()} if placed else {}
        said.append(one if written else {**one, "written": False})
    return {"image": packed(image), "steer": said, "expected": dict(expected)}


def packed(values: Tensor) -> str:
    """Return numbers in single precision, little endian, as base64."""
    return base64.b64encode(values.detach().cpu().contiguous().numpy().astype("<f4").tobytes()).decode("ascii")


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
    if name in LAST:
        tolerance = max(value for (output, _), value in allowed.items() if output == name)
        return [*([None] * (glimpses - 1)), {"values": packed(values), "tolerance": tolerance}]
    return [{"values": packed(values[t]), "tolerance": allowed[name, t + 1]} for t in range(glimpses)]
