"""Anytime inference by itself, on parts that say what they were given."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stawm.export.run.walk import roll
from stawm.export.serve.looking import Looked, Steps, look, rule

TAKES = {"init": ["image"], "glimpse": ["image", "state.seen", "noise_latent"], "read": ["state.seen"]}
CHANCES = torch.tensor([[0.5, 0.6, 0.9], [0.95, 0.1, 0.1], [0.2, 0.7, 0.2]])
"""How certain each of three images becomes after each of three glimpses."""


class Parts:
    """A step graph whose image is its own row number; what is seen is counted."""

    def __init__(self) -> None:
        self.given: list[tuple[str, dict[str, Tensor]]] = []

    def __call__(self, part: str, given: dict[str, Tensor]) -> dict[str, Tensor]:
        assert list(given) == TAKES[part]
        self.given.append((part, given))
        if part == "init":
            return {"next.seen": torch.stack([given["image"], torch.zeros_like(given["image"])], dim=1)}
        if part == "glimpse":
            return {"next.seen": given["state.seen"] + torch.tensor([0.0, 1.0]), "pose": given["noise_latent"][:, 0]}
        row, glimpse = given["state.seen"].long().unbind(dim=1)
        chance = CHANCES[row, glimpse - 1]
        return {"logits": torch.stack([chance, 1 - chance], dim=1).log(), "confidence": chance}

    def of(self, part: str) -> list[dict[str, Tensor]]:
        return [given for name, given in self.given if name == part]


def numbered() -> dict[str, Tensor]:
    """Noise that tells image and glimpse: ten times the one plus the other."""
    return {
        "image": torch.arange(3.0),
        "noise_latent": (10 * torch.arange(3.0)[:, None] + torch.arange(3.0))[..., None],
    }


@pytest.mark.parametrize(
    ("until", "glimpses"), [(0.1, [1, 1, 1]), (0.7, [3, 1, 2]), (0.95, [3, 1, 3]), (0.951, [3, 3, 3])]
)
def test_each_image_is_looked_at_until_it_is_certain(until: float, glimpses: list[int]) -> None:
    looked = look(Steps(Parts(), TAKES, numbered()), 3, 3, rule(until, None))
    assert looked.glimpses.tolist() == glimpses
    chances = [CHANCES[row, count - 1].item() for row, count in enumerate(glimpses)]
    assert looked.confidence.tolist() == pytest.approx(chances)
    assert np.exp(looked.logits[:, 0]).tolist() == pytest.approx(chances)
    assert looked.labels.tolist() == [int(chance < 0.5) for chance in chances]


def test_the_noise_of_each_image_and_glimpse_arrives() -> None:
    parts = Parts()
    look(Steps(parts, TAKES, numbered()), 3, 3, rule(0.7, None))
    found = [given["noise_latent"][:, 0, 0].tolist() for given in parts.of("glimpse")]
    assert found == [[0, 10, 20], [1, 21], [2]]


def test_images_that_are_done_are_left_out_of_what_follows() -> None:
    parts = Parts()
    look(Steps(parts, TAKES, numbered()), 3, 3, rule(0.7, None))
    assert [given["image"].tolist() for given in parts.of("glimpse")] == [[0, 1, 2], [0, 2], [0]]
    assert [given["state.seen"][:, 1].tolist() for given in parts.of("read")] == [[1, 1, 1], [2, 2], [3]]
    assert len(parts.of("init")) == 1


def test_nothing_is_run_once_all_are_done() -> None:
    parts = Parts()
    look(Steps(parts, TAKES, numbered()), 3, 3, rule(0.1, None))
    assert [name for name, _ in parts.given] == ["init", "glimpse", "read"]


@pytest.mark.parametrize("every", [False, True])
def test_rolling_takes_all_glimpses_with_the_noise_of_each(every: bool) -> None:
    parts = Parts()
    found = roll(parts, TAKES, numbered(), 3, every=every)
    assert len(parts.of("read")) == (3 if every else 1)
    assert found["pose"][..., 0].tolist() == [[0, 1, 2], [10, 11, 12], [20, 21, 22]]
    assert torch.equal(found["confidence"], CHANCES if every else CHANCES[:, 2:])
    assert torch.equal(found["logits"], found["glimpse_logits"][:, -1])


def test_answers_of_batches_are_put_in_order() -> None:
    one: Any = Looked(torch.tensor([[0.0, 1.0]]), torch.tensor([0.9]), torch.tensor([2]))
    two: Any = Looked(torch.tensor([[1.0, 0.0]]), torch.tensor([0.8]), torch.tensor([1]))
    joined = Looked.join([one, two])
    assert joined.as_dict() == {"labels": [1, 0], "confidence": pytest.approx([0.9, 0.8]), "glimpses": [2, 1]}
