"""The reference that speed is measured against computes what the model computes."""

from typing import Any

import pytest
import torch

from benchmarks.authors_loop import AuthorsLoop
from tests.small import inputs, shaken, small


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("stawm-mnist-8", {}),
        ("stawm-mnist-8", {"where": "rnn"}),
        ("stawm-mnist-draw-6", {}),
        ("stawm-cifar-mnv2", {"glimpses": 1}),
    ],
)
def test_the_authors_loop_is_the_model(preset: str, options: dict[str, Any]) -> None:
    model = shaken(small(preset, **options).double(), 0.01).eval()
    images, _ = inputs(model)
    expected: Any = model(images)
    answer = expected.logits if expected.logits is not None else expected.canvas
    assert torch.allclose(AuthorsLoop(model).eval()(images), answer, rtol=1e-9, atol=1e-12)


def test_the_authors_loop_learns_every_weight() -> None:
    model: Any = shaken(small("stawm-mnist-8").double())
    images, labels = inputs(model)
    loop = AuthorsLoop(model).train()
    torch.nn.functional.nll_loss(loop(images), labels).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
