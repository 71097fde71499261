"""The authors' weights in every preset that has its like there, also where there is no golden case."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import stawm
from stawm.errors import CheckpointError, InputError
from stawm.heads.output import Noise
from stawm.models.model import Stawm
from stawm.storage.interop import authors_names, load_authors_state_dict
from tests import authors_twin as twin
from tests.authors import CASES, GoldenCase, authors_state_dict
from tests.authors_twin import Layer, Net, Weights
from tests.small import OURS, tensors

M, D = 8, 12
GOLDEN = {"mnist_class_8": twin.MNIST_8, "mnist_draw_6": twin.DRAW_6, "cifar_draw_16": twin.CIFAR_DRAW}
GOLDEN |= {"celeba_draw_32": twin.CELEBA}
NETS = [
    *(twin.MNIST_8, twin.MNIST_28, twin.DRAW_4, twin.DRAW_6, twin.DRAW_8, twin.SKETCHPAD, twin.MNIST_SELFSUP),
    *(twin.CIFAR_DRAW, twin.CIFAR_SELFSUP, twin.CELEBA),
]
NEAR = 1e-9


def label(net: Net) -> str:
    return net.preset


def state_dict(net: Net) -> Weights:
    return authors_state_dict(net.shapes(M, D))


def built(net: Net, **overrides: Any) -> Any:
    sizes = {"memory_size": M, "hidden_size": D, "glimpses": net.glimpses}
    return stawm.build(net.preset, seed=0, **sizes, **overrides).double().eval()


def images_of(net: Net) -> Tensor:
    channels, side = net.image
    return torch.from_numpy(np.random.RandomState(7).rand(2, channels, side, side))


def mask_noise(net: Net) -> Tensor | None:
    if net is not twin.CELEBA:
        return None
    side = net.image[1]
    return torch.from_numpy(np.random.RandomState(100).uniform(0.01, 0.99, (2, net.glimpses, 1, side, side)))


def assert_near(name: str, got: Tensor, expected: Tensor) -> None:
    gap = (got.reshape(expected.shape) - expected).abs().max()
    assert gap <= NEAR * expected.abs().max(), f"{name}: off by {gap:.2e}"


# The twin


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_twin_is_right(case: GoldenCase) -> None:
    net = GOLDEN[case.name]
    m, d = case.overrides["memory_size"], case.overrides["hidden_size"]
    assert net.shapes(m, d) == {name: tuple(shape) for name, shape in case.info["parameters"].items()}
    found = twin.forward(net, case.state_dict(), case.images(), case.mask_noise())
    found["output"] = found.get("logits", found.get("canvas", torch.empty(0)))
    compared = found.keys() & case.arrays.keys()
    assert {"output", "pose", "memory_input"} <= compared
    for name in compared:
        assert_near(name, found[name], torch.from_numpy(case.arrays[name]))


# Every preset


def test_every_preset_with_a_like_is_here() -> None:
    ours = {*stawm.list_names("preset", "stawm-*")} - OURS - {"stawm-cifar-mnv2"}
    assert {net.preset for net in NETS} == ours


@pytest.mark.parametrize("net", NETS, ids=label)
def test_the_model_computes_what_the_authors_do(net: Net) -> None:
    model, weights, noise = built(net), state_dict(net), mask_noise(net)
    load_authors_state_dict(model, weights)
    found = tensors(model(images_of(net), noise=Noise(mask=noise)))
    expected = twin.forward(net, weights, images_of(net), noise)
    assert {"pose", "memory_input"} < expected.keys() <= found.keys()
    assert ("canvas" in expected, "logits" in expected) == (net.draws, net.classifier is not None)
    for name, value in expected.items():
        assert_near(name, found[name], value)


@pytest.mark.parametrize("net", NETS, ids=label)
def test_every_weight_is_filled_and_none_twice(net: Net) -> None:
    model, weights = built(net), state_dict(net)
    names = authors_names(model, weights)
    first = {theirs: ours for theirs, ours in names.items() if not theirs.startswith(("context.", "encoder."))}
    assert set(first.values()) == set(model.state_dict())
    assert len(set(first.values())) == len(first)
    left_out = {name.rpartition(".")[0] or name for name in weights if name not in names}
    unused = {"onehots", "memory"} | {"memory.project"}
    assert left_out <= unused | ({"memory.inv_emission.fc1", "memory.inv_emission.fc3"} if not net.draws else set())
    load_authors_state_dict(model, weights)
    own = model.state_dict()
    for theirs, ours in first.items():
        assert torch.equal(own[ours], weights[theirs].reshape(own[ours].shape)), theirs


def test_the_vae_computes_what_the_authors_does() -> None:
    model = stawm.build("bvae-cifar", seed=0).double().eval()
    weights = authors_state_dict(twin.vae_shapes())
    load_authors_state_dict(model, weights)
    images = images_of(twin.CIFAR_DRAW)
    assert_near("canvas", tensors(model(images))["canvas"], twin.vae(twin.BVAE, weights, images))
    assert set(authors_names(model, weights).values()) == set(model.state_dict())


@pytest.mark.parametrize("net", [twin.DRAW_8, twin.SKETCHPAD], ids=label)
def test_sketches_of_8x8_glimpses_are_10x10_as_the_authors_have_them(net: Net) -> None:
    decoder = built(net).heads["drawing"].sketcher.decoder
    assert decoder(torch.zeros(1, 1, decoder.in_features).double()).shape == (1, 1, 1, 10, 10)


@pytest.mark.parametrize("net", [twin.MNIST_SELFSUP, twin.CIFAR_SELFSUP], ids=label)
def test_a_self_supervised_dict_may_hold_the_drawing_too(net: Net) -> None:
    drawing = twin.DRAW_6 if net is twin.MNIST_SELFSUP else twin.CIFAR_DRAW
    whole = authors_state_dict({**drawing.shapes(M, D), **net.shapes(M, D)})
    assert any(name.startswith("decoder.") for name in whole)
    first, again = built(net), built(net)
    load_authors_state_dict(first, whole)
    load_authors_state_dict(again, state_dict(net))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


# Forms of the same dict


@pytest.mark.parametrize("net", [twin.CIFAR_DRAW, twin.CELEBA], ids=label)
def test_of_two_names_the_memorys_is_in_force(net: Net) -> None:
    model, weights = built(net), state_dict(net)
    other = {n: torch.zeros_like(w) if n.startswith(("context.", "encoder.")) else w for n, w in weights.items()}
    load_authors_state_dict(model, other)
    assert model.loop.context.blocks[0].conv.weight.any()
    named_once = {n: w for n, w in weights.items() if not n.startswith("memory.context_cnn")}
    again = built(net)
    load_authors_state_dict(again, named_once)
    assert torch.equal(again.loop.context.blocks[0].conv.weight, model.loop.context.blocks[0].conv.weight)


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_dict_does_not_matter(random: Any) -> None:
    net = twin.DRAW_8
    weights = state_dict(net)
    names = [*weights]
    random.shuffle(names)
    assert authors_names(SHARED, names) == authors_names(SHARED, weights)


SHARED = built(twin.DRAW_8)


def test_layers_count_as_numbers() -> None:
    names = authors_names(SHARED, [f"memory.context_cnn.{i}.weight" for i in (10, 2, 0)])
    assert [ours.split(".")[3] for ours in names.values()] == ["2", "1", "0"]


def test_single_precision_arrays_and_scalars_are_taken() -> None:
    net = twin.MNIST_8
    weights: dict[str, Any] = {name: value.float().numpy() for name, value in state_dict(net).items()}
    weights["memory.decay"] = torch.tensor(0.25)
    model = built(net)
    load_authors_state_dict(model, weights)
    assert model.memory.delta.item() == 0.25
    assert model.memory.delta.dtype == torch.float64
    assert model.memory.delta.shape == ()


def test_what_torchbearer_saves_and_parallel_models() -> None:
    net = twin.MNIST_8
    plain, wrapped = built(net), built(net)
    load_authors_state_dict(plain, state_dict(net))
    parallel = {f"module.{name}": value for name, value in state_dict(net).items()}
    load_authors_state_dict(wrapped, {"model": parallel, "optimizer": {"state": {}}, "callback_list": []})
    assert all(
        torch.equal(a, b) for a, b in zip(plain.state_dict().values(), wrapped.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("version", "aligned"), [("0.4.1", True), ("1.0.0", True), ("1.3", False), ("2.9.0+cu128", False)]
)
def test_weights_want_the_corners_that_they_were_trained_with(version: str, aligned: bool) -> None:
    net = twin.DRAW_4
    load_authors_state_dict(built(net, locator={"align_corners": aligned}), state_dict(net), trained_with=version)
    other = built(net, locator={"align_corners": not aligned})
    with pytest.raises(InputError, match=f"build the model with locator.align_corners={str(aligned).lower()}"):
        load_authors_state_dict(other, state_dict(net), trained_with=version)
    with pytest.raises(InputError, match="a version of PyTorch"):
        load_authors_state_dict(other, state_dict(net), trained_with="old")


def test_the_mobilenet_of_the_authors() -> None:
    sizes = {"memory_size": M, "hidden_size": D, "glimpses": 2}
    model = stawm.build("stawm-cifar-mnv2.authors", seed=0, **sizes)
    own = model.state_dict()
    backbone = {name.removeprefix("loop.backbone."): value for name, value in own.items() if "loop.backbone." in name}
    assert (
        sum(value.numel() for name, value in backbone.items() if not name.endswith(("mean", "var", "tracked")))
        == 2_284_112
    )
    context = [Layer(f"conv{i}.conv", a, b, 3, 2) for i, (a, b) in enumerate(((3, 64), (64, 128), (128, 256)), 1)]
    net = replace(twin.MNIST_28, image=(3, 32), context=context, encoder=(), flat=(2304, 1280))
    theirs = {f"memory.glimpse_cnn.{name}": torch.rand_like(value.double()) for name, value in backbone.items()}
    theirs |= {
        "memory.glimpse_cnn.linear.weight": torch.zeros(10, 1280),
        "memory.glimpse_cnn.linear.bias": torch.zeros(10),
    }
    theirs |= authors_state_dict(net.shapes(M, D))
    load_authors_state_dict(model, {f"module.{name}": value for name, value in theirs.items()})
    for name in backbone:
        value = theirs[f"memory.glimpse_cnn.{name}"].to(own[f"loop.backbone.{name}"].dtype)
        assert torch.equal(model.state_dict()[f"loop.backbone.{name}"], value), name


# What does not fit


def refused(model: Any, weights: dict[str, Any]) -> str:
    """The error that loading gives; the model is as it was."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_authors_state_dict(model, weights)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return str(caught.value)


@pytest.mark.parametrize("net", NETS, ids=label)
def test_missing_weights(net: Net) -> None:
    model, weights = built(net), state_dict(net)
    for theirs, ours in authors_names(model, weights).items():
        twice = net.named_twice and (theirs.startswith(("context.", "encoder.")) or "_cnn." in theirs)
        if theirs.endswith("num_batches_tracked") or twice or "_cnn." in theirs or theirs.startswith("decoder."):
            continue  # counters are not needed, second names stand in, and without a layer others move up
        said = refused(model, {name: value for name, value in weights.items() if name != theirs})
        assert f"missing: {ours}" in said, theirs


@pytest.mark.parametrize("net", NETS, ids=label)
def test_weights_of_another_shape(net: Net) -> None:
    model, weights = built(net), state_dict(net)
    said = refused(model, {**weights, "qdown.weight": torch.zeros(3, 3)})
    assert f"of another shape: qdown.weight ((3, 3) for ({M}, " in said
    said = refused(model, {**weights, "memory.decay": torch.zeros(2)})
    assert "memory.decay ((2,) for ())" in said


@pytest.mark.parametrize("net", NETS, ids=label)
@pytest.mark.parametrize(
    "name", ["extra.weight", "memory.extra", "memory.context_cnn.conv9.conv.weight", "qdown.extra"]
)
def test_weights_that_are_not_known(net: Net, name: str) -> None:
    said = refused(built(net), {**state_dict(net), name: torch.zeros(1)})
    assert f"unexpected: {name}" in said


@pytest.mark.parametrize("net", [net for net in NETS if net.draws], ids=label)
@pytest.mark.parametrize(
    "name", ["decoder.conv9.conv.weight", "mu.extra", "sup.9.weight", "memory.inv_emission.fc2.bias"]
)
def test_a_drawing_model_passes_over_no_drawing(net: Net, name: str) -> None:
    assert f"unexpected: {name}" in refused(built(net), {**state_dict(net), name: torch.zeros(1)})


def test_a_classifier_under_two_names() -> None:
    net = twin.CIFAR_SELFSUP
    said = refused(built(net), {**state_dict(net), "classifier.bias": torch.zeros(10)})
    assert "unexpected: classifier.bias" in said


def test_the_dict_of_another_experiment() -> None:
    assert "missing" in refused(built(twin.MNIST_28), state_dict(twin.MNIST_8))
    assert "unexpected" in refused(built(twin.MNIST_8), state_dict(twin.SKETCHPAD))
    assert "missing" in refused(built(twin.DRAW_8), {})


def test_what_is_no_tensor() -> None:
    said = refused(built(twin.MNIST_8), {**state_dict(twin.MNIST_8), "qdown.bias": "zeros"})
    assert "no tensor under 'qdown.bias' but a str" in said


@pytest.mark.parametrize(
    ("preset", "overrides", "said"),
    [
        ("stawm-cifar-mnv2", {"memory_size": 4, "hidden_size": 4}, "the backbone 'timm:mobilenetv2_100'"),
        (
            "stawm-mnist-8",
            {"locator": "crop", "memory": "fast-weights"},
            "the locator 'crop' and the memory 'fast-weights'",
        ),
        ("stawm-mnist-8", {"where": "rnn"}, "where='rnn'"),
        ("stawm-digits", {}, "constrained rates"),
        ("mnv2-cifar", {}, "the head 'classification'"),
    ],
)
def test_models_without_a_like(preset: str, overrides: dict[str, Any], said: str) -> None:
    model = stawm.build(preset, **overrides)
    with pytest.raises(InputError, match=f"no like of {preset} with .*{said}"):
        load_authors_state_dict(model, {})


def test_what_is_no_model(unchecked: None) -> None:
    model: Any = torch.nn.Linear(1, 1)
    with pytest.raises(InputError, match=r"stawm\.build made; got Linear"):
        load_authors_state_dict(model, {})


def test_any_sizes() -> None:
    net = twin.CIFAR_SELFSUP
    model = stawm.build(net.preset, memory_size=5, hidden_size=6, glimpses=2)
    assert isinstance(model, Stawm)
    load_authors_state_dict(model, authors_state_dict(net.shapes(5, 6)))
    assert model.loop.what.weight.shape == (5, 6)
