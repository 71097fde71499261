"""Of every rule whose read is a sum over its writes: each term is its twin's, and all of them are the read."""

from collections.abc import Callable
from importlib import import_module
from itertools import permutations
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import delta, evidence, fast_weights, gated_delta, hebb_rosenblatt, hopfield, oja, plasticity
from stawm.core.activations import ACTIVATIONS
from stawm.core.naive import evidence as slow
from stawm.core.plasticity import Weights
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds

B, N, M = 2, 4, 3


class Rule(NamedTuple):
    """How a rule is called: with E and q, and tensors of its own made of a seed."""

    module: ModuleType
    own: Callable[[int, int], list[Tensor]]
    terms: Callable[..., Any]
    """From the module, E, q and its own tensors to what each write gives, and what none gives where there is some."""
    read: Callable[..., Tensor]
    """The read of q after all writes."""
    ordered: bool = True


def rates(*values: float) -> list[Tensor]:
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def strengths(seed: int, n: int) -> list[Tensor]:
    return [value.sigmoid() for value in normal(seed, (B, n), (B, n))]


def hebb(orientation: Any, phi: str) -> Rule:
    options = {"orientation": orientation, "phi": ACTIVATIONS[phi].phi}

    def terms(rule: Any, E: Tensor, q: Tensor, *own: Tensor) -> Tensor:
        return rule.contributions(E, q, hebb_rosenblatt.Rates(*own), **options)

    def read(E: Tensor, q: Tensor, *own: Tensor) -> Tensor:
        return hebb_rosenblatt.unroll(E, q[:, None], [E.shape[1]], hebb_rosenblatt.Rates(*own), **options)[0][:, 0]

    return Rule(hebb_rosenblatt, lambda seed, n: rates(0.3, 0.4, 0.5), terms, read)


def simple(module: Any, own: list[float], *, ordered: bool) -> Rule:
    def terms(rule: Any, E: Tensor, q: Tensor, *own: Tensor) -> Tensor:
        return rule.contributions(E, q, module.Rates(*own))

    def read(E: Tensor, q: Tensor, *own: Tensor) -> Tensor:
        return module.unroll(E, q[:, None], [E.shape[1]], module.Rates(*own))[0][:, 0]

    return Rule(module, lambda seed, n: rates(*own), terms, read, ordered)


def keyed(module: Any, strong: int) -> Rule:
    def terms(rule: Any, E: Tensor, q: Tensor, V: Tensor, *own: Tensor) -> Tensor:
        return rule.contributions(E, V, *own, q)

    def read(E: Tensor, q: Tensor, V: Tensor, *own: Tensor) -> Tensor:
        return module.unroll(E, V, *own, q[:, None], [E.shape[1]])[0][:, 0]

    return Rule(module, lambda seed, n: [*normal(seed, (B, n, M)), *strengths(seed, n)[:strong]], terms, read)


def plastic(trace: Any) -> Rule:
    def terms(rule: Any, E: Tensor, q: Tensor, w: Tensor, alpha: Tensor, eta: Tensor) -> Any:
        found = rule.contributions(E, q, Weights(w, alpha), plasticity.Rates(eta), trace=trace)
        return found, q @ w.mT

    def read(E: Tensor, q: Tensor, w: Tensor, alpha: Tensor, eta: Tensor) -> Tensor:
        weights, rates = Weights(w, alpha), plasticity.Rates(eta)
        return plasticity.unroll(E, q[:, None], [E.shape[1]], weights, rates, trace=trace)[0][:, 0]

    return Rule(plasticity, lambda seed, n: [*normal(seed, (M, M), (M, M)), *rates(0.3)], terms, read)


def subspace() -> Rule:
    def terms(rule: Any, E: Tensor, q: Tensor, start: Tensor, eta: Tensor) -> Any:
        return rule.contributions(E / M, q, start / M, oja.Rates(eta))

    def read(E: Tensor, q: Tensor, start: Tensor, eta: Tensor) -> Tensor:
        return oja.unroll(E / M, q[:, None], [E.shape[1]], start / M, oja.Rates(eta))[0][:, 0]

    return Rule(oja, lambda seed, n: [*normal(seed, (2, M)), *rates(0.4)], terms, read)


RULES = {
    "hebb-rosenblatt": hebb("paper", "relu6"),
    "hebb-rosenblatt, appendix": hebb("appendix", "identity"),
    "fast-weights": simple(fast_weights, [0.9, 0.5], ordered=True),
    "fast-weights without decay": simple(fast_weights, [1.0, 0.5], ordered=False),
    "hopfield": simple(hopfield, [0.7], ordered=False),
    "delta": keyed(delta, 1),
    "gated-delta": keyed(gated_delta, 2),
    "plasticity, hebb": plastic("hebb"),
    "plasticity, oja": plastic("oja"),
    "oja": subspace(),
}
each = pytest.mark.parametrize("name", RULES)


def drawn(rule: Rule, seed: int, n: int) -> list[Tensor]:
    return [*normal(seed, (B, n, M), (B, M)), *rule.own(seed + 1, n)]


def both(found: Any) -> tuple[Tensor, Tensor]:
    """What each write gives, and what none does."""
    return found if isinstance(found, tuple) else (found, torch.zeros_like(found[:, 0]))


@each
@settings(max_examples=20)
@given(seeds, st.integers(1, 3))
def test_each_term_is_its_twin_in_value_and_gradient(name: str, seed: int, n: int):
    rule = RULES[name]
    twin = import_module(rule.module.__name__.replace("core", "core.naive"))

    def of(module: ModuleType) -> Any:
        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            found = rule.terms(module, *inputs)
            return found if isinstance(found, tuple) else (found,)

        return run

    assert_twins(of(rule.module), of(twin), *drawn(rule, seed, n))


@each
@given(seeds, st.integers(1, 6))
def test_the_terms_are_the_read(name: str, seed: int, n: int):
    rule = RULES[name]
    inputs = drawn(rule, seed, n)
    writes, rest = both(rule.terms(rule.module, *inputs))
    assert writes.shape[:2] == (B, n)
    assert_near(writes.sum(dim=1) + rest, rule.read(*inputs), EXACT)


@each
@given(seeds)
def test_of_a_memory_of_nothing_there_are_no_terms(name: str, seed: int):
    rule = RULES[name]
    inputs = drawn(rule, seed, 0)
    writes, rest = (
        both(rule.terms(rule.module, *inputs))
        if name.startswith(("plast", "oja"))
        else (
            rule.terms(rule.module, *inputs),
            0.0,
        )
    )
    assert writes.shape[1] == 0
    assert_near(writes.sum(dim=1) + rest, rule.read(*inputs), EXACT)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if not rule.ordered])
@given(seeds, st.permutations(range(N)))
def test_where_order_does_not_matter_a_permuted_write_keeps_its_term(name: str, seed: int, order: list[int]):
    rule = RULES[name]
    E, q, *own = drawn(rule, seed, N)
    found = rule.terms(rule.module, E, q, *own)
    assert_near(rule.terms(rule.module, E[:, order], q, *own), found[:, order], EXACT)


def test_where_order_matters_it_does():
    for name, rule in RULES.items():
        E, q, *own = drawn(rule, 0, N)
        changed = [
            (
                both(rule.terms(rule.module, E[:, order], q, *own))[0]
                - both(rule.terms(rule.module, E, q, *own))[0][:, order]
            )
            for order in map(list, permutations(range(N)))
        ]
        assert (max(gap.abs().max().item() for gap in changed) > 1e-3) == rule.ordered, name


@given(seeds, st.integers(1, 3))
def test_what_was_replaced_altogether_gives_nothing(seed: int, n: int):
    """The same key of length 1 with β = 1: only the last value is left."""
    K, V, q = normal(seed, (B, 1, M), (B, n + 1, M), (B, M))
    K = (K / K.norm(dim=2, keepdim=True)).expand(B, n + 1, M)
    found = delta.contributions(K, V, torch.ones(B, n + 1, dtype=torch.float64), q)
    assert found[:, :n].abs().max() < EXACT
    assert_near(
        found[:, n],
        delta.read(
            delta.write(delta.init_state(B, M, dtype=q.dtype), K[:, 0], V[:, n], torch.ones(B, dtype=q.dtype)), q
        ),
        EXACT,
    )


@settings(max_examples=5)
@given(seeds, st.floats(0.1, 20))
def test_shares_are_their_twin_and_sum_up_to_the_logarithms(seed: int, size: float):
    """Reads from far below 0 to far beyond 6, so that ReLU6 cuts off at both ends."""
    writes, rest, A, b = normal(seed, (B, N, M), (B, M), (5, M), (5,))

    def of(module: Any) -> Any:
        return lambda *given: module.shares(*given)

    assert_twins(of(evidence), of(slow), size * writes, size * rest, A, b)
    left = [module.without(size * writes, size * rest, A, b) for module in (evidence, slow)]
    assert_near(*left, EXACT)
    found, own = evidence.shares(size * writes, size * rest, A, b)
    y = size * (writes.sum(dim=1) + rest)
    assert_near(found.sum(dim=1) + own, (y.clamp(0, 6) @ A.mT + b).log_softmax(dim=1), 1e-9 * size)
    assert found.sum(dim=2).abs().max() < 1e-9 * size


def test_relu6_lets_through_what_it_should():
    y = torch.tensor([[-1.0, 0.0, 3.0, 6.0, 12.0]], dtype=torch.float64)
    assert evidence.passed(y).tolist() == [[0.0, 0.0, 1.0, 1.0, 0.5]]
    assert slow.passed(y).tolist() == [[0.0, 0.0, 1.0, 1.0, 0.5]]
