"""What an epoch's entry says is of all its images, each counted once."""

from pathlib import Path

import pytest

import stawm
from stawm.training import data, evaluate, train
from stawm.training.recipes import Recipe

LAYERS = {"layers": "4@3/2", "norm": "none", "bias": True}
STILL = Recipe(name="r", epochs=1, batch=16, optimiser="sgd", rate=1e-20)
"""With such steps no weight moves; 72 images make four batches of 16, and one of 8."""


def test_the_loss_of_an_epoch_is_averaged_over_images_also_where_the_last_batch_is_smaller(
    tmp_path: Path, few: data.Splits
):
    model = stawm.config(
        "stawm-digits", memory_size=8, hidden_size=12, glimpses=2, dropout=0.0, context=LAYERS, backbone=LAYERS
    )
    result = train(model, data=few, out=tmp_path, recipe=STILL, cpu=True, quiet=True)
    (entry,) = result.history
    nll = evaluate(result.model, few.train).nll
    assert entry["loss"] == {"classification": pytest.approx(nll, rel=1e-5), "total": pytest.approx(nll, rel=1e-5)}
    assert (entry["epoch"], entry["step"], entry["rate"]) == (1, 5, pytest.approx(1e-20))
    assert entry["error"] == evaluate(result.model, few.test).error
