"""What bounds a Hebb-Rosenblatt memory: |W|, its reads, and its gradients, as functions of the rates.

The setting: inputs 0 ≤ e ≤ Φ₁, responses 0 ≤ φ ≤ Φ₂ with slopes of at most L, 0 < δ ≤ 1, η ≥ 0, θ ≥ 0, W₀ = 0 or
0 ≤ W₀ ≤ w. The writes are discrete, and how e was made plays no part. With S_t = (1 - (1-δ)ᵗ) / δ and S_∞ = 1/δ:

    elementwise       0 ≤ W_t ≤ (1-δ)ᵗ w + η Φ₁ Φ₂ S_t
    norms             |W_t|₂ ≤ |W_t|_F ≤ m times that
    read              0 ≤ (W_t q)_i ≤ m Φ₁ times that, for a query 0 ≤ q ≤ Φ₁
    one write         |F(W) - F(V)|_F ≤ (1 - δ + η L |e|²) |W - V|_F, a contraction where η L |e|² < δ
    many writes       |∂W_t/∂W₀| ≤ the product of these factors

All are attained: by e = Φ₁ with φ saturated, the factor by a φ of slope L everywhere. They hold in both orientations,
and for fast weights with Φ₂ = Φ₁, L = 0, δ = 1 - λ. Where the paper's Appendix A differs, docs/errata.md says why.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from stawm.core.hebb_rosenblatt import Rates
from stawm.errors import InputError


def fill(delta: float | Tensor, t: int | None = None) -> float:
    """Return S_t, the sum of what is left of t writes of one: (1 - (1-δ)ᵗ) / δ.

    Args:
        delta: δ.
        t: The number of writes; their limit where left out.

    Raises:
        InputError: δ or t is out of range.
    """
    d = _within("delta", delta, 0, 1, open_low=True)
    if t is None:
        return 1 / d
    if t < 0:
        raise InputError(f"t, the number of writes, must be 0 or more; got {t}.")
    return 1.0 * (t > 0) if d == 1 else -math.expm1(t * math.log1p(-d)) / d


def elementwise_bound(
    rates: Rates, input_bound: float, response_bound: float, t: int | None = None, *, start: float = 0.0
) -> float:
    """Return the least number that no element of W_t exceeds.

    Args:
        rates: δ, η, θ.
        input_bound: Φ₁, what no input exceeds.
        response_bound: Φ₂, what φ does not exceed (`stawm.core.activations`).
        t: The number of writes; any number of them where left out.
        start: w, what no element of W₀ exceeds.

    Raises:
        InputError: A value is out of range; the message names it and the range.
    """
    delta, eta = _legal(rates)
    phi1 = _within("input_bound", input_bound, 0)
    phi2 = _within("response_bound", response_bound, 0)
    w = _within("start", start, 0)
    grown = eta * phi1 * phi2 * fill(delta, t)
    return max(w, grown) if t is None else (1 - delta) ** t * w + grown


def norm_bound(
    rates: Rates, input_bound: float, response_bound: float, m: int, t: int | None = None, *, start: float = 0.0
) -> float:
    """Return what neither the Frobenius nor the spectral norm of W_t exceeds; see `elementwise_bound`."""
    if m < 1:
        raise InputError(f"m, the width of the memory, must be 1 or more; got {m}.")
    return m * elementwise_bound(rates, input_bound, response_bound, t, start=start)


def read_bound(
    rates: Rates, input_bound: float, response_bound: float, m: int, t: int | None = None, *, start: float = 0.0
) -> float:
    """Return what no element of a read W_t q exceeds, for queries up to Φ₁; see `elementwise_bound`."""
    return norm_bound(rates, input_bound, response_bound, m, t, start=start) * input_bound


def write_factor(rates: Rates, slope: float, square: float) -> float:
    """Return how much one write can stretch the difference of two memories: 1 - δ + η L |e|².

    Args:
        rates: δ, η, θ.
        slope: L, the steepest slope of φ.
        square: |e|².

    Raises:
        InputError: A value is out of range; the message names it and the range.
    """
    delta, eta = _legal(rates)
    return 1 - delta + eta * _within("slope", slope, 0) * _within("square", square, 0)


def is_contraction(rates: Rates, slope: float, square: float) -> bool:
    """Whether one write brings any two memories nearer to each other: η L |e|² < δ."""
    return write_factor(rates, slope, square) < 1


def gradient_bound(rates: Rates, slope: float, squares: Sequence[float]) -> float:
    """Return what the norm of ∂W_t/∂W₀ cannot exceed after writes with these |e|²: the product of their factors."""
    return math.prod(write_factor(rates, slope, square) for square in squares)


def _legal(rates: Rates) -> tuple[float, float]:
    """δ and η as numbers, all three rates checked."""
    _within("theta", rates.theta, 0)
    return _within("delta", rates.delta, 0, 1, open_low=True), _within("eta", rates.eta, 0)


def _within(name: str, value: float | Tensor, low: float, high: float = math.inf, *, open_low: bool = False) -> float:
    number = float(value.detach()) if isinstance(value, Tensor) else float(value)
    if math.isfinite(number) and low <= number <= high and not (open_low and number == low):
        return number
    left, right = "(" if open_low else "[", "]" if math.isfinite(high) else ")"
    raise InputError(f"{name} must be a finite number in {left}{low:g}, {high:g}{right}; got {number!r}.")
