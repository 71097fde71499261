"""What rules share whose fast path takes a stack in pieces, with the memory's matrix handed over between them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

S = TypeVar("S", bound=tuple[Any, ...])


def in_chunks(
    part: Callable[..., tuple[Tensor, S]],
    stacks: Sequence[Tensor],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    state: S | None,
    size: int,
) -> tuple[Tensor, S]:
    """Unroll a long stack by parts of at most ``size`` writes.

    Args:
        part: Unrolls a short one: ``part(*stacks, Q, reads, state)``.
        stacks: What is written, each (b, n, ...).
        Q: The queries.
        reads: For each query the number of writes (0 to n) after which it is read.
        state: The state to start from, or None.
        size: The most writes that a part is given.
    """
    n = stacks[0].shape[1]
    if n <= size:
        return part(*stacks, Q, reads, state)
    answers: dict[int, Tensor] = {}
    Y = Q
    for start in range(0, n, size):
        piece = [stack[:, start : start + size] for stack in stacks]
        stop = start + piece[0].shape[1]
        mine = [k for k, r in enumerate(reads) if start < r <= stop or r == start == 0]
        asked = torch.stack([Q[:, k] for k in mine], dim=1) if mine else Q[:, :0]
        Y, state = part(*piece, asked, [reads[k] - start for k in mine], state)
        answers |= {k: Y[:, i] for i, k in enumerate(mine)}
    assert state is not None
    return torch.stack([answers[k] for k in range(len(reads))], dim=1) if reads else Y, state


def earlier(n: int, like: Tensor) -> Float[Tensor, "t n"]:
    """Return the matrix whose row t, from 0 to n, has a 1 for each write s < t and a 0 for each other."""
    return torch.ones(n + 1, n, dtype=like.dtype, device=like.device).tril(-1)


def unit_lower_inverse(A: Float[Tensor, "b n n"]) -> Float[Tensor, "b n n"]:
    """Return (I + A)⁻¹ for A strictly lower triangular, by forward substitution.

    One small product a row: unlike ``torch.linalg.solve_triangular`` it exports to ONNX, and unlike
    the product of I + A^(2^i) it does not lose digits where the powers of A are large.
    """
    n = A.shape[1]
    if n == 0:
        return A
    unit = torch.eye(n, dtype=A.dtype, device=A.device)
    rows = [unit[0] - A[:, 0]]
    for t in range(1, n):
        rows.append(unit[t] - (A[:, t, None, :t] @ torch.stack(rows, dim=1))[:, 0])
    return torch.stack(rows, dim=1)
