"""What helps a mask to find a figure: each is a field that changes what it says and is off by default."""

from typing import Any

import pytest
import torch

import stawm
from stawm.errors import ConfigError, InputError
from stawm.export.graphs.plan import Plan, make_graphs
from stawm.heads.drawing import DrawingHead
from stawm.models.latents import redraw
from tests.small import inputs, shaken, small, tensors, tiny

FIELDS: dict[str, Any] = {"start_logvar": 0.0, "levels": False, "first_apart": False, "early": 0.0}


def drawer(**drawing: Any) -> Any:
    """A small model that draws with masks."""
    return tiny(heads={"name": "drawing", **drawing}, canvas="bernoulli", class_names=()).double()


def test_all_is_off_by_default() -> None:
    head = DrawingHead.Config()
    assert {name: getattr(head, name) for name in FIELDS} == FIELDS
    masked: Any = stawm.config("stawm-celeba-draw-32")
    assert masked.sketch_limit is None
    assert drawer().heads["drawing"].first is drawer().heads["drawing"].sketcher.levels is None


def test_sketches_stay_near_the_whole_canvas() -> None:
    near, far = (shaken(tiny(sketch_limit=limit), 2.0).eval() for limit in (0.1, None))
    whole = near.locator.identity_pose()
    away = [(model(inputs(model)[0]).trace.inverse_pose - whole).abs().max().item() for model in (near, far)]
    assert away[0] <= 0.1 + 1e-6 < away[1]


def test_latents_start_with_as_much_noise_as_is_said() -> None:
    before, after = (drawer(start_logvar=start) for start in (0.0, -4.0))
    images, _ = inputs(before)
    moved = after(images).latent.logvar - before(images).latent.logvar
    assert torch.allclose(moved, torch.full_like(moved, -4.0), atol=1e-12)


def test_levels_are_added_to_every_pixel_of_a_channel() -> None:
    sketcher = shaken(drawer(levels=True)).heads["drawing"].sketcher
    z = torch.randn(2, 3, 4, dtype=torch.float64)
    with_levels, levels = sketcher.decode(z), sketcher.levels
    sketcher.levels = None
    added = with_levels - sketcher.decode(z)
    assert torch.allclose(added, levels(z)[..., None, None].expand_as(added), atol=1e-12)


def test_the_first_sketch_is_made_apart() -> None:
    model = shaken(drawer(first_apart=True)).eval()
    head, images = model.heads["drawing"], inputs(model)[0]
    before = tensors(model(images))
    with torch.no_grad():
        for parameter in head.first.parameters():
            parameter += 0.5
    after = tensors(model(images))
    for name in ("mu", "logvar", "sketches"):
        assert not torch.equal(before[name][:, 0], after[name][:, 0])
        assert torch.equal(before[name][:, 1:], after[name][:, 1:])
    alone = tensors(model(images, glimpses=1))
    assert torch.allclose(alone["sketches"], after["sketches"][:, :1], atol=1e-12)
    drawn = redraw(model, images, after["mu"][:, None])
    assert torch.allclose(drawn[:, 0], after["canvas"], atol=1e-9)


def test_every_weight_of_the_preset_learns() -> None:
    model = small("stawm-figure-ground")
    images, labels = inputs(model)
    model.loss(model(images), images, labels)["total"].backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert not {name for name in still if name.startswith("heads.drawing")}


def test_a_step_graph_of_a_first_sketch_apart_is_refused() -> None:
    with pytest.raises(InputError, match="a step does not know whether it is the first"):
        make_graphs(drawer(first_apart=True).eval(), Plan("step", 3, ("canvas",), False))


def test_earlier_canvases_are_learned_from_where_it_is_said():
    """By the mean of their absolute errors."""
    plain, early = (shaken(drawer(**fields)).train() for fields in ({}, {"early": 0.5}))
    images = inputs(early)[0]
    output = early(images)
    parts = early.loss(output, images)
    lacking = [(output.canvases[:, t] - early.denormalise(images)).abs().sum() for t in range(3)]
    assert set(plain.loss(plain(images), images)) == {"reconstruction", "kl", "total"}
    assert parts["early_reconstruction"].item() == pytest.approx(0.25 * (lacking[0] + lacking[1]).item(), rel=1e-12)
    assert parts["total"].item() == pytest.approx(
        sum(parts[name].item() for name in parts if name != "total"), rel=1e-12
    )
    assert set(early.loss(early(images, glimpses=1), images)) == {"reconstruction", "kl", "total"}
    assert early.config.head("drawing").summed_losses == ("reconstruction", "early_reconstruction")


def test_nats_have_no_early_canvases():
    with pytest.raises(ConfigError, match="early is of the measure 'squared-error', and this one is 'nats'"):
        drawer(early=1.0, measure="nats")
