"""What every head must do, whatever it answers."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from stawm.configuration import Config
from stawm.configuration.components import size_names
from stawm.errors import InputError
from stawm.export.graphs.fields import available
from stawm.export.write.exporting import to_onnx
from stawm.heads.base import Fields, Head, Scene
from stawm.heads.config import called
from stawm.heads.cued import CuedHead, settle
from stawm.heads.noise import draw_noise
from stawm.heads.output import Latent, Noise, Output
from stawm.heads.together import clashes
from stawm.models import resolve
from stawm.models.construct import construct
from stawm.models.model import Model
from stawm.nn.backbones.conv import Conv
from stawm.nn.canvases.addition import Addition
from stawm.nn.glimpse_loop import Look
from stawm.nn.locators.affine import Affine
from stawm.nn.testing.contract import (
    by_name,
    require,
    require_equal,
    require_finite,
    require_gradients,
    require_unchanged,
    run_checks,
    snapshot,
    uniform,
)

Build: TypeAlias = Callable[[], Head]

BATCH, GLIMPSES, MEMORY, SIDE, IMAGE = 3, 4, 6, 8, (12, 12)
SMALLEST: Mapping[str, Any] = {
    "image": (1, *IMAGE),
    "glimpse_size": SIDE,
    "glimpses": 2,
    "memory_size": MEMORY,
    "hidden_size": 8,
    "context": {"layers": "2@3/2"},
    "backbone": {"layers": "2@3/2"},
    "heads": ("classification", "drawing"),
    "dropout": 0.0,
}
CONTEXT = 2 * 5 * 5
"""The features that two filters of 3x3 with stride 2 make of 12x12."""
ROUNDING = 1e-9


def check_head(
    cls: type, *, config: Config | None = None, seeds: Sequence[int] = (0, 1, 2), export: bool = True
) -> list[str]:
    """Check that a class keeps the contract of `stawm.heads.base.Head`, and name the checks that were run.

    Args:
        cls: The head's class.
        config: Its configuration; the default one where left out.
        seeds: What inputs are drawn from; more seeds look harder.
        export: Whether to try an export, as a rollout and, where the head has that form, as a step graph.

    Raises:
        ContractError: The class breaks one or more of them; the message names each.

    Examples:
        >>> from stawm.heads.regression import RegressionHead
        >>> from stawm.nn.testing import check_head
        >>> "fields_are_declared" in check_head(RegressionHead, export=False)
        True
    """

    def build(chosen: Config) -> Head:
        offered = {
            "context_features": CONTEXT,
            "memory_size": MEMORY,
            "dropout": 0.0,
            "channels": 1,
            "glimpse_size": SIDE,
            "image_size": IMAGE,
            "backbone": Conv.Config(layers="2@3/2"),
            "canvas": Addition(channels=1),
        }
        return cls(chosen, **{name: offered[name] for name in size_names(cls) if name in offered})

    return run_checks(cls, HEAD_CHECKS, build, config, seeds, exports if export else None)


def exports(head: nn.Module) -> None:
    """Export the smallest model that has the head, with the fields that it declares."""
    model: Any = construct(resolve.config("stawm-digits", **SMALLEST))
    assert isinstance(head, Head)
    model.config = model.config.replace(heads=(head.config,), class_names=())
    model.heads = nn.ModuleDict({called(model.config.heads[0]): head})
    reads = list(head.reads(3))
    kinds: list[Literal["rollout", "step"]] = ["rollout", "step"] if reads in ([3], [1, 2, 3]) else ["rollout"]
    with TemporaryDirectory() as folder:
        for kind in kinds:
            to_onnx(shaken(model), Path(folder) / f"{kind}.onnx", graph=kind, outputs=available(model, kind))


def shaken(model: Model) -> Model:
    """Return a model with noise on its weights, so that it looks about."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim():
                parameter += torch.randn(parameter.shape, generator=generator) / 10
    return model.float().eval()


def case(head: Head, seed: int) -> tuple[Tensor, Scene]:
    """Draw what a head reads of four glimpses, by its own query, and what else there is."""
    asked = queries(head, uniform(seed, BATCH, CONTEXT), seed)
    reads = asked.shape[1] if isinstance(head, CuedHead) else len(head.reads(GLIMPSES))
    answers = uniform(seed + 1, BATCH, reads, MEMORY, high=6.0) * (1 + asked)
    locator = Affine(glimpse_size=SIDE, image_size=IMAGE).double()
    pose = locator.identity_pose().double() + uniform(seed + 2, BATCH, reads, 6) / 4
    look = Look(pose, pose, *(uniform(seed + 3, BATCH, reads, *size) for size in ((1, SIDE, SIDE), (5,), (5,))))
    generator = torch.Generator().manual_seed(seed)
    shapes = head.noise_shapes(reads).items()
    noise = {name: draw_noise(name, (BATCH, *shape), answers, generator) for name, shape in shapes}
    return answers, Scene(look, locator, Noise(**noise))


def queries(head: Head, context: Tensor, seed: int) -> Tensor:
    """Return what a head asks, (b, k, m): by cues that are drawn where it takes some, else by its one query."""
    if not isinstance(head, CuedHead):
        return head.query(context)[:, None]
    cue = None if head.cue_size is None else uniform(seed + 7, BATCH, 3, head.cue_size)
    return head.ask(head.beside(context), settle(cue, "it", head, BATCH, context))


def some(scene: Scene, reads: slice | int | Tensor = slice(None), images: Any = slice(None)) -> Scene:
    """Return the scene of some reads of some images."""

    def part(x: Tensor) -> Tensor:
        return x[images][:, reads]

    looks, noise = (pytree.tree_map_only(Tensor, part, group) for group in (scene.looks, scene.noise))
    return Scene(looks, scene.locator, noise)


def named(fields: Fields) -> dict[str, Tensor]:
    """Return the tensors of what a head gives, those of a latent by their own names."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= value._asdict() if isinstance(value, Latent) else {name: value}
    return {name: value for name, value in flat.items() if value is not None}


def targets_for(head: Head, output: Output, seed: int) -> Tensor | None:
    """Draw what the head is to learn, of the kind that it says."""
    if head.targets is None:
        return None
    if head.targets == "classes":
        require(output.logits is not None, "a head that learns classes must give logits")
        assert output.logits is not None
        return (uniform(seed, BATCH) * output.logits.shape[1]).long()
    if head.targets == "answers":
        shape = output.answers.shape
        return (uniform(seed, *shape[:2]) * (shape[2] + 1)).long() - 1
    found = [name for name, axes in head.fields.items() if len(axes.split()) == 2 and "n" not in axes.split()]
    require(bool(found), f"a head that learns {head.targets} must declare a field of the axes 'b k'")
    drawn = uniform(seed, *output.named()[found[0]].shape)
    return drawn if head.targets == "values" else drawn.round()


def losses_of(head: Head, seed: int) -> dict[str, Tensor]:
    """Return the losses of a drawn case."""
    answers, scene = case(head, seed)
    output = Output.of(head(answers, scene))
    return head.losses(output, uniform(seed + 5, BATCH, 1, *IMAGE), targets_for(head, output, seed + 6))


def reads_are_writes(build: Build, seed: int) -> None:
    """It reads after some of the writes, and after each where that is asked for; the same number each time."""
    head = build()
    for every in (False, True):
        reads = list(head.reads(GLIMPSES, every=every))
        legal = reads == sorted(set(reads)) and all(0 <= read <= GLIMPSES for read in reads)
        require(bool(reads) and legal, f"of {GLIMPSES} writes it reads after {reads}")


def reads_alike_at_any_length(build: Build, seed: int) -> None:
    """A head that reads after each glimpse, or once after the last, does so however many there are: its step form."""
    head = build()
    each = [tuple(range(1, n + 1)) for n in range(1, GLIMPSES + 1)]
    last = [(n,) for n in range(1, GLIMPSES + 1)]
    found = [tuple(head.reads(n)) for n in range(1, GLIMPSES + 1)]
    for n, form in ((n, form) for form in (each, last) for n in range(3, GLIMPSES + 1) if found[n - 1] == form[n - 1]):
        require(found == form, f"of {n} glimpses it reads after {form[n - 1]}, and of 1 to {GLIMPSES} after {found}")


def fields_are_declared(build: Build, seed: int) -> None:
    """It gives what it declares, with as many axes, the batch first."""
    head = build().eval()
    wrong = clashes({"it": head})
    require(not wrong, " ".join(wrong))
    answers, scene = case(head, seed)
    given = named(head(answers, scene))
    strange = sorted(given.keys() - head.fields.keys())
    require(not strange, f"it gives {', '.join(strange)}, which its fields do not declare")
    for name, value in given.items():
        axes, shape = head.fields[name].split(), tuple(value.shape)
        known = {"b": BATCH, "n": answers.shape[1]}
        fits = len(axes) == len(shape) and axes[:1] == ["b"]
        fits = fits and all(size == known.get(axis, size) for axis, size in zip(axes, shape, strict=True))
        require(fits, f"{name} has shape {shape}, which {head.fields[name]!r} does not fit")
        require_finite(name, value)


def reads_are_apart(build: Build, seed: int) -> None:
    """Observed one by one, as in a step graph, reads lead to the same conclusion as all at once."""
    head = build().eval()
    answers, scene = case(head, seed)
    fields, carried = head.observe(answers, scene)
    single = [head.observe(answers[:, k : k + 1], some(scene, slice(k, k + 1))) for k in range(answers.shape[1])]
    parts = [(named(own), kept) for own, kept in single]
    for name, value in named(fields).items():
        require_equal(f"{name}, read by read", torch.cat([own[name] for own, _ in parts], dim=1), value, ROUNDING)
    pushed = {name: torch.cat([kept[name] for _, kept in parts], dim=1) for name in carried}
    whole = named(head.conclude(carried))
    for name, value in named(head.conclude(pushed)).items():
        require_equal(f"{name}, concluded from single reads", value, whole[name], ROUNDING)


def carries_what_it_says(build: Build, seed: int) -> None:
    """A head that reads after every glimpse names what it keeps of each, with its shape."""
    head = build().eval()
    if list(head.reads(GLIMPSES)) != list(range(1, GLIMPSES + 1)):
        return
    answers, scene = case(head, seed)
    noise = [name for name, value in scene.noise._asdict().items() if value is not None]
    kept = {name: tuple(value.shape[2:]) for name, value in head.observe(answers, scene)[1].items()}
    said = {name: tuple(shape) for name, shape in head.carries(noise).items()}
    require(kept == said, f"it keeps {kept}, and carries says {said}")


def samples_are_apart(build: Build, seed: int) -> None:
    """What is read of one image reaches no other's answer."""
    head = build().eval()
    answers, scene = case(head, seed)
    whole = named(head(answers, scene))
    for i in range(BATCH):
        alone = named(head(answers[i : i + 1], some(scene, images=slice(i, i + 1))))
        for name, value in alone.items():
            require_equal(f"{name} of sample {i} alone", value, whole[name][i : i + 1], ROUNDING)


def nothing_on_self(build: Build, seed: int) -> None:
    """An answer leaves nothing behind, and is the same again."""
    head = build().eval()
    answers, scene = case(head, seed)
    before = snapshot(head)
    first = named(head(answers, scene))
    require_unchanged(head, before)
    for name, value in named(head(answers, scene)).items():
        require_equal(f"{name}, asked again", value, first[name])


def learns(build: Build, seed: int) -> None:
    """Its losses are finite numbers, and reach every parameter, the query's too."""
    head = build()
    losses = losses_of(head, seed)
    require(bool(losses), "it has no loss")
    for name, loss in losses.items():
        require(loss.ndim == 0, f"the loss {name} has shape {tuple(loss.shape)}, and must be one number")
        require_finite(f"the loss {name}", loss)
    torch.stack([*losses.values()]).sum().backward()
    require_gradients(head)


def asks_for_its_targets(build: Build, seed: int) -> None:
    """Without the targets that it says it learns, its loss is an InputError."""
    head = build()
    if head.targets is None:
        return
    answers, scene = case(head, seed)
    try:
        head.losses(Output.of(head(answers, scene)), uniform(seed, BATCH, 1, *IMAGE), None)
    except InputError:
        return
    require(False, f"it learns {head.targets}, and its losses do without any")


def measures_add_up(build: Build, seed: int) -> None:
    """What it measures of a batch is the sum over its parts, and becomes figures that JSON can hold."""
    head = build().eval()
    answers, scene = case(head, seed)
    output = Output.of(head(answers, scene))
    targets = targets_for(head, output, seed)
    if targets is None:
        return

    def of(rows: slice) -> Mapping[str, Tensor]:
        return head.measure(pytree.tree_map_only(Tensor, lambda x: x[rows], output), targets[rows])

    whole, first, rest = of(slice(None)), of(slice(0, 1)), of(slice(1, None))
    for name, value in whole.items():
        require_equal(f"the measure {name}", first[name] + rest[name], value, ROUNDING)
    json.dumps(head.figures(whole, BATCH), allow_nan=False)


def keeps_type(build: Build, seed: int) -> None:
    """What it gives is of the type of what it read, also under autocast."""
    head, (answers, scene) = build().float(), case(build(), seed)
    looks, noise = (pytree.tree_map_only(Tensor, Tensor.float, group) for group in (scene.looks, scene.noise))
    answers, scene = answers.float(), Scene(looks, scene.locator.float(), noise)
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            given = named(head(answers, scene))
        for name, value in given.items():
            where = " under autocast" if enabled else ""
            require(value.dtype == torch.float32, f"{name} of float32 answers is {value.dtype}{where}")
            require_finite(name + where, value)


HEAD_CHECKS = by_name(
    reads_are_writes,
    reads_alike_at_any_length,
    fields_are_declared,
    reads_are_apart,
    carries_what_it_says,
    samples_are_apart,
    nothing_on_self,
    learns,
    asks_for_its_targets,
    measures_add_up,
    keeps_type,
)
