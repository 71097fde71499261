"""All that an export and its verification need of a model, made once: two copies, the graphs, example inputs."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from stawm.export.graphs import cues, steering, step
from stawm.export.graphs.fields import probes
from stawm.export.graphs.graph import Graph, State
from stawm.export.graphs.names import MANY
from stawm.export.graphs.plan import Plan, make_graphs
from stawm.export.graphs.precision import lower, round_weights
from stawm.heads.noise import draw_noise
from stawm.models.config import SharedConfig
from stawm.models.model import Model, Stawm


@dataclass(frozen=True)
class Prepared:
    """A model made ready for its export.

    Attributes:
        plan: What is asked.
        precision: ``"fp32"`` or ``"fp16"``.
        model: A copy in that precision, in evaluation mode on the CPU.
        exact: A copy in float64. Where weights are stored as fp16, both are of the rounded weights.
        graphs: The graphs of the first copy by part, with their probes.
        inputs: Inputs of each part for a batch of two, those of later parts being what earlier ones gave.
        shapes: By part, the shapes of the inputs and then of the outputs that were asked for, without the batch;
            letters stand for sides that may be of any size.
    """

    plan: Plan
    precision: str
    model: Model
    exact: Model
    graphs: Mapping[str, Graph]
    inputs: Mapping[str, State]
    shapes: Mapping[str, Mapping[str, tuple[int | str, ...]]]

    def outputs(self, part: str) -> tuple[str, ...]:
        """Return the outputs of a part that were asked for."""
        return tuple(name for name in self.shapes[part] if name not in self.graphs[part].inputs)


def prepare(model: Model, plan: Plan, precision: str) -> Prepared:
    """Make a model ready for its export; it is left as it is.

    Raises:
        InputError: The model has no such graph.
        ExportError: A part of the model has no step form.
    """
    near = _frozen(model, torch.float32)
    if plan.weights == "fp16":
        round_weights(near)
    exact = _frozen(near if plan.weights == "fp16" else model, torch.float64)
    near = lower(near) if precision == "fp16" else near
    graphs = make_graphs(near, plan)
    steps = 1 if plan.kind == "step" else plan.glimpses or 1
    known = example_inputs(near, plan, 2, 0, steps)
    known |= {name: known[name][:, 0] for name in steering.STEER if name in known}
    hidden = set(probes(model)) - set(plan.fields)
    inputs: dict[str, State] = {}
    shapes: dict[str, dict[str, tuple[int | str, ...]]] = {}
    for part, graph in graphs.items():
        inputs[part] = {name: known[name] for name in graph.inputs}
        with torch.no_grad():
            found = graph.run(inputs[part])
        shapes[part] = {n: tuple(v.shape[1:]) for n, v in (inputs[part] | found).items() if n not in hidden}
        if near.config.any_size and "image" in graph.inputs:
            shapes[part]["image"] = (near.config.image[0], "h", "w")
        for name, axis in cues.open_axes(near).items():
            if name in shapes[part]:
                sides = list(shapes[part][name])
                sides[axis] = MANY
                shapes[part][name] = tuple(sides)
        known |= {name.replace(step.OUT, step.IN, 1): value for name, value in found.items()}
    return Prepared(plan, precision, near, exact, graphs, inputs, shapes)


def example_inputs(model: Model, plan: Plan, batch: int, seed: int, glimpses: int | None = None) -> State:
    """Return images of smooth noise, normalised, and the questions and random numbers that a graph takes.

    Where images may be of any size, three seeds in a row are of three sizes.

    Args:
        model: The model.
        plan: What is asked.
        batch: How many images.
        seed: The seed of everything that is drawn.
        glimpses: How many glimpses there are random numbers for; the plan's number where left out.
    """
    generator = torch.Generator().manual_seed(seed)
    channels, sizes = model.config.image[0], example_sizes(model.config)
    height, width = sizes[seed % len(sizes)]
    coarse = torch.rand(batch, channels, (height + 3) // 4, (width + 3) // 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    image = model.normalise((smooth + torch.rand(smooth.shape, generator=generator)) / 2)
    shapes = model.noise_shapes(glimpses or plan.glimpses or 1) if plan.sample else {}
    drawn = {f"noise_{name}": draw_noise(name, (batch, *shape), image, generator) for name, shape in shapes.items()}
    steer = {}
    if plan.steered and isinstance(model, Stawm):
        still = model.locator.identity_pose()
        steer = steering.drawn(batch, glimpses or plan.glimpses or 1, still, generator).named()
    return {"image": image} | cues.example_cues(model, batch, generator) | drawn | steer


def example_sizes(config: SharedConfig) -> list[tuple[int, int]]:
    """Return heights and widths that a graph is verified with: the usual one, a larger one, and about the smallest."""
    height, width = config.image[1:]
    if config.sides is None:
        return [(height, width)]
    least, most = config.sides
    return [(height, width), (min(3 * height // 2 + 1, most), width), (least, min(least + width // 4 + 1, most))]


def _frozen(model: Model, dtype: torch.dtype) -> Model:
    return copy.deepcopy(model).to("cpu", dtype).eval().requires_grad_(False)
