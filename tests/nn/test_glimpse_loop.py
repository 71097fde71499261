"""The glimpse loop against a plain twin, step by step, and what it passes on."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stawm.configuration.components import build_component
from stawm.nn.glimpse_loop import GlimpseLoop, Look, LoopState, flatten_time

EPS = torch.finfo(torch.float64).eps
IMAGE, GLIMPSE, HIDDEN, MEMORY = (2, 9, 11), 5, 7, 6


def loop(where: str = "pose", inverse: bool = True, dropout: float = 0.0, locator: str = "affine") -> GlimpseLoop:
    torch.manual_seed(0)
    c, *size = IMAGE
    layers = {"name": "conv", "norm": "none", "bias": True}
    found = GlimpseLoop(
        context=build_component("backbone", {**layers, "layers": "3@3/2"}, channels=c, size=tuple(size)),
        backbone=build_component("backbone", {**layers, "layers": "4@3/1"}, channels=c, size=(GLIMPSE, GLIMPSE)),
        locator=build_component("locator", locator, glimpse_size=GLIMPSE, image_size=tuple(size)),
        hidden_size=HIDDEN,
        memory_size=MEMORY,
        dropout=dropout,
        where=where,  # pyright: ignore[reportArgumentType]
        inverse=inverse,
    ).double()
    for parameter in found.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return found


def images(batch: int = 3) -> Tensor:
    return torch.rand(batch, *IMAGE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Twin(NamedTuple):
    """What the loop gives, computed plainly."""

    context: Tensor
    pose: Tensor
    inverse_pose: Tensor
    glimpse: Tensor
    features: Tensor
    emission: Tensor
    memory_input: Tensor


def twin(model: Any, x: Tensor, n: int) -> Twin:
    """The order inside one glimpse, one image at a time, with PyTorch's own cells."""
    w = model.state_dict()

    def linear(name: str, v: Tensor) -> Tensor:
        return w[f"{name}.weight"] @ v + w[f"{name}.bias"]

    def cell(name: str, v: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        gates = w[f"{name}.weight_ih"] @ v + w[f"{name}.bias_ih"] + w[f"{name}.weight_hh"] @ h + w[f"{name}.bias_hh"]
        i, f, g, o = gates.split(len(h))
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def emit(name: str, h: Tensor) -> Tensor:
        return linear(f"{name}.pose", linear(f"{name}.hidden", h).clamp(min=0))

    kept: list[list[list[Tensor]]] = []
    contexts = []
    for image in x:
        context = F.conv2d(image, w["context.blocks.0.conv.weight"], w["context.blocks.0.conv.bias"], stride=2)
        context = context.clamp(min=0).flatten()
        start = linear("context_down", context).clamp(min=0)
        emission, given = start, start
        zero = torch.zeros_like(start)
        emission_c, aggregator, aggregator_c = zero, zero, zero
        steps = []
        for _ in range(n):
            emission, emission_c = cell("emission_rnn", given, emission, emission_c)
            pose, inverse = emit("emitter", emission), emit("inverse_emitter", emission)
            grid = F.affine_grid(pose.view(1, 2, 3), [1, IMAGE[0], GLIMPSE, GLIMPSE], align_corners=False)
            glimpse = F.grid_sample(image[None], grid, align_corners=False)[0]
            seen = F.conv2d(glimpse, w["backbone.blocks.0.conv.weight"], w["backbone.blocks.0.conv.bias"])
            features = linear("glimpse_down", seen.clamp(min=0).flatten()).clamp(min=0)
            aggregator, aggregator_c = cell("aggregator_rnn", features, aggregator, aggregator_c)
            given = aggregator
            where = linear("where", pose if model.where_from == "pose" else emission)
            e = (linear("what", features) * where).clamp(0, 6)
            steps.append([pose, inverse, glimpse, features, emission, e])
        kept.append(steps)
        contexts.append(context)
    columns = [torch.stack([torch.stack([step[i] for step in steps]) for steps in kept]) for i in range(6)]
    return Twin(torch.stack(contexts), *columns)


def assert_near(got: Tensor, expected: Tensor) -> None:
    assert got.shape == expected.shape
    assert (got - expected).abs().max() <= 1e4 * EPS * (1 + expected.abs().max())


@pytest.mark.parametrize("where", ["pose", "rnn"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_loop_is_its_twin(where: str, n: int) -> None:
    model = loop(where)
    context, looks, memory_input = model(images(), n)
    expected = twin(model, images(), n)
    assert looks.inverse_pose is not None
    got = Twin(context, looks.pose, looks.inverse_pose, looks.glimpse, looks.features, looks.emission, memory_input)
    for a, b in zip(got, expected, strict=True):
        assert_near(a, b)
    assert memory_input.any(), "something was seen"


def test_the_gradients_are_those_of_the_twin() -> None:
    model = loop()
    plain = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}

    class Plain:
        where_from = "pose"

        def state_dict(self) -> dict[str, Tensor]:
            return plain

    _, looks, memory_input = model(images(), 3)
    assert looks.inverse_pose is not None
    (memory_input.sum() + looks.inverse_pose.square().sum()).backward()
    expected = twin(Plain(), images(), 3)
    total = expected.memory_input.sum() + expected.inverse_pose.square().sum()
    found = dict(zip(plain, torch.autograd.grad(total, [*plain.values()]), strict=True))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert_near(parameter.grad, found[name])


def test_step_by_step_is_the_same_as_all_at_once() -> None:
    model = loop()
    whole = model(images(), 4)
    context, state = model.init(images())
    assert torch.equal(context, whole[0])
    for t in range(4):
        state, look = model.look(images(), state)
        for part, stacked in zip(look, whole[1], strict=True):
            assert (part is None) == (stacked is None)
            if part is not None:
                assert_near(part, stacked[:, t])
        assert_near(model.memory_input(look), whole[2][:, t])
        state = model.aggregate(state, look.features)


def test_the_state_before_the_first_glimpse() -> None:
    _, state = loop().init(images())
    assert state.x is state.emission_h
    assert state[2:] == (None, None, None)


def test_looking_leaves_the_given_state() -> None:
    model = loop()
    _, state = model.init(images())
    before = state.x.clone()
    after, look = model.look(images(), state)
    model.aggregate(after, look.features)
    assert state == LoopState(x=state.x, emission_h=state.x)
    assert torch.equal(state.x, before)


def test_without_drawing_there_is_no_inverse_pose() -> None:
    model = loop(inverse=False)
    _, looks, _ = model(images(), 2)
    assert looks.inverse_pose is None
    assert not any("inverse" in name for name in model.state_dict())


@pytest.mark.parametrize("locator", ["affine", "crop", "filterbank"])
def test_poses_are_in_the_locators_numbers(locator: str) -> None:
    model = loop(locator=locator)
    _, looks, memory_input = model(images(), 2)
    assert looks.pose.shape == (3, 2, model.locator.pose_size)
    assert looks.glimpse.shape == (3, 2, IMAGE[0], GLIMPSE, GLIMPSE)
    assert memory_input.shape == (3, 2, MEMORY)


def test_the_memory_input_is_bounded() -> None:
    model = loop()
    look = Look(*(100 * torch.randn(4, 3, k, dtype=torch.float64) for k in (6, 6, 2, HIDDEN, HIDDEN)))
    e = model.memory_input(look)
    assert e.min() == 0
    assert e.max() == 6


def test_dropout_is_random_while_training_only() -> None:
    model = loop(dropout=0.5)
    assert not torch.equal(model(images(), 2)[2], model(images(), 2)[2])
    model.eval()
    assert torch.equal(model(images(), 2)[2], model(images(), 2)[2])


def test_flatten_time() -> None:
    x = torch.arange(24).view(2, 3, 2, 2).float()
    assert torch.equal(flatten_time(x)[4], x[1, 1])
    assert flatten_time(x).shape == (6, 2, 2)
