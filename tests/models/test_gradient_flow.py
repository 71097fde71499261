"""Which parameter gets gradient from which loss: the tables of docs/gradient-flow.md, cell by cell."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.models.model import Model
from tests.small import BASELINES, PRESETS, SIZES, inputs, shaken, small, tiny

PAGE = Path(__file__).parents[2] / "docs" / "gradient-flow.md"
LOSSES = {"classification": "classification", "reconstruction": "reconstruction", "divergence": "kl"}


def tables(text: str) -> list[dict[tuple[str, str], str]]:
    """For each table of the page, part and loss to cell."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()]
        columns = {name: head.index(name) for name in LOSSES if name in head}
        found.append({(row[0].strip("`"), name): row[i] for row in rows for name, i in columns.items()})
    return found


MODEL, READOUT, BASELINE = tables(PAGE.read_text(encoding="utf-8"))


def gradients(model: Model, part: str, **options: Any) -> dict[str, Tensor | None]:
    """The gradient of one part of the loss by every parameter."""
    images, labels = inputs(model, batch=8)
    loss = model.loss(model(images, **options), images, labels)[part]
    named = dict(model.named_parameters())
    learning = {name: p for name, p in named.items() if p.requires_grad}
    found = torch.autograd.grad(loss, [*learning.values()], allow_unused=True)
    return dict.fromkeys(named) | dict(zip(learning, found, strict=True))


def reached(found: dict[str, Tensor | None], part: str) -> list[bool]:
    """For each parameter of a part, whether it got a gradient."""
    return [g is not None and bool(g.any()) for name, g in found.items() if name == part or name.startswith(f"{part}.")]


def assert_cell(model: Model, part: str, loss: str, cell: str) -> None:
    got = reached(gradients(model, LOSSES[loss]), part)
    assert got, f"the model has no {part}"
    assert cell in ("yes", "no")
    assert all(got) if cell == "yes" else not any(got)


@pytest.mark.parametrize(("part", "loss"), MODEL, ids=str)
def test_the_model(part: str, loss: str) -> None:
    assert_cell(shaken(tiny().double()), part, loss, MODEL[part, loss])


@pytest.mark.parametrize(("part", "loss"), READOUT, ids=str)
def test_the_readout(part: str, loss: str) -> None:
    model = shaken(tiny(trainable="readout", heads="classification").double())
    assert_cell(model, part, loss, READOUT[part, loss])


@pytest.mark.parametrize(("part", "loss"), BASELINE, ids=str)
def test_the_baseline(part: str, loss: str) -> None:
    heads = ("classification", "drawing")
    model = stawm.build("bvae-cifar", seed=0, image=(3, 8, 8), heads=heads, backbone={"layers": "4@3/1 4@3/2"})
    assert_cell(shaken(model.double()), part, loss, BASELINE[part, loss])


@pytest.mark.parametrize("table", [MODEL, BASELINE], ids=["model", "baseline"])
def test_every_parameter_stands_in_one_row(table: dict[tuple[str, str], str]) -> None:
    parts = {part for part, _ in table}
    both = ("classification", "drawing")
    model = tiny() if table is MODEL else stawm.build("bvae-cifar", heads=both)
    for name, _ in model.named_parameters():
        assert len([part for part in parts if name.startswith(f"{part}.")]) == 1, name
    assert len(table) == 3 * len(parts)


@pytest.mark.parametrize("preset", PRESETS)
def test_no_parameter_of_any_preset_is_unused(preset: str) -> None:
    model = shaken(small(preset), 0.02)
    found = gradients(model, "total")
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    idle = [name for name in learning if not reached(found, name)[0]]
    assert not idle


# What the page says beside its tables


@pytest.mark.parametrize("loss", LOSSES.values())
def test_the_context_learns_nothing_from_queries(loss: str) -> None:
    model = shaken(tiny().double())
    torch.nn.init.zeros_(model.loop.context_down.weight)  # now the context is heard in the queries only
    found = gradients(model, loss)
    assert not any(reached(found, "loop.context"))
    queries = [q for q in ("heads.classification.query", "heads.drawing.query") if any(reached(found, q))]
    assert queries


def test_what_lies_before_the_pose_waits_for_one_step() -> None:
    before = ("loop.context", "loop.context_down", "loop.emission_rnn", "loop.aggregator_rnn", "loop.emitter.hidden")
    model = tiny()
    found = gradients(model, "classification")
    assert not any(any(reached(found, part)) for part in before)
    assert all(reached(found, "loop.emitter.pose"))
    images, labels = inputs(model, batch=8)
    model.loss(model(images), images, labels)["total"].backward()
    torch.optim.SGD(model.parameters(), lr=1e-3).step()
    found = gradients(model, "total")
    assert all(any(reached(found, part)) for part in before)


def test_with_where_from_the_rnn_it_need_not_wait() -> None:
    found = gradients(tiny(where="rnn"), "classification")
    assert all(any(reached(found, part)) for part in ("loop.context", "loop.context_down", "loop.emission_rnn"))


def test_one_glimpse_leaves_parts_idle() -> None:
    found = gradients(shaken(tiny().double()), "total", glimpses=1)
    assert not any(reached(found, "loop.aggregator_rnn"))
    assert not reached(found, "memory.delta")[0]
    assert reached(found, "memory.eta")[0]


def test_a_variance_that_is_not_sampled_is_not_heard() -> None:
    model = shaken(tiny().double())
    found = gradients(model, "reconstruction", sample=False)
    assert not any(reached(found, "heads.drawing.sketcher.logvar"))
    assert all(reached(found, "heads.drawing.sketcher.mu"))


@pytest.mark.parametrize("preset", ["stawm-mnist-selfsup", "stawm-cifar-selfsup"])
def test_the_frozen_parts_stay_as_they_are(preset: str) -> None:
    model = shaken(small(preset).double()).train()
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {
        "memory.delta",
        "memory.eta",
        "memory.theta",
        *(f"heads.classification.{part}.linear.{w}" for part in ("query", "classifier") for w in ("weight", "bias")),
    }
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images, labels = inputs(model)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model.loss(model(images), images, labels)["total"].backward()
        optimiser.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == learning


def test_training_mode_of_a_readout() -> None:
    model: Any = small("stawm-mnist-selfsup").train()
    assert model.training
    assert model.heads.training
    assert not any(module.training for module in model.loop.modules())
    assert not model.eval().heads.training


def test_other_batch_statistics_do_move() -> None:
    model = small("stawm-mnist-draw-6").train()
    before = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    model(inputs(model)[0])
    assert before
    assert all(not torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_presets_that_the_page_names() -> None:
    named = {preset for preset in PRESETS if preset in PAGE.read_text(encoding="utf-8")}
    assert named == {"stawm-mnist-selfsup", "stawm-cifar-selfsup", "bvae-cifar-selfsup", "bvae-cifar"}
    assert set(SIZES) == {"memory_size", "hidden_size", "glimpses"}
    assert set(BASELINES) <= set(PRESETS)
