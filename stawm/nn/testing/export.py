"""Whether a component can be exported: in the smallest model that has it, as a rollout and as a step graph."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stawm.configuration.components import instantiate
from stawm.export.file.describing import describe
from stawm.export.file.files import open_graph
from stawm.export.graphs import fields
from stawm.export.graphs.plan import Kind as GraphKind
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import prepare
from stawm.export.proof.verification import examine
from stawm.export.write.exporting import build
from stawm.heads.config import called
from stawm.models import resolve
from stawm.models.construct import construct
from stawm.models.model import Stawm
from stawm.nn.glimpse_loop import GlimpseLoop
from stawm.nn.testing.contract import require
from stawm.registry import Kind

MEMORY, HIDDEN, GLIMPSES = 6, 8, 2
BATCHES = (1, 3)
SHAKE = 0.1
OF_THE_MODEL = ("live memory", "resolution")
"""Checks that say something of the numbers of an untrained model, and nothing of the component."""


def export_as(part: str, *, channels: int, image: tuple[int, int], glimpse: int) -> Callable[[nn.Module], None]:
    """Return a check that the smallest model with a component can be exported, as a rollout and as a step graph.

    Args:
        part: What the component is: memory, context (a backbone for the whole image), locator, policy or canvas.
        channels: c of the images.
        image: Their h and w.
        glimpse: g, the side of a glimpse.
    """

    def check(component: nn.Module) -> None:
        model = smallest({part: component}, channels=channels, image=image, glimpse=glimpse)
        for kind in ("rollout",) if getattr(component, "counts", False) else ("rollout", "step"):
            fault = export_fault(model, kind)
            require(not fault, f"as a {kind} graph: {fault}")

    return check


def export_fault(model: Stawm, kind: GraphKind) -> str:
    """Return why a model cannot be exported as a kind of graph, or nothing where it can."""
    shares = ["shares"] if "shares" in fields.available(model, kind) else []
    plan = Plan(kind, GLIMPSES, (*fields.choose(model, None, kind), *shares), False)
    prepared = prepare(model, plan, "fp32")
    data = build(prepared, describe(model, prepared), 18)
    files = {part: open_graph(Path(f"{part}.onnx"), value) for part, value in data.items()}
    report = examine(Path(kind), files, model, BATCHES, "cpu", prepared)
    return "; ".join(f"{c.name}: {c.detail}" for c in report.failures if c.name not in OF_THE_MODEL)


def smallest(given: Mapping[str, nn.Module], *, channels: int, image: tuple[int, int], glimpse: int) -> Stawm:
    """Return a model with components in their places, and noise on its weights: it looks about.

    It classifies; where the component takes part in drawing it draws too.
    """
    drawing = {"locator", "canvas"} & {*given}
    config = resolve.config(
        "stawm-digits",
        image=(channels, *image),
        glimpse_size=glimpse,
        glimpses=GLIMPSES,
        memory_size=MEMORY,
        hidden_size=HIDDEN,
        context={"layers": "2@3/2"},
        backbone={"layers": "2@3/2"},
        heads=("classification", "drawing") if drawing else ("classification",),
        dropout=0.0,
    )
    model: Any = construct(config)
    parts: dict[str, Any] = {"context": model.loop.context, "backbone": model.loop.backbone}
    parts |= {"locator": model.loop.locator, "memory": model.memory}
    parts |= {"canvas": model.heads["drawing"].canvas} if drawing else {}
    views = getattr(given.get("locator"), "views", 1)
    if views > 1:
        sizes: dict[str, Any] = {"channels": views * channels, "size": (glimpse, glimpse)}
        parts["backbone"] = instantiate(Kind.BACKBONE, config.backbone, **sizes)
    parts |= given
    loop = {name: parts[name] for name in ("context", "backbone", "locator", "policy") if name in parts}
    sizes = {"hidden_size": HIDDEN, "memory_size": MEMORY, "dropout": 0.0}
    model.loop = GlimpseLoop(**loop, **sizes, where="pose", inverse=bool(drawing))
    offered = {
        "context_features": parts["context"].features,
        "memory_size": MEMORY,
        "dropout": 0.0,
        "channels": channels,
        "glimpse_size": glimpse,
        "image_size": image,
        "backbone": model.config.backbone,
        "canvas": parts.get("canvas"),
    }
    model.memory = parts["memory"]
    model.heads = nn.ModuleDict({called(head): instantiate(Kind.HEAD, head, **offered) for head in model.config.heads})
    return _shaken(model)


def _shaken(model: Stawm) -> Stawm:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim():
                parameter += SHAKE * torch.randn(parameter.shape, generator=generator).to(parameter)
    return model.float()
