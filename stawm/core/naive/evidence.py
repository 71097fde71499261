"""The slow, obvious twin of `stawm.core.evidence`: one number at a time."""

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.naive.tables import table


def passed(y: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """Return min(max(y, 0), 6) / y number by number, and 0 for 0."""

    def one(b: int, i: int) -> Tensor:
        value = y[b, i]
        return value * 0 if value <= 0 else value / value if value <= 6 else 6 / value

    return table(one, *y.shape)


def shares(
    writes: Float[Tensor, "b n m"],
    rest: Float[Tensor, "b m"],
    A: Float[Tensor, "classes m"],
    b: Float[Tensor, "classes"],
) -> tuple[Float[Tensor, "b n classes"], Float[Tensor, "b classes"]]:
    """Return Σᵢ (A_ki - mean) ρᵢ c_si of each write, and of the rest what is missing to log p."""
    batch, n, m = writes.shape
    classes = len(b)
    y = table(lambda i, j: sum(writes[i, s, j] for s in range(n)) + rest[i, j], batch, m)
    rho = passed(y)

    def given(term: Tensor, i: int, k: int) -> "Tensor | float":
        each = [sum(A[c, j] * rho[i, j] * term[j] for j in range(m)) for c in range(classes)]
        return each[k] - sum(each) / classes

    def log_p(i: int, k: int) -> Tensor:
        z = [sum(A[c, j] * rho[i, j] * y[i, j] for j in range(m)) + b[c] for c in range(classes)]
        return z[k] - torch.stack([torch.exp(other) for other in z]).sum().log()

    found = table(lambda i, s, k: given(writes[i, s], i, k), batch, n, classes)
    own = table(lambda i, k: log_p(i, k) - sum(found[i, s, k] for s in range(n)), batch, classes)
    return found, own


def without(
    writes: Float[Tensor, "b n m"],
    rest: Float[Tensor, "b m"],
    A: Float[Tensor, "classes m"],
    b: Float[Tensor, "classes"],
) -> Float[Tensor, "b n classes"]:
    """Return log p of a read from which one write is left out, less log p of the whole read."""
    batch, n, m = writes.shape

    def log_p(i: int, k: int, left_out: "int | None" = None) -> Tensor:
        read = [sum(writes[i, s, j] for s in range(n) if s != left_out) + rest[i, j] for j in range(m)]
        z = [sum(A[c, j] * read[j].clamp(0, 6) for j in range(m)) + b[c] for c in range(len(b))]
        return z[k] - torch.stack([torch.exp(other) for other in z]).sum().log()

    return table(lambda i, s, k: log_p(i, k, s) - log_p(i, k), batch, n, len(b))
