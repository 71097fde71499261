"""What a page in int8 proves itself by: that it does what the model does, within the bounds of the graph's own proof.

Of a graph in int8 it is proved that it does so for nearly all images. The page is given some for which it does: where
a browser does otherwise, the browser is at fault. A class is compared where the model is sure of it.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.errors import ExportError
from stawm.export.file.files import GraphFile, read_graphs
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.steering import Steering, neutral
from stawm.export.proof.behaviour import DOUBT, Bounds, Run, apart, in_float32, outputs_of
from stawm.export.proof.verification import run_graphs
from stawm.export.run.providers import open_session
from stawm.models.model import Stawm
from stawm.web.selftest import IMAGES, case, inputs_of, packed, some_images, steered

CANDIDATES = 12
"""How many images are tried for the few that the page is given."""
UNSURE = -1.0
"""Stands for a class that is not compared."""


def self_test_in_int8(
    model: Stawm, place: Path, images: Float[Tensor, "b c h w"], bounds: Bounds
) -> list[dict[str, Any]]:
    """Return the cases of a self-test of a graph in int8.

    Args:
        model: The model that was exported.
        place: The folder of the graphs.
        images: Images that the model was made for, normalised; where there are few, noise stands in.
        bounds: How far a graph may be from the model.

    Raises:
        ExportError: The graph does what the model does for none of the images.
    """
    files = read_graphs(place, trusted=True)
    plan = files["init"].info.plan
    run, whole, glimpses = _runner(files), in_float32(model), plan.glimpses or 1
    given = some_images(model, plan, images[: CANDIDATES - 1], CANDIDATES)
    free = neutral(CANDIDATES, glimpses, model.locator.pose_size)
    cases = []
    for steer, count in ((free, IMAGES - 1), (steered(model, CANDIDATES, glimpses), 1)):
        found = (
            _case(run, whole, plan, given[i : i + 1], Steering(*(part[i : i + 1] for part in steer)), bounds)
            for i in range(CANDIDATES)
        )
        kept = [one for one in found if one is not None][:count]
        if not kept:
            raise ExportError(
                f"{model.config.name} in int8 does what it does in full precision for none of {CANDIDATES} images, so "
                "no page is written. Leave out --precision int8."
            )
        cases += kept
    return cases


def _runner(files: Mapping[str, GraphFile]) -> Run:
    sessions = {
        part: open_session(file.data, "cpu", allow_fallback=False, threads=None) for part, file in files.items()
    }
    return partial(run_graphs, sessions, files=files)


def _case(
    run: Run, model: Stawm, plan: Plan, image: Float[Tensor, "1 c h w"], steer: Steering, bounds: Bounds
) -> dict[str, Any] | None:
    """Return a case of one image, or None where the graph does not do what the model does."""
    given = inputs_of(model, image, steer)
    theirs, ours = outputs_of(model, plan, [given]).answers, run(given)
    expected: dict[str, list[dict[str, Any] | None]] = {}
    last: list[None] = [None] * ((plan.glimpses or 1) - 1)
    for name in ("logits", "answers"):
        if name in ours:
            wanted = _classes(theirs[name])
            if not bool(((ours[name].argmax(dim=-1) == wanted) | (wanted == UNSURE)).all()):
                return None
            expected[name] = [*last, {"values": packed(wanted), "tolerance": 0.5, "by": "class"}]
    for name, bound in (("pose", bounds.pose), ("canvas", bounds.canvas)):
        if name in ours and apart(name, ours[name], theirs[name]).item() > bound:
            return None
    expected["pose"] = [{"values": packed(pose), "tolerance": bounds.pose} for pose in theirs["pose"][0]]
    if "canvas" in ours:
        drawn = {"values": packed(theirs["canvas"]), "tolerance": bounds.canvas, "by": "rms"}
        expected["canvas"] = [*last, drawn]
    return case(image[0], Steering(*(part[0] for part in steer)), expected)


def _classes(logits: Float[Tensor, "1 *k classes"]) -> Float[Tensor, "1 *k"]:
    """Return the most probable classes, as numbers; `UNSURE` where two are nearly as probable."""
    most = logits.exp().topk(min(2, logits.shape[-1]), dim=-1).values
    sure = most[..., 0] - most[..., -1] >= DOUBT
    return torch.where(sure, logits.argmax(dim=-1).float(), UNSURE)
