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

FIELDS: dict[str, Any] = {
    "start_logvar": 0.0,
    "levels": False,
    "first_apart": False,
    "early": 0.0,
    "early_alone": False,
}


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


@pytest.mark.parametrize("canvas", ["addition", {"name": "bernoulli", "ground": True, "sampled": True}])
def test_early_sketches_can_learn_from_the_early_loss_alone(canvas: Any):
    """What is drawn stays as it is; the finished picture moves the last sketch, the earlier canvases the others."""
    plain, alone = (
        shaken(tiny(heads={"name": "drawing", "early": 0.5, "early_alone": each}, canvas=canvas).double()).train()
        for each in (False, True)
    )
    torch.manual_seed(0)
    sketches = torch.rand(
        2, 3, plain.heads["drawing"].canvas.sketch_channels, *plain.config.image[1:], dtype=torch.float64
    )
    carried = {
        "sketches": sketches.requires_grad_(),
        "mask_noise": torch.rand(2, 3, 1, *plain.config.image[1:]).double(),
    }
    found = [model.heads["drawing"].conclude(carried) for model in (plain, alone)]
    for name, drawn in found[0].items():
        assert drawn is found[1][name] is None or torch.equal(drawn, found[1][name]), name
    (moved,) = torch.autograd.grad(found[1]["canvas"].square().sum(), sketches, retain_graph=True)
    (usual,) = torch.autograd.grad(found[0]["canvas"].square().sum(), sketches, retain_graph=True)
    assert not moved[:, :-1].any()
    assert usual[:, :-1].any()
    assert torch.allclose(moved[:, -1], usual[:, -1], atol=1e-12)
    early = [torch.autograd.grad(drawn["canvases"][:, :-1].square().sum(), sketches)[0] for drawn in found]
    assert torch.equal(*early)
    assert early[0][:, :-1].any()


def test_early_sketches_that_learn_alone_need_an_early_loss():
    with pytest.raises(ConfigError, match="early_alone leaves early sketches nothing to learn from where early is 0"):
        drawer(early_alone=True)


def test_nats_have_no_early_canvases():
    with pytest.raises(ConfigError, match="early is of the measure 'squared-error', and this one is 'nats'"):
        drawer(early=1.0, measure="nats")
