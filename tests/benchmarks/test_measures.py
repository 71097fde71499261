"""The benchmarks run, and count rightly what they say they count; no time is asserted."""

import math
from functools import partial
from typing import Any

import pytest
import torch

import stawm
from benchmarks import data, memory, profile, training
from benchmarks.measure import Timing, interleaved
from benchmarks.parts import count, memory_flops, parts_of
from benchmarks.turns import in_turns
from stawm.core import hebb_rosenblatt as core
from tests.benchmarks.toys import broken, filled


def test_variants_take_turns() -> None:
    order: list[str] = []
    found = interleaved({name: partial(order.append, name) for name in "ab"}, 2)
    assert order == list("aabbaabb")
    assert [timing.rounds for timing in found.values()] == [2, 2]
    assert Timing.of([3.0, 1.0, 2.0]) == Timing(2.0, 1.0, 3.0, 3)


def test_processes_take_turns_and_each_has_its_own_memory() -> None:
    large, small = 400_000_000, 4_000
    found = in_turns({"large": partial(filled, large), "small": partial(filled, small)}, 1, threads=1)
    above = {name: m.memory.peak - m.memory.start for name, m in found.items()}
    assert above["large"] > 0.9 * large
    assert above["small"] < 0.5 * large


def test_a_variant_that_breaks_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="'wrong' broke off"):
        in_turns({"wrong": broken}, 1, threads=1)
    assert "on purpose" in capfd.readouterr().err


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 2.0), (2.0, 1.0), (0.5, 0.0)])
def test_growth_is_fitted(alpha: float, beta: float) -> None:
    cases = [(n, m, 3e-5 * n**alpha * m**beta) for n in (1, 4, 64) for m in (64, 256)]
    assert memory.fit(cases) == pytest.approx((alpha, beta), abs=1e-9)
    assert all(map(math.isnan, memory.fit(cases[:1])))


def test_the_memorys_operations_are_those_of_its_products() -> None:
    n, m, reads = 5, 7, [3, 5]
    rates = core.Rates(*map(torch.tensor, (0.2, 0.4, 0.5)))
    E, Q = torch.rand(1, n, m), torch.rand(1, len(reads), m)
    _, flops = count(lambda: core.unroll(E, Q, reads, rates, form="factored")[0], [])
    assert flops == memory_flops(n, m, len(reads))


def test_the_parts_have_the_operations_that_the_architecture_has() -> None:
    """By hand, for a batch of 128: two for a weight and position that it is used at, three times for training."""
    run = training.our_run("stawm-mnist-8", "fp32")
    raw, _ = training.data(run.model, 2)
    parts = {part.name: part for part in parts_of(run, run.model.normalise(raw.float() / 255))}
    forward = {name: part.times * part.flops / 3 / 2 for name, part in parts.items()}
    lstm, d, m, n = 2 * 4 * 512 * 512, 512, 256, 8
    assert forward["LSTMs"] == 2 * lstm * (2 * n - 1)
    assert forward["glimpse CNN"] == 2 * n * (36 * 9 * 64 + 4 * 9 * 64 * 128)
    assert forward["context CNN"] == 2 * (169 * 9 * 64 + 36 * 9 * 64 * 128 + 4 * 9 * 128 * 256)
    assert forward["projections"] == 2 * n * d * 512
    assert forward["emitters"] == 2 * n * (d * 256 + 256 * 6)
    assert forward["what and where"] == 2 * n * (d * m + 6 * m)
    assert forward["memory"] == memory_flops(n, m, 1)
    assert forward["heads and loss"] == 2 * m * 10
    assert parts["clipping and optimiser"].bytes == 40 * sum(p.numel() for p in run.model.parameters())


@pytest.mark.parametrize("preset", ["stawm-digits", "stawm-mnist-draw-8", "stawm-mnist-sketchpad"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_part_runs(preset: str, precision: str) -> None:
    run = training.our_run(preset, precision, memory_size=8, hidden_size=12, glimpses=2)
    raw, _ = training.data(run.model, 2)
    for part in parts_of(run, run.model.normalise(raw.float() / 255)):
        part.run()
        assert part.times * part.bytes > 0


def test_a_profile_names_the_part_that_loses_most() -> None:
    timing = {"median": 1.0, "lowest": 1.0, "highest": 1.0, "rounds": 1}
    parts = [{"name": name, "times": 1, "flops": 1e9, "bytes": 0.0, **timing} for name in ("memory", "context CNN")]
    parts.append({"name": "LSTMs", "times": 3, "flops": 1e9, "bytes": 2e9, **timing})
    rates = {"fp32": 1e9, "bf16": 2e9, "copy": 1e9}
    assert [profile.limit(part, rates) for part in parts] == [1.0, 0.5, 6.0]
    said = profile.show([{"preset": "p", "batch": 1, "rates": rates, "step": timing, "parts": parts}])
    assert "Most is lost in: context CNN" in said
    assert "5 % wanted, 100 % measured: **missed**" in said


@pytest.mark.parametrize("case", data.CASES)
def test_both_ways_of_augmenting_give_every_image(case: str) -> None:
    preset, recipe = data.CASES[case]
    config: Any = stawm.config(preset)
    raw = torch.randint(0, 256, (5, *config.image), dtype=torch.uint8)
    assert data.image_by_image(raw, recipe, config, 0)() == data.whole_batches(raw, recipe, config)() == 5
    pictures = data.Pictures(
        raw, data.per_image(recipe.replace(rotation=0, shift=0, scale=0, shear=0, crop=0, flip=False, jitter=0), config)
    )
    model = stawm.build(preset, glimpses=1)
    assert torch.allclose(pictures[0], model.normalise(raw.float() / 255)[0], atol=1e-6)


@pytest.mark.parametrize("form", memory.FORMS)
def test_a_step_of_the_memory_alone(form: str) -> None:
    memory.step(form, 3, 8)()
    assert memory.kept_bytes("dense", 3, 8, 2) == 4 * 2 * 4 * 64
    assert memory.kept_bytes("auto", 16, 8, 2) == 4 * 2 * 17 * 64
    assert memory.kept_bytes("auto", 15, 8, 2) == memory.kept_bytes("factored", 15, 8, 2) == 4 * 2 * 2 * 15 * 8
