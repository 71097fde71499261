"""The graphs that answer what is asked of an export."""

from stawm.errors import InputError
from stawm.export.graphs import draw_step, ram_step, step
from stawm.export.graphs.asked import Kind as Kind
from stawm.export.graphs.asked import Plan as Plan
from stawm.export.graphs.fields import probes
from stawm.export.graphs.graph import Graph
from stawm.export.graphs.rollout import Rollout
from stawm.models.draw import Draw
from stawm.models.model import Model, Stawm, checked_count
from stawm.models.ram import Ram


def make_graphs(model: Model, plan: Plan) -> dict[str, Graph]:
    """Return the graphs of a model by part; after the outputs that were asked for they give the probes too.

    Args:
        model: The model, in evaluation mode; it is run once to learn what its state is made of.
        plan: What is asked.

    Raises:
        InputError: The model has no such graph.
        ExportError: A part of the model has no step form.
    """
    names = tuple(dict.fromkeys((*plan.fields, *probes(model))))
    if plan.kind == "rollout":
        noise = tuple(model.noise_shapes(plan.glimpses or 1)) if plan.sample else ()
        return {"rollout": Rollout(model, plan.glimpses, names, noise)}
    if plan.kind != "step":
        raise InputError(f"graph must be 'rollout' or 'step'; got {plan.kind!r}.")
    reason = without_step(model)
    if reason or plan.glimpses is None:
        raise InputError(f"{reason}: use graph='rollout'.")
    if isinstance(model, Stawm):
        return dict(step.parts(model, plan.glimpses, plan.sample, names, plan.steered))
    family = getattr(model.config, "family", "")
    if plan.steered:
        raise InputError(
            f"{model.config.name} is of the family {family!r}, and only models of the family 'stawm' are steered: "
            "leave out steered."
        )
    if isinstance(model, Ram):
        return dict(ram_step.parts(model, plan.glimpses, plan.sample, names))
    assert isinstance(model, Draw)
    return dict(draw_step.parts(model, plan.glimpses, plan.sample, names))


def without_step(model: Model) -> str | None:
    """Return why a model has no step graph, or None where it has one."""
    name, family = model.config.name, getattr(model.config, "family", "")
    if model.config.glimpses is None:
        return f"{name} takes no glimpses, so it has no step graph"
    if any(getattr(head, "first", None) is not None for head in model.named_heads.values()):
        return f"{name} makes its first sketch apart (first_apart), and a step does not know whether it is the first"
    if not isinstance(model, Stawm | Ram | Draw):
        return f"{name} is of the family {family!r}, which has no step graph"
    return None


def count_glimpses(model: Model, asked: int | None) -> int | None:
    """Return how many glimpses a graph takes, or None for a baseline.

    Raises:
        InputError: The number is not legal.
    """
    if model.config.glimpses is None:
        if asked is not None:
            raise InputError(f"{model.config.name} takes no glimpses; got glimpses={asked}.")
        return None
    return checked_count(model.config.glimpses if asked is None else asked)
