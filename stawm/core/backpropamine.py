"""Backpropamine, a trace that the network modulates: H ← clip(H + M y xᵀ) from H = 0, read as (w + α∘H) q.

Miconi, Rawal, Clune and Stanley (2019), "Backpropamine: training self-modifying neural networks with differentiable
neuromodulated plasticity". Simple neuromodulation: the network itself says by M, a number at every write, how much its
connections note of what x and y = tanh((w + α∘H) x) do together, or, where M is negative, unlearn. Retroactive
neuromodulation keeps an eligibility trace besides, E ← (1-η) E + η y xᵀ, and M lets its value before the write into H,
H ← clip(H + M E): like dopamine, M works on what happened shortly before, and a write shows in H one write later.

As in `stawm.core.plasticity`, rows are the neurons that receive, and an empty memory reads w q. The clip after every
write is not linear and has no short cut: a stack is a loop over matrices, about 9m² operations a write (12m² in the
retroactive form).
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.plasticity import Rates, Weights, matrix, read, respond
from stawm.core.stacks import as_scalar, check_stack, step_through


class SimpleState(NamedTuple):
    """The memory as its trace H, from the neurons that send to those that receive."""

    H: Float[Tensor, "b m m"]


class RetroactiveState(NamedTuple):
    """The memory as its trace H, and the eligibility trace E of what may enter it."""

    H: Float[Tensor, "b m m"]
    E: Float[Tensor, "b m m"]


State: TypeAlias = SimpleState | RetroactiveState


def init_state(
    batch: int,
    m: int,
    *,
    retroactive: bool = False,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> State:
    """Return the memory without a trace, which reads w q."""
    H = torch.zeros(batch, m, m, device=device, dtype=dtype)
    return RetroactiveState(H, H.clone()) if retroactive else SimpleState(H)


def write(
    state: State,
    x: Float[Tensor, "b m"],
    modulation: Float[Tensor, "b"],
    weights: Weights,
    rates: Rates,
    *,
    clip: float = 1.0,
) -> State:
    """Return the memory after the network answered x and noted it as far as M says.

    Args:
        state: The memory, in either form.
        x: What is written.
        modulation: M.
        weights: w, α.
        rates: η of the eligibility trace; the simple form does not use it.
        clip: What no entry of H exceeds.
    """
    y = respond(state, x, weights)
    M, together = modulation[:, None, None], y[:, :, None] * x[:, None, :]
    if isinstance(state, SimpleState):
        return SimpleState((state.H + M * together).clamp(-clip, clip))
    eta = as_scalar(rates.eta, x)
    return RetroactiveState((state.H + M * state.E).clamp(-clip, clip), (1 - eta) * state.E + eta * together)


def unroll(
    E: Float[Tensor, "b n m"],
    modulation: Float[Tensor, "b n"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    weights: Weights,
    rates: Rates,
    state: State | None = None,
    *,
    clip: float = 1.0,
    retroactive: bool = False,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write a whole stack and read after chosen writes, as `stawm.core` says.

    There is an M for each write; no entry of H exceeds the clip. Whether the memory is retroactive is read from the
    state where there is one.
    """
    check_stack(E, Q, reads)

    def write_one(state: "State | None", x: Tensor, M: Tensor) -> State:
        if state is None:
            return _first_write(x, M, weights, rates, clip, retroactive)
        return write(state, x, M, weights, rates, clip=clip)

    def read_one(state: "State | None", q: Tensor) -> Tensor:
        return q @ weights.w.mT if state is None else read(state, q, weights)

    Y, after = step_through((E, modulation), Q, reads, state, write_one, read_one)
    empty = {"retroactive": retroactive, "device": E.device, "dtype": E.dtype}
    return Y, after or init_state(E.shape[0], E.shape[2], **empty)


def bound(clip: float) -> float:
    """Return what no |Hᵢⱼ| can exceed, whatever was written: the clip."""
    return clip


def _first_write(x: Tensor, M: Tensor, weights: Weights, rates: Rates, clip: float, retroactive: bool) -> State:
    """The write into an empty memory, of which no zeros are made."""
    y = (x @ weights.w.mT).tanh()
    together = y[:, :, None] * x[:, None, :]
    if retroactive:
        return RetroactiveState(0 * together, as_scalar(rates.eta, x) * together)
    return SimpleState((M[:, None, None] * together).clamp(-clip, clip))


__all__ = ["RetroactiveState", "SimpleState", "State", "bound", "init_state", "matrix", "read", "unroll", "write"]
