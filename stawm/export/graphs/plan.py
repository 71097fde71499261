"""Which graphs a model is exported as, and inputs to trace and to verify them with."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from stawm.errors import InputError
from stawm.export.graphs import step
from stawm.export.graphs.fields import probes
from stawm.export.graphs.graph import Graph, without_duplicates
from stawm.export.graphs.rollout import Rollout
from stawm.heads.base import Head
from stawm.models.config import ModelConfig
from stawm.models.model import Model, Stawm

Kind = Literal["rollout", "step"]


class Plan(NamedTuple):
    """What is asked of an export.

    Attributes:
        kind: One graph of all glimpses, or three of one glimpse.
        glimpses: How many are taken, or there is room for; None for a baseline.
        fields: The outputs.
        sample: Whether the random numbers are inputs.
    """

    kind: Kind
    glimpses: int | None
    fields: tuple[str, ...]
    sample: bool


def make_graphs(model: Model, plan: Plan, *, probed: bool = True) -> dict[str, Graph]:
    """Return the graphs of a model by part.

    Args:
        model: The model, in evaluation mode; it is run once to learn what its state is made of.
        plan: What is asked.
        probed: Whether the probes are outputs too, after the others.

    Raises:
        InputError: The model has no such graph.
        ExportError: A part of the model has no step form.
    """
    names = without_duplicates((*plan.fields, *(probes(model) if probed else ())))
    if plan.kind == "rollout":
        noise = tuple(noise_shapes(model, plan.glimpses or 1)) if plan.sample else ()
        return {"rollout": Rollout(model, plan.glimpses, names, noise)}
    if plan.kind != "step":
        raise InputError(f"graph is 'rollout' or 'step'; got {plan.kind!r}.")
    if not isinstance(model, Stawm) or plan.glimpses is None:
        raise InputError(f"{model.config.name} takes no glimpses, so it has no step graph: use graph='rollout'.")
    return dict(step.parts(model, plan.glimpses, plan.sample, names))


def examples(graphs: Mapping[str, Graph], image: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return inputs for each part, those of later parts being what earlier ones gave."""
    known = {"image": image}
    found: dict[str, dict[str, Tensor]] = {}
    for part, graph in graphs.items():
        model, batch = graph.get_submodule("model"), len(image)
        if isinstance(model, Model):
            steps = 1 if part == "glimpse" else getattr(graph, "glimpses", 1) or 1
            known |= draw_noise(model, batch, steps, torch.Generator().manual_seed(batch))
        found[part] = {name: known[name] for name in graph.inputs}
        with torch.no_grad():
            known |= {name.replace(step.OUT, step.IN, 1): value for name, value in graph.run(found[part]).items()}
    return found


def example_images(model: Model, batch: int, seed: int) -> Tensor:
    """Return images of smooth noise, as the model takes them."""
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = model.config.image
    coarse = torch.rand(batch, channels, (height + 3) // 4, (width + 3) // 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    return model.normalise((smooth + torch.rand(smooth.shape, generator=generator)) / 2)


def noise_shapes(model: Model, glimpses: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes, without the batch, of the random numbers that a model takes."""
    if isinstance(model, Stawm):
        heads = [head for head in model.heads.values() if isinstance(head, Head)]
        return {name: shape for head in heads for name, shape in head.noise_shapes(glimpses).items()}
    drawing = model.config.head("drawing")
    return {} if drawing is None else {"latent": (1, drawing.latent)}


def draw_noise(model: Model, batch: int, glimpses: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return random numbers for a model, by the names of the graph's inputs."""
    noise = {}
    for name, shape in noise_shapes(model, glimpses).items():
        drawn = torch.randn(batch, *shape, generator=generator)
        noise[f"noise_{name}"] = drawn if name == "latent" else torch.special.ndtr(drawn).clamp(0.01, 0.99)
    return noise


def room(model: Model, asked: int | None) -> int | None:
    """Return how many glimpses a graph takes.

    Raises:
        InputError: The number is not legal.
    """
    if not isinstance(model.config, ModelConfig):
        if asked is not None:
            raise InputError(f"{model.config.name} takes no glimpses; got glimpses={asked}.")
        return None
    n = model.config.glimpses if asked is None else asked
    if n < 1:
        raise InputError(f"A model takes at least 1 glimpse; got {n}.")
    return n
