"""The model as a whole: any part swapped in, any number of glimpses, precision, bad input."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import stawm
from stawm import registry
from stawm.errors import InputError
from tests.small import PRESETS, inputs, shaken, small, tensors, tiny

MEMORIES: list[dict[str, Any]] = [
    *({"name": name} for name in registry.list_names("memory", origin="stawm")),
    *(
        {"name": "hebb-rosenblatt", "form": f, "orientation": o}
        for f in ("dense", "factored")
        for o in ("paper", "appendix")
    ),
]
CANVASES = registry.list_names("canvas", origin="stawm")
EPS = torch.finfo(torch.float64).eps


def label(value: Any) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def run(model: Any, **options: Any) -> dict[str, Tensor]:
    """Every tensor that a model gives for two images."""
    return tensors(model(inputs(model)[0], **options))


def assert_learns(model: Any) -> None:
    """One step forward and backward; every number is finite, and each part gets a gradient."""
    images, labels = inputs(model)
    found = model(images)
    assert all(value.isfinite().all() for value in tensors(found).values())
    model.loss(found, images, labels)["total"].backward()
    for name in ("memory", "loop.backbone", "heads.classification", "heads.drawing"):
        gradients = [p.grad for p in model.get_submodule(name).parameters() if p.grad is not None]
        assert all(g.isfinite().all() for g in gradients), name
        assert any(g.any() for g in gradients) or name == "memory", name


# Parts swapped in


def test_the_listings_are_not_empty() -> None:
    assert len(MEMORIES) >= 8
    assert {"addition", "bernoulli"} <= set(CANVASES)


def test_a_context_of_timm() -> None:
    model = tiny(image=(3, 32, 32), context="timm:resnet18", memory_size=4)
    assert_learns(model)
    assert model.heads["drawing"].query.linear.in_features == model.loop.context.features


def test_images_need_not_be_square() -> None:
    model = tiny(image=(2, 12, 20), canvas="bernoulli")
    assert_learns(model)
    assert run(model)["canvas"].shape == (2, 2, 12, 20)
    baseline = stawm.build("bvae-cifar", image=(2, 16, 24))
    assert run(baseline)["canvas"].shape == (2, 2, 16, 24)


def test_where_may_be_what_the_rnn_gives() -> None:
    model = shaken(tiny(where="rnn"))
    assert model.loop.where.in_features == model.config.hidden_size
    assert_learns(model)
    assert model.loop.emission_rnn.weight_ih.grad.any()


def test_a_readout_takes_in_what_a_drawing_model_learned() -> None:
    model = tiny(trainable="readout", heads="classification")
    images, labels = inputs(model)
    model.loss(model.train()(images), images, labels)["total"].backward()
    assert {n.partition(".")[0] for n, p in model.named_parameters() if p.grad is not None} == {"heads", "memory"}


def test_fixed_rates_stay_fixed_in_a_readout() -> None:
    model = tiny(trainable="readout", memory={"learnable": False})
    assert not any(p.requires_grad for p in model.memory.parameters())


# Glimpses


@pytest.mark.parametrize("canvas", CANVASES)
def test_more_glimpses_begin_with_the_fewer(canvas: str) -> None:
    model = shaken(tiny(canvas=canvas)).double().eval()
    whole = run(model, glimpses=5, glimpse_logits=True)
    for n in (1, 3):
        part = run(model, glimpses=n, glimpse_logits=True)
        assert part["pose"].shape[1] == n
        for name in ("pose", "inverse_pose", "glimpses", "memory_input", "glimpse_logits", "canvases", "mu", "logvar"):
            gap = (part[name] - whole[name][:, :n]).abs().max()
            assert gap <= 100 * EPS * whole[name].abs().max(), name


def test_logits_after_each_glimpse_end_with_the_logits() -> None:
    model = shaken(tiny()).eval()
    asked, plain = run(model, glimpse_logits=True), run(model)
    assert asked["glimpse_logits"].shape == (2, 3, 10)
    assert torch.equal(asked["glimpse_logits"][:, -1], asked["logits"])
    assert "glimpse_logits" not in plain
    assert (asked["logits"] - plain["logits"]).abs().max() < 1e-5
    assert not torch.equal(asked["glimpse_logits"][:, 0], asked["glimpse_logits"][:, -1])
    assert "glimpse_logits" not in run(tiny(heads="drawing"), glimpse_logits=True)


def test_logits_are_logarithms_of_probabilities() -> None:
    found = run(shaken(tiny()).double().eval(), glimpse_logits=True)
    assert (found["glimpse_logits"].exp().sum(dim=-1) - 1).abs().max() < 10 * EPS


@pytest.mark.parametrize("canvas", CANVASES)
def test_the_canvas_is_the_last_of_the_canvases(canvas: str) -> None:
    found = run(tiny(canvas=canvas))
    assert torch.equal(found["canvases"][:, -1], found["canvas"])
    assert ((found["canvas"] >= 0) & (found["canvas"] <= 1)).all()


@pytest.mark.parametrize("glimpses", [0, -1, 2.5, "3"])
def test_at_least_one_glimpse(glimpses: Any, unchecked: None) -> None:
    with pytest.raises(InputError, match=f"at least 1 glimpse; got {glimpses!r}"):
        run(tiny(), glimpses=glimpses)


def test_an_untrained_model_sees_the_whole_image() -> None:
    found = run(tiny())
    assert torch.equal(found["pose"], torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(2, 3, 6))


@pytest.mark.parametrize("answer", [-3.0, 0.5, 9.0])
def test_heads_hear_the_memory_through_relu6(answer: float) -> None:
    model, heard = tiny(), {}
    model.memory.unroll = lambda E, Q, reads: (torch.full_like(Q, answer), None)
    for name, head in model.heads.items():
        head.register_forward_pre_hook(lambda _, given, name=name: heard.__setitem__(name, given[0]))
    run(model)
    assert heard["classification"].shape == (2, 1, 8)
    assert heard["drawing"].shape == (2, 3, 8)
    assert all((x == min(max(answer, 0.0), 6.0)).all() for x in heard.values())


def test_the_memory_hears_queries_through_relu6() -> None:
    model, heard = tiny(), []
    unroll = model.memory.unroll
    for head in model.heads.values():
        torch.nn.init.normal_(head.query.linear.weight, std=30)
    model.memory.unroll = lambda E, Q, reads: heard.append((Q, reads)) or unroll(E, Q, reads)
    run(model)
    ((queries, reads),) = heard
    assert reads == [3, 1, 2, 3], "the finished memory to classify, the memory after each glimpse to draw"
    assert queries.min() == 0
    assert queries.max() == 6
    assert torch.equal(queries[:, 1], queries[:, 3])
    assert not torch.equal(queries[:, 0], queries[:, 1])


# State and batch


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Everything that hangs on the modules, by name."""
    found: dict[str, Any] = {name: value.clone() for name, value in model.state_dict().items()}
    for name, module in model.named_modules():
        found |= {f"{name}.{key}": id(value) for key, value in vars(module).items() if not key.startswith("_")}
    return found


@pytest.mark.parametrize("memory", MEMORIES, ids=label)
def test_nothing_is_kept_between_passes(memory: dict[str, Any]) -> None:
    model = shaken(tiny(memory=memory)).eval()
    before = snapshot(model)
    first = run(model)
    other = model(inputs(model, seed=9)[0])
    after = snapshot(model)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]) if isinstance(value, Tensor) else value == after[name], name
    again = run(model)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(tensors(other)["canvas"], first["canvas"])


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("memory", MEMORIES, ids=label)
def test_images_of_a_batch_are_apart_in_evaluation(memory: dict[str, Any], canvas: str) -> None:
    model = shaken(tiny(memory=memory, canvas=canvas)).double().eval()
    images, _ = inputs(model, batch=3)
    together, alone = tensors(model(images)), [tensors(model(image[None])) for image in images]
    for name, value in together.items():
        apart = torch.cat([found[name] for found in alone])
        gap = (apart - value).abs().max()
        assert gap <= 1e4 * EPS * value.abs().max(), f"{name}: {gap}"


def test_the_order_of_a_batch_does_not_matter() -> None:
    model = shaken(tiny()).double().eval()
    images, _ = inputs(model, batch=3)
    forth, back = model(images).logits, model(images.flip(0)).logits.flip(0)
    assert (forth - back).abs().max() <= 1e4 * EPS * forth.abs().max()


def test_an_empty_batch() -> None:
    model = tiny().eval()
    found = tensors(model(torch.zeros(0, 1, 12, 12)))
    assert found["logits"].shape == (0, 10)
    assert found["canvas"].shape == (0, 1, 12, 12)


# Precision


@pytest.mark.parametrize("memory", MEMORIES, ids=label)
def test_under_autocast_what_steers_stays_in_float32(memory: dict[str, Any]) -> None:
    model = shaken(tiny(memory=memory, canvas="bernoulli"))
    types: dict[str, torch.dtype] = {}
    model.loop.backbone.register_forward_hook(lambda _m, _i, out: types.__setitem__("backbone", out.dtype))
    unroll = model.memory.unroll

    def listening(E: Tensor, Q: Tensor, *rest: Any) -> Any:
        answers, state = unroll(E, Q, *rest)
        types.update(E=E.dtype, Q=Q.dtype, answers=answers.dtype, **{f"state{i}": s.dtype for i, s in enumerate(state)})
        return answers, state

    model.memory.unroll = listening
    canvas = model.heads["drawing"].canvas
    activate = canvas.activate
    canvas.activate = lambda sketch: activate(types.setdefault("sketch", sketch.dtype) and sketch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images, labels = inputs(model)
        found = model(images)
        total = model.loss(found, images, labels)["total"]
    assert types.pop("backbone") == torch.bfloat16, "autocast was on"
    assert len(types) >= 4
    assert set(types.values()) == {torch.float32}, types
    assert {value.dtype for value in tensors(found).values()} == {total.dtype} == {torch.float32}
    total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_half_images_under_autocast() -> None:
    model = shaken(tiny())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = tensors(model(inputs(model)[0].bfloat16()))
    assert found["pose"].dtype == found["glimpses"].dtype == found["memory_input"].dtype == torch.float32


def test_double_precision_throughout() -> None:
    found = run(shaken(tiny(canvas="bernoulli")).double())
    assert {value.dtype for value in found.values()} == {torch.float64}


# Bad input


@pytest.mark.parametrize("preset", ["stawm-mnist-8", "mnv2-cifar"])
@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda x: x[0], r"got float32 of shape \(\d, \d+, \d+\)"),
        (lambda x: x[:, :, 1:], r"got float32 of shape \(2, "),
        (lambda x: torch.cat([x, x], dim=1), r"got float32 of shape \(2, [26], "),
        (lambda x: x.flatten(1), r"got float32 of shape \(2, \d+\)"),
        (lambda x: (255 * x).byte(), "got uint8 of shape"),
        (lambda x: x.long(), "got int64 of shape"),
        (lambda x: x.double(), "got float64 of shape"),
        (lambda x: x.half(), "got float16 of shape"),
        (lambda x: x.numpy(), "got ndarray"),
        (lambda x: x.tolist(), "got list"),
        (lambda x: None, "got NoneType"),
    ],
)
def test_bad_images(preset: str, make: Any, given: str, unchecked: None) -> None:
    model = small(preset).eval()
    c, h, w = model.config.image
    with pytest.raises(InputError, match=rf"{preset} takes float32 images of shape \(b, {c}, {h}, {w}\); {given}"):
        model(make(inputs(model)[0]))


def test_labels_are_needed_to_classify() -> None:
    for model in (tiny(), small("mnv2-cifar").eval()):
        images, _ = inputs(model)
        with pytest.raises(InputError, match="needs labels"):
            model.loss(model(images), images)


def test_an_output_of_another_model() -> None:
    drawing, classifying = tiny(heads="drawing"), tiny(heads="classification")
    images, labels = inputs(drawing)
    with pytest.raises(InputError, match="needs the canvas"):
        drawing.loss(classifying(images), images)
    with pytest.raises(InputError):
        classifying.loss(drawing(images), images, labels)


# Preprocessing


@pytest.mark.parametrize("preset", PRESETS)
def test_normalising_there_and_back(preset: str) -> None:
    model = small(preset)
    pixels = torch.rand(2, *model.config.image, dtype=torch.float64)
    images = model.normalise(pixels)
    assert (model.denormalise(images) - pixels).abs().max() < 10 * EPS
    mean, std = (np.array(values).reshape(1, -1, 1, 1) for values in (model.config.mean, model.config.std))
    assert np.abs(images.numpy() - (pixels.numpy() - mean) / std).max() < 100 * EPS
