"""Weights for a model that is there."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import CheckpointError
from stawm.storage.checkpoint import load_weights
from tests.small import inputs, shaken, small, tensors, tiny
from tests.storage.files import same


def test_weights_alone(path: Path) -> None:
    model = shaken(tiny())
    stawm.save(model, path)
    other = tiny()
    assert not same(other, model)
    load_weights(other, path)
    assert same(other, model)
    assert other.training, "the mode is left"
    built = stawm.build(model.config, pretrained=path)
    assert same(built, model)
    assert not built.training
    assert same(stawm.build(model.config, pretrained=str(path)), model)


def test_what_does_not_fit_is_listed(path: Path) -> None:
    stawm.save(tiny(memory_size=9), path)
    model = tiny(heads="classification")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, path)
    said = str(caught.value)
    assert "unexpected: heads.drawing.query.linear.bias, heads.drawing" in said
    assert "of another shape: loop.what.weight ((9, 12) for (8, 12)), loop.what.bias ((9,) for (8,))" in said
    assert "and 3 more." in said
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    stawm.save(model, path)
    with pytest.raises(CheckpointError, match=r"does not fit stawm-digits: missing: loop\.inverse_emitter"):
        load_weights(tiny(), path)


def test_a_readout_stands_on_a_drawing_model(path: Path) -> None:
    drawing = shaken(tiny(heads="drawing"))
    stawm.save(drawing, path)
    config = tiny(heads="classification", trainable="readout").config
    model: Any = stawm.build(config, pretrained=path, seed=5)
    assert same(model.memory, drawing.memory)
    for name, value in model.loop.state_dict().items():
        assert torch.equal(value, drawing.loop.state_dict()[name])
    assert same(model.heads, stawm.build(config, seed=5).heads)
    expected = tensors(drawing.eval()(inputs(drawing)[0]))["memory_input"]
    assert torch.equal(tensors(model(inputs(model)[0]))["memory_input"], expected)
    stawm.save(model, path)
    assert same(stawm.build(config, pretrained=path), model)


@pytest.mark.parametrize("preset", ["mnist-selfsup", "cifar-selfsup"])
def test_the_self_supervised_presets_take_their_drawing(preset: str, path: Path) -> None:
    drawing = small({"mnist-selfsup": "stawm-mnist-draw-6", "cifar-selfsup": "stawm-cifar-draw-16"}[preset])
    stawm.save(drawing, path)
    sizes = {key: getattr(drawing.config, key) for key in ("memory_size", "hidden_size", "glimpses")}
    model = stawm.build(f"stawm-{preset}", pretrained=path, **sizes)
    assert torch.equal(model.get_parameter("loop.what.weight"), drawing.get_parameter("loop.what.weight"))


def test_a_readout_does_not_stand_on_another_form(path: Path) -> None:
    stawm.save(tiny(heads="drawing", hidden_size=13), path)
    model = tiny(heads="classification", trainable="readout")
    with pytest.raises(CheckpointError, match=r"of another shape: loop\.context_down\.weight"):
        load_weights(model, path)
    stawm.save(tiny(heads="drawing"), path)
    with pytest.raises(CheckpointError, match=r"missing: heads\.classification.*unexpected: heads\.drawing"):
        load_weights(tiny(heads="classification"), path)
