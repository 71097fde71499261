"""The reference that speed is measured against computes what the model computes."""

import pytest
import torch

import stawm
from benchmarks.authors_loop import AuthorsLoop
from stawm.heads.model import Stawm

PRESETS = ["stawm-mnist-8", "stawm-mnist-draw-6", "stawm-cifar-draw-16"]


@pytest.mark.parametrize("preset", PRESETS)
def test_it_gives_what_the_model_gives(preset: str) -> None:
    model = stawm.build(preset, seed=0, memory_size=8, hidden_size=16).double().eval()
    assert isinstance(model, Stawm)
    with torch.no_grad():
        model.loop.what.weight.mul_(50)  # an untrained memory is so small that it would prove little
        images = torch.randn(3, *model.config.image, dtype=torch.float64)
        output, reference = model(images), AuthorsLoop(model)(images)
    answer = output.logits if output.canvas is None else output.canvas
    assert answer is not None
    assert answer.std() > 1e-3
    assert (answer - reference).abs().max() <= 1e-10 * answer.abs().max()
