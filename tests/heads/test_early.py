"""The loss of early reads: off by default, and where it is on, that of every read before the last."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.small import inputs, shaken, tiny


def model(**head: Any) -> Any:
    return shaken(tiny(heads={"name": "classification", **head})).train()


def test_by_default_only_the_last_read_is_made_and_learned_from():
    plain = model()
    images, labels = inputs(plain)
    output = plain(images)
    assert output.glimpse_logits is None
    assert plain.reads(3) == {"classification": (3,)}
    assert set(plain.loss(output, images, labels)) == {"classification", "total"}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_early_loss_is_the_mean_over_the_reads_before_the_last(reduction: Any):
    early = model(early=0.5, reduction=reduction)
    images, labels = inputs(early)
    output = early(images)
    assert output.glimpse_logits.shape == (2, 3, 10)
    parts = early.loss(output, images, labels)
    losses = [F.nll_loss(output.glimpse_logits[:, t], labels, reduction=reduction) for t in range(3)]
    assert parts["early"].item() == pytest.approx(0.5 * (losses[0] + losses[1]).item() / 2, rel=1e-5)
    assert parts["classification"].item() == pytest.approx(losses[2].item(), rel=1e-5)
    assert parts["total"].item() == pytest.approx((parts["early"] + parts["classification"]).item(), rel=1e-6)
    assert ("early" in early.config.head("classification").summed_losses) == (reduction == "sum")


def test_it_changes_no_answer_and_no_evaluation():
    plain, early = model().eval(), model(early=1.0).eval()
    early.load_state_dict(plain.state_dict())
    images, labels = inputs(plain)
    with torch.no_grad():
        found = early(images)
    assert torch.equal(found.logits, plain(images).logits)
    assert found.glimpse_logits is None
    assert set(early.loss(found, images, labels)) == {"classification", "total"}


def test_a_single_glimpse_has_nothing_early():
    early = model(early=1.0, dropout=0.0)
    images, labels = inputs(early)
    assert set(early.loss(early(images, glimpses=1), images, labels)) == {"classification", "total"}
