"""Thresholds to stop by: temperatures, the search, what it promises, and that files keep it."""

import copy
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import stawm
from stawm.errors import CheckpointError, InputError
from stawm.models.stopping import Stopping, from_mapping
from stawm.training import ImageSet, tune_stop
from stawm.training import stopping as tuning
from stawm.training.stopping import Answers, calibration_error, fit, stop, temperature
from tests.small import shaken, tiny
from tests.storage.files import forged
from tests.strategies import generator, seeds


def drawn(seed: int, N: int, n: int, levels: int = 7) -> Answers:
    """Confidences of a few values above 0, so that many are equal, and mistakes that are rarer where they are high."""
    random = generator(seed)
    confidence = torch.randint(1, levels + 1, (N, n), generator=random).double() / levels
    wrong = torch.rand(N, n, generator=random) > confidence
    return Answers(confidence, wrong, torch.rand(N, n, generator=random, dtype=torch.float64))


def held_out(count: int = 40) -> ImageSet:
    pixels = torch.rand(count, 1, 12, 12, generator=generator(0))
    return ImageSet(pixels, torch.randint(0, 10, (count,), generator=generator(1)), ())


def cost(answers: Answers, thresholds: Tensor, price: float) -> float:
    """By the definition, image by image."""
    total = 0.0
    for confidence, doubt in zip(answers.confidence.tolist(), answers.doubt.tolist(), strict=True):
        n = len(confidence)
        first = next(t for t in range(n) if confidence[t] > thresholds[t] or t == n - 1)
        total += doubt[first] + price * (first + 1)
    return total


@given(seeds, st.integers(1, 12), st.integers(1, 4), st.floats(0, 0.3))
def test_stopping_is_its_definition(seed: int, N: int, n: int, price: float):
    answers, thresholds = drawn(seed, N, n), torch.rand(n, generator=generator(seed + 1), dtype=torch.float64)
    found = stop(answers, thresholds)
    as_doubt = answers._replace(doubt=answers.wrong.double())
    assert found.error * N + price * found.mean * N == pytest.approx(cost(as_doubt, thresholds, price))


@given(seeds, st.integers(1, 12), st.floats(0, 0.3))
def test_of_two_glimpses_no_threshold_is_better(seed: int, N: int, price: float):
    answers = drawn(seed, N, 2)
    found = cost(answers, fit(answers, price), price)
    every = [torch.tensor([t / 14, 0.0], dtype=torch.float64) for t in range(15)]
    assert found <= min(cost(answers, thresholds, price) for thresholds in every) + 1e-9


@settings(max_examples=10)
@given(seeds, st.floats(0, 0.3))
def test_of_more_glimpses_no_single_threshold_is_better(seed: int, price: float):
    answers = drawn(seed, 12, 4)
    thresholds = fit(answers, price)
    assert thresholds[-1] == 0
    found = cost(answers, thresholds, price)
    for t, value in itertools.product(range(3), range(15)):
        other = thresholds.clone()
        other[t] = value / 14
        assert found <= cost(answers, other, price) + 1e-9


@given(seeds, st.floats(0.1, 5))
def test_a_temperature_has_the_least_surprise(seed: int, scale: float):
    random = generator(seed)
    logits = (scale * torch.randn(30, 4, generator=random, dtype=torch.float64)).log_softmax(dim=1)
    labels = torch.multinomial((logits / 1.7).softmax(dim=1), 1, generator=random)[:, 0]

    def surprise(T: float) -> float:
        return -(logits / T).log_softmax(dim=1).gather(1, labels[:, None]).mean().item()

    found = temperature(logits, labels)
    grid = [math.exp(x / 20) for x in range(-90, 91)]
    assert 0.01 <= found <= 100
    assert surprise(found) <= min(map(surprise, grid)) + 1e-9


def test_a_calibration_error_is_what_bins_differ_by():
    confidence = torch.tensor([0.95, 0.96, 0.5, 0.52], dtype=torch.float64)
    wrong = torch.tensor([False, True, False, False])
    assert calibration_error(confidence, wrong) == pytest.approx((0.91 + 0.98) / 4)
    assert calibration_error(torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.bool)) == 0


@given(seeds, st.sampled_from([{"error": 0.9}, {"extra_error": 0.05}, {"extra_error": 0.0}, {"glimpses": 1.7}]))
@settings(max_examples=4)
def test_a_goal_is_kept_on_the_images_that_it_is_judged_by(seed: int, goal: dict[str, Any]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "PRICES", [0.3, 0.03, 0.003])
        model = shaken(tiny(heads="classification"), 0.5)
        found = tune_stop(model, held_out(), **goal)
    n = len(found.thresholds)
    assert (n, found.thresholds[-1], found.images) == (3, 0, 40)
    assert 1 <= found.mean_glimpses <= goal.get("glimpses", n)
    assert found.error <= goal.get("error", 1.0)
    assert found.error <= found.error_of_all + goal.get("extra_error", 1.0)
    assert found.error - found.error_of_all <= (found.added or 0) + 1e-12
    assert (found.added or 0) <= goal.get("extra_error", 1.0)
    assert from_mapping(json.loads(json.dumps(found.as_dict()))) == found
    assert f"{found.mean_glimpses:.2f} of 3 glimpses" in str(found)


def test_what_is_promised_of_constant_thresholds_is_what_the_model_does():
    model = shaken(tiny(heads="classification"), 0.5).eval()
    images = held_out()
    found = tune_stop(model, images, glimpses=1)
    logits = model.predict(images.images, glimpse_logits=True).glimpse_logits
    assert found.error == pytest.approx((logits[:, 0].argmax(dim=1) != images.labels).double().mean().item())
    confidence, done = found.sure(logits[:, 0], torch.ones(40, dtype=torch.long))
    assert bool(done.all())
    expected = (logits[:, 0].double() / found.temperatures[0]).softmax(dim=1).amax(dim=1)
    assert torch.allclose(torch.from_numpy(confidence).double(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "goal", "says"),
    [
        ({"heads": "drawing"}, {"glimpses": 2}, "glimpses, remembers them and classifies, which stawm-digits does not"),
        ({}, {}, "takes one of error, extra_error, glimpses"),
        ({}, {"error": 0.1, "glimpses": 2}, "takes one of"),
        ({}, {"glimpses": 0.5}, "must be from 1 to 3; got 0.5"),
        ({}, {"glimpses": 4}, "must be from 1 to 3; got 4"),
        ({}, {"error": 2}, "a share from 0 to 1"),
        ({}, {"error": 0.0}, "All 3 glimpses err in .* error must be at least that"),
        ({}, {"error": True}, "error must be a number"),
        ({}, {"extra_error": 0.01}, "40 held-out images cannot show an error of at most 1.00% more .* at least 163"),
        ({}, {"extra_error": 0.5, "certainty": 1.0}, "certainty must be a probability"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_tuned_is_refused(changes: dict[str, Any], goal: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        tune_stop(tiny(**{"heads": "classification", **changes}), held_out(), **goal)


def test_few_images_are_refused():
    with pytest.raises(InputError, match="at least 5 images; got 4"):
        tune_stop(tiny(), held_out(4), glimpses=2)


@pytest.fixture(scope="module")
def once() -> Any:
    model = shaken(tiny(heads="classification"), 0.5).eval()
    model.stopping = tune_stop(model, held_out(), glimpses=2)
    return model


@pytest.fixture
def tuned(once: Any) -> Any:
    return copy.deepcopy(once)


def test_a_checkpoint_keeps_the_thresholds(tuned: Any, tmp_path: Path):
    path = tmp_path / "m.safetensors"
    stawm.save(tuned, path)
    assert stawm.load(path).stopping == tuned.stopping
    assert stawm.inspect(path).stopping == tuned.stopping
    assert stawm.inspect(path).as_dict()["stopping"] == tuned.stopping.as_dict()
    assert stawm.load(path, dtype=torch.float64).stopping is None
    tuned.stopping = None
    stawm.save(tuned, path)
    assert stawm.load(path).stopping is None
    assert "stopping" not in stawm.inspect(path).as_dict()


def test_thresholds_of_other_weights_are_not_saved_or_exported(tuned: Any, tmp_path: Path):
    with torch.no_grad():
        tuned.heads["classification"].classifier.linear.bias += 1
    path = tmp_path / "m.safetensors"
    for call in (stawm.save, stawm.export.to_onnx):
        with pytest.raises(InputError, match=r"stopping of stawm-digits were tuned for a model with other weights"):
            call(tuned, path)
        assert not path.exists()


def test_thresholds_are_not_saved_with_weights_that_are_rounded(tuned: Any, tmp_path: Path):
    with pytest.raises(InputError, match="this type rounds them"):
        stawm.save(tuned, tmp_path / "m.safetensors", dtype=torch.float16)
    assert not (tmp_path / "m.safetensors").exists()
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.copy_(parameter.half())
    tuned.stopping = tune_stop(tuned, held_out(), glimpses=2)
    stawm.save(tuned, tmp_path / "m.safetensors", dtype=torch.float16)
    assert stawm.load(tmp_path / "m.safetensors").stopping == tuned.stopping


WRONG: list[dict[str, Any]] = [
    {"thresholds": [0.5, 0.5, 0.5]},
    {"thresholds": []},
    {"thresholds": "x"},
    {"thresholds": [0.5, 2, 0]},
    {"temperatures": [1.0]},
    {"temperatures": [1.0, 0.0, 1.0]},
    {"error": -1},
    {"mean_glimpses": 9},
    {"images": 1.5},
    {"weights": 3},
    {"more": 1},
    {"added": None},
    {"certainty": 2},
]


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_a_file_that_says_nonsense_is_refused(tuned: Any, tmp_path: Path, change: dict[str, Any]):
    path = tmp_path / "m.safetensors"
    stawm.save(tuned, path)
    forged(path.read_bytes(), path, stopping=tuned.stopping.as_dict() | change)
    with pytest.raises(CheckpointError, match=r"is damaged: (of )?thresholds to stop by"):
        stawm.load(path)


def test_files_of_before_have_no_bound(tuned: Any):
    said = {name: value for name, value in tuned.stopping.as_dict().items() if name not in ("added", "certainty")}
    assert from_mapping(said) == replace(tuned.stopping, added=None, certainty=None)
    assert from_mapping(said).as_dict() == said
    assert "with a certainty of 0.95 at most" in str(tuned.stopping)
    assert "certainty" not in str(from_mapping(said))


def test_two_models_have_thresholds_of_their_own(tuned: Any):
    other = shaken(tiny(heads="classification"), 0.4)
    assert other.stopping is None
    assert isinstance(tuned.stopping, Stopping)
    assert replace(tuned.stopping, data="x") != tuned.stopping
