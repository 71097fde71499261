"""Each dropout by itself: at a rate of 1, while training, what it stands on is zero and nothing else is."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import stawm
from tests.small import inputs, shaken, tiny

ZEROED = {
    "loop.dropout": {"projected context", "projected glimpse"},
    "loop.emitter.dropout": {"pose"},
    "loop.inverse_emitter.dropout": {"inverse pose"},
    "heads.classification.query.dropout": {"query"},
}
"""By each dropout, the places that it alone empties."""


def heard(model: Any) -> dict[str, Tensor]:
    """What arrives where dropout may stand, in one pass."""
    found: dict[str, Tensor] = {}

    def hears(place: str, module: str, of: str = "input") -> Any:
        def keep(_: nn.Module, given: Any, gave: Any) -> None:
            found.setdefault(place, (given[0] if of == "input" else gave).detach())

        return model.get_submodule(module).register_forward_hook(keep)

    hooks = [
        hears("projected context", "loop.emission_rnn"),
        hears("projected glimpse", "loop.aggregator_rnn"),
        hears("pose", "loop.emitter.pose"),
        hears("inverse pose", "loop.inverse_emitter.pose"),
        hears("query", "heads.classification.query", "output"),
    ]
    model(inputs(model)[0])
    for hook in hooks:
        hook.remove()
    return found


def empty(model: Any) -> set[str]:
    return {place for place, value in heard(model).items() if not value.any()}


@pytest.mark.parametrize("dropout", ZEROED)
def test_a_dropout_empties_what_it_stands_on_and_nothing_else(dropout: str) -> None:
    model = shaken(tiny(), 0.3).train()
    assert empty(model) == set()
    model.get_submodule(dropout).p = 1.0
    assert empty(model) == ZEROED[dropout]
    assert empty(model.eval()) == set(), "only while training"


def rates(model: nn.Module) -> dict[str, float]:
    return {name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)}


@pytest.mark.parametrize(("own", "expected"), [(None, 0.3), (0.0, 0.0), (0.1, 0.1)])
def test_the_models_rate_is_everywhere_but_where_a_head_has_its_own(own: float | None, expected: float) -> None:
    model = tiny(dropout=0.3, heads=({"name": "classification", "dropout": own}, "drawing"))
    everywhere = dict.fromkeys(ZEROED, 0.3) | {"heads.drawing.query.dropout": 0.0}
    assert rates(model) == everywhere | {"heads.classification.query.dropout": expected}


def test_a_baseline_drops_what_it_classifies_but_not_what_it_draws() -> None:
    heads, layers = ("classification", "drawing"), {"layers": "4@3/2", "norm": "none", "bias": True}
    model = stawm.build("bvae-cifar", image=(1, 8, 8), heads=heads, backbone=layers, dropout=1.0, seed=0).train()
    images, _ = inputs(model)
    found = model(images, sample=False)
    assert torch.equal(found.logits[0], found.logits[1])
    assert not torch.equal(found.canvas[0], found.canvas[1])
    answers = model.eval()(images).logits
    assert not torch.equal(answers[0], answers[1])
