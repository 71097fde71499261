"""What rules share that are evaluated over a whole stack of writes: decays, and reads after chosen writes."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Literal, TypeAlias, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.errors import InputError

Scalar: TypeAlias = Float[Tensor, ""] | float
Form: TypeAlias = Literal["auto", "dense", "factored"]
S = TypeVar("S")
Read = TypeVar("Read", bound=Callable[..., Tensor])


def of_any_number(read: Read) -> Read:
    """Let a function that reads queries (b, k, m) read a single one, (b, m), too."""

    @wraps(read)
    def either(state: Any, q: Tensor, *more: Any) -> Tensor:
        return read(state, q, *more) if q.ndim == 3 else read(state, q[:, None], *more)[:, 0]

    return either  # pyright: ignore[reportReturnType]  (it takes what the function takes)


def as_scalar(value: Scalar, like: Tensor) -> Float[Tensor, ""]:
    """Return a rate as a 0-d tensor of the type and on the device of ``like``."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def is_factored(form: Form, rows: int, m: int) -> bool:
    """Whether a memory that has both forms keeps this many rows of width m, and no matrix.

    Rows are the smaller while there are fewer than about m/2 of them, and need less for the gradient
    at any number; reading them is the cheaper below m (one read) to 2m (many) of them.
    """
    return form == "factored" or (form == "auto" and rows < 2 * m)


def check_stack(E: Tensor, Q: Tensor, reads: Sequence[int]) -> None:
    """Check what `unroll` is given.

    Args:
        E: The stack of writes, (b, n, m).
        Q: The queries, (b, k, m).
        reads: For each query the number of writes after which it is read.

    Raises:
        InputError: Shapes do not fit, or a read lies outside 0 to n.
    """
    if E.ndim != 3 or Q.ndim != 3 or E.shape[0] != Q.shape[0] or E.shape[2] != Q.shape[2]:
        got = f"{tuple(E.shape)} and {tuple(Q.shape)}"
        raise InputError(f"E is (b, n, m) and Q is (b, k, m) with the same b and m; got {got}.")
    if len(reads) != Q.shape[1]:
        raise InputError(f"Each of the k = {Q.shape[1]} queries takes one entry of reads; got {list(reads)}.")
    wrong = [r for r in reads if not 0 <= r <= E.shape[1]]
    if wrong:
        raise InputError(f"A read comes after 0 to n = {E.shape[1]} writes; got {wrong[0]} in {list(reads)}.")


def powers(base: Float[Tensor, ""], n: int) -> Float[Tensor, " n"]:
    """Return 1, x, x², …, xⁿ⁻¹, made by products alone, so that every derivative is right also at x = 0."""
    row, factor = torch.ones_like(base)[None], base
    while len(row) < n:
        row, factor = torch.cat([row, row * factor]), factor * factor
    return row[:n]


def decay_rows(keep: Float[Tensor, ""], n: int, reads: Sequence[int]) -> Float[Tensor, "k n"]:
    """Return the matrix D of what is left of write s at read k: keep^(r-1-s) for s < r = reads[k], else 0.

    Each row is a window of one vector (keepⁿ⁻¹, …, keep, 1, 0, …, 0), which takes no index tensor.
    """
    row = powers(keep, n).flip(0)
    row = torch.cat([row, torch.zeros_like(row)])
    return torch.stack([row[n - r : 2 * n - r] for r in reads])


def attend(
    Q: Float[Tensor, "b k m"], keys: Float[Tensor, "b t m"], values: Float[Tensor, "b t m"], D: Float[Tensor, "#k t"]
) -> Float[Tensor, "b k m"]:
    """Return ((Q Kᵀ) ∘ D) V: reads of Σₛ Dₖₛ vₛ kₛᵀ without ever building it."""
    return ((Q @ keys.mT) * D) @ values


def terms(
    q: Float[Tensor, "b m"],
    keys: Float[Tensor, "b t m"],
    values: Float[Tensor, "b t d"],
    weights: Float[Tensor, "#b t"],
) -> Float[Tensor, "b t d"]:
    """Return wₛ (kₛ·q) vₛ of each row: what `attend` sums up for a single query."""
    return ((keys @ q[:, :, None])[:, :, 0] * weights)[:, :, None] * values


def retraced(
    K: Float[Tensor, "b n m"],
    V: Float[Tensor, "b n d"],
    beta: Float[Tensor, "b n"],
    alpha: Float[Tensor, "b n"],
    q: Float[Tensor, "b m"],
) -> Float[Tensor, "b n d"]:
    """Return what each write gives to a read of S where every write is S ← α S (I - β k kᵀ) + β v kᵀ.

    The query goes back from the last write to the first, and loses at each what that one erased.
    """
    found: list[Tensor] = []
    for t in reversed(range(K.shape[1])):
        k, met = K[:, t], beta[:, t, None] * (K[:, t] * q).sum(dim=1, keepdim=True)
        found.append(met * V[:, t])
        q = alpha[:, t, None] * (q - met * k)
    return torch.stack(found[::-1], dim=1) if found else V


def step_through(
    stacks: Sequence[Tensor],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    state: S,
    write: Callable[..., S],
    read: Callable[[S, Tensor], Tensor],
) -> tuple[Float[Tensor, "b k m"], S]:
    """Unroll by one write after the other, where a rule has nothing faster.

    An entry of each stack, (b, n, ...), makes a write: ``write(state, *entries)``. The state may be None for
    the empty memory: so no zeros need be made to start from, and the first write can be the simple case that it is.
    """
    answers: dict[int, Tensor] = {}
    for t in range(stacks[0].shape[1] + 1):
        if t > 0:
            state = write(state, *(stack[:, t - 1] for stack in stacks))
        for k in (k for k, after in enumerate(reads) if after == t):
            answers[k] = read(state, Q[:, k])
    return torch.stack([answers[k] for k in range(len(reads))], dim=1) if reads else Q, state
