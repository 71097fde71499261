"""When training is stopped: at numbers that are not finite, and at losses far above that of the first step."""

import math
from typing import Any

import pytest
import torch

import stawm
from stawm.training import DivergedError, data
from stawm.training.divergence import check, is_finite, verdict
from stawm.training.recipes import Recipe
from stawm.training.run import Run
from tests.small import inputs, tiny
from tests.training.tiny import TINY

RECIPE = Recipe(name="r", epochs=1, rate=1e-3)


def checked(total: float = 1.0, norm: float = 1.0, first: float = 2.0, largest: float = 3.0) -> None:
    check({"total": total}, {"gradient_norm": norm, "largest_input": largest}, first, 7)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_loss_or_a_gradient_that_is_not_finite_stops_training(number: float):
    for wrong in ({"total": number}, {"norm": number}):
        with pytest.raises(
            DivergedError, match=r"at step 7: its loss or gradient is not finite\. The largest \|e\|² was 3"
        ):
            checked(**wrong)


@pytest.mark.parametrize(("first", "most"), [(2.0, 2000.0), (1.0, 1000.0), (0.1, 1000.0), (-5.0, 1000.0)])
def test_a_loss_a_thousand_times_the_first_stops_training(first: float, most: float):
    """A first loss below 1 counts as 1, so that a model that begins near zero is not stopped for a small number."""
    checked(total=most, first=first)
    with pytest.raises(DivergedError, match=f"its loss is .*, and was {first:.3g} at first"):
        checked(total=most * 1.001, first=first)


def test_a_model_without_a_memory_has_no_largest_input_to_name():
    with pytest.raises(DivergedError) as stopped:
        checked(total=math.nan, largest=0.0)
    assert str(stopped.value).endswith("not finite.")


def test_a_resumed_run_compares_with_the_loss_of_the_first_step_of_all(few: data.Splits):
    batch = few.train.images[:8], few.train.labels[:8], 10
    run: Any = Run(stawm.config("stawm-digits", **TINY), RECIPE, cpu=True)
    run.one_step(*batch)
    first = run.numbers.losses["total"]
    resumed: Any = Run(stawm.config("stawm-digits", **TINY), RECIPE, cpu=True)
    resumed.restore(run.state())
    with torch.no_grad():
        resumed.model.heads["classification"].classifier.linear.bias[0] = 1e5
    with pytest.raises(DivergedError, match=f"at step 2: its loss is .*, and was {first:.3g} at first"):
        resumed.one_step(*batch)


def test_a_step_that_diverges_leaves_the_weights_as_they_were(few: data.Splits):
    run: Any = Run(stawm.config("stawm-digits", **TINY), RECIPE, cpu=True)
    run.one_step(few.train.images[:8], few.train.labels[:8], 10)
    with torch.no_grad():
        run.model.heads["classification"].classifier.linear.bias[0] = 1e5
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    with pytest.raises(DivergedError):
        run.one_step(few.train.images[:8], few.train.labels[:8], 10)
    assert all(torch.equal(p, before[name]) for name, p in run.model.named_parameters())
    assert run.step == 1


def test_weights_are_finite_or_not_whatever_else_is():
    model = tiny()
    assert is_finite(model)
    norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_var[0] = math.inf
    assert not is_finite(model), "a running statistic counts too"


def test_the_verdict_is_the_diagnosis_in_words():
    model = tiny(mean=(0.0,), std=(1.0,), heads="classification", memory={"name": "hebb-rosenblatt", "delta": 0.5})
    images, _ = inputs(model)
    assert verdict(model, images) == " The memory's diagnosis: nothing to mend."
    with torch.no_grad():
        model.memory.delta.fill_(1.5)
    assert verdict(model, images) == " The memory's diagnosis: " + " ".join(stawm.diagnose(model, images).advice)
    assert verdict(model, None) == verdict(stawm.build("bvae-cifar"), torch.rand(1, 3, 32, 32)) == ""
