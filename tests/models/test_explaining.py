"""Shares of glimpses in an answer: they sum up for any weights, keep to their write, and are refused by name."""

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import stawm
from stawm import registry
from stawm.errors import InputError
from stawm.models.evidence import evidence
from stawm.models.explaining import Explanation
from tests.small import shaken, tiny
from tests.strategies import seeds

NO_SUM = ("backpropamine", "mean", "recurrent")
SETTINGS: list[Any] = [
    *(name for name in sorted(registry.entries("memory")) if name not in NO_SUM),
    {"name": "hebb-rosenblatt", "orientation": "appendix", "normalise": 0.9, "constrained": True},
    {"name": "fast-weights", "layer_norm": True, "form": "dense"},
    {"name": "delta", "normalise_query": False, "beta_max": 2.0},
    {"name": "plasticity", "trace": "oja"},
]
ROUNDING = 1e-4
"""Of float32: sums of some tens of terms, each below about 100."""


def classifier(memory: Any, seed: int = 0, scale: float = 0.3, **changes: Any) -> Any:
    """A model with weights of any size, so that reads lie below 0 and beyond 6 too."""
    model = tiny(heads="classification", memory=memory, **changes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim():
                parameter += scale * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def plain_network() -> Any:
    return stawm.build("mnv2-cifar", backbone={"name": "conv", "layers": "2@3/2"})


def pixels(count: int = 3) -> Tensor:
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("memory", SETTINGS, ids=str)
@settings(max_examples=3)
@given(seeds, st.floats(0.05, 1.0))
def test_shares_and_bias_are_the_logits_for_any_weights(memory: Any, seed: int, scale: float):
    model = classifier(memory, seed, scale).double()
    found = stawm.explain(model, pixels())
    with torch.no_grad():
        expected = model(model.normalise(pixels().double())).logits
    size = found.shares.abs().sum(dim=1).max().item() + found.bias.abs().max().item()
    assert torch.equal(found.logits, expected)
    assert (found.shares.sum(dim=1) + found.bias - expected).abs().max() <= 1e-12 * max(size, 1.0)
    assert found.shares.sum(dim=2).abs().max() <= 1e-12 * max(size, 1.0)


def test_every_memory_has_shares_or_is_refused_by_name():
    """A new memory has to decide: its read is a sum over writes, or it is on this list."""
    for name in stawm.list_names("memory", origin="stawm"):
        sums_up = registry.find("memory", name).load()(memory_size=3).sums_up
        assert sums_up == (name not in NO_SUM), name
    with pytest.raises(InputError, match=r"'backpropamine' of stawm-digits reads is no sum over its writes"):
        stawm.explain(tiny(memory="backpropamine"), pixels())
    memory = tiny(memory="backpropamine").memory
    with pytest.raises(InputError, match="'backpropamine' reads is no sum over its writes"):
        memory.contributions(torch.zeros(1, 2, 8), torch.zeros(1, 8))


@pytest.mark.parametrize("memory", ["hopfield", {"name": "fast-weights", "decay": 1.0}], ids=str)
def test_where_order_does_not_matter_a_permuted_glimpse_keeps_its_share(memory: Any):
    model = classifier(memory)
    with torch.no_grad():
        seen = model.look(model.normalise(pixels()), 4)
        order = [2, 0, 3, 1]
        plain = evidence(model, seen)
        moved = evidence(model, seen._replace(memory_input=seen.memory_input[:, order]))
    for name in ("shares", "without"):
        assert torch.allclose(getattr(moved, name), getattr(plain, name)[:, order], atol=ROUNDING)


def test_without_is_the_answer_of_a_memory_from_which_the_write_is_erased():
    """By the matrix itself: W less η (1-δ)^k e fᵀ of the glimpse."""
    model = classifier({"name": "hebb-rosenblatt", "form": "dense"}).double()
    found = stawm.explain(model, pixels())
    head, memory = model.heads["classification"], model.memory
    with torch.no_grad():
        seen = model.look(model.normalise(pixels().double()), 3)
        E, q, delta = seen.memory_input, head.query(seen.context), memory.rates.delta
        states = [memory.init_state(3)]
        for e in E.unbind(1):
            states.append(memory.write(states[-1], e))
        for t in range(3):
            stored = states[t + 1].W - (1 - delta) * states[t].W
            left = states[-1]._replace(W=states[-1].W - (1 - delta) ** (2 - t) * stored)
            answer = head.classifier(memory.read(left, q).clamp(0, 6))
            assert torch.allclose(found.without[:, t], answer - found.logits, atol=1e-10)


def test_an_explanation_is_json_and_lays_itself_out():
    found = stawm.explain(classifier("delta"), pixels(2), glimpses=5)
    assert isinstance(found, Explanation)
    assert found.corners.shape == (2, 5, 4, 2)
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said["memory"] == "delta"
    assert len(said["images"]) == 2
    assert said["images"][1]["shares"] == found.shares[1].tolist()
    assert said["images"][0]["label"] == int(found.labels[0])
    shares, changes = found.of(torch.tensor([3, 4]))
    assert torch.equal(shares, torch.stack([found.shares[0, :, 3], found.shares[1, :, 4]]))
    assert torch.equal(changes, torch.stack([found.without[0, :, 3], found.without[1, :, 4]]))
    assert len(str(found).splitlines()) == 1 + 2 * 4


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, ROUNDING), (torch.bfloat16, 0.2)])
def test_models_of_other_types_are_explained_too(dtype: torch.dtype, tolerance: float):
    model = classifier("hebb-rosenblatt", scale=0.1).to(dtype)
    found = stawm.explain(model, (pixels() * 255).to(torch.uint8))
    assert found.shares.dtype == torch.float32
    assert torch.allclose(found.shares.sum(dim=1) + found.bias, found.logits.float(), atol=tolerance)
    assert not model.training


@pytest.mark.parametrize(
    ("model", "images", "says"),
    [
        (lambda: tiny(heads="drawing"), pixels(), "takes glimpses and classifies, which stawm-digits does not"),
        (
            lambda: stawm.build("mnv2-cifar", backbone={"name": "conv", "layers": "2@3/2"}),
            pixels(),
            "takes glimpses and classifies, which mnv2-cifar does not",
        ),
        (lambda: None, pixels(), "takes glimpses and classifies, which NoneType does not"),
        (tiny, torch.rand(2, 3, 12, 12), "takes .* images of shape"),
        (tiny, pixels()[:0], "at least one image"),
        (tiny, 3 * pixels(), "must be in .0, 1."),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_explained_is_refused(model: Any, images: Tensor, says: str):
    with pytest.raises(InputError, match=says):
        stawm.explain(model(), images)


def test_a_readout_that_learns_early_is_explained_in_evaluation():
    model = shaken(tiny(heads={"name": "classification", "early": 1.0})).train()
    found = stawm.explain(model, pixels())
    assert model.training
    assert torch.allclose(found.shares.sum(dim=1) + found.bias, found.logits, atol=ROUNDING)
