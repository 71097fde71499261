"""The recurrent parts: the LSTM cell, the GRU cell, and the emitter from its output to a pose."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from stawm.nn.precision import WideLinear, autocasts, full_precision


class LSTMCell(nn.LSTMCell):
    """PyTorch's LSTM cell, in which a state that is left out is zero and costs nothing.

    The products follow autocast; gates and cell stay in full precision.
    """

    def forward(  # the state is two arguments here
        self, x: Float[Tensor, "b i"], h: Float[Tensor, "b d"] | None = None, c: Float[Tensor, "b d"] | None = None
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"]]:
        """Return the next output and cell."""
        gates = F.linear(x, self.weight_ih, self.bias_ih + self.bias_hh)
        if h is not None:
            # Autocast keeps the cast of a weight, but not of a weight's transpose.
            plain = autocasts(h)
            gates = gates + F.linear(h, self.weight_hh) if plain else torch.addmm(gates, h, self.weight_hh.mT)
        i, f, g, o = full_precision(gates).chunk(4, dim=1)
        written = i.sigmoid() * g.tanh()
        c = written if c is None else f.sigmoid() * c + written
        return o.sigmoid() * c.tanh(), c


class GRUCell(nn.GRUCell):
    """PyTorch's GRU cell; the products follow autocast, gates and state stay in full precision."""

    def forward(self, x: Float[Tensor, "b i"], h: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:  # both are needed here
        """Return the next state."""
        given = full_precision(F.linear(x, self.weight_ih, self.bias_ih)).chunk(3, dim=1)
        kept = full_precision(F.linear(h, self.weight_hh, self.bias_hh)).chunk(3, dim=1)
        reset, update = (given[0] + kept[0]).sigmoid(), (given[1] + kept[1]).sigmoid()
        new = (given[2] + reset * kept[2]).tanh()
        return new + update * (full_precision(h) - new)


class Emitter(nn.Module):
    """Two linear layers from the emission RNN to a pose (paper, section 3.2).

    The last layer starts with zero weights and the identity pose as its bias, as in spatial
    transformers, so an untrained model sees the whole image.
    """

    identity: Float[Tensor, "p"]

    def __init__(
        self,
        hidden_size: int,
        identity: Float[Tensor, "p"],
        dropout: float,
        limit: float | None = None,
        jitter: float = 0.0,
    ) -> None:
        """Make the layers: hidden to hidden/2 to the pose.

        Args:
            hidden_size: The emission RNN's size.
            identity: The pose that sees the whole image.
            dropout: The rate between the layers.
            limit: How far each number of a pose may get from the identity's, through a tanh; any distance where
                left out, as in the paper.
            jitter: How far the first bias is from the identity, as a standard deviation; in the paper it is the
                identity, where sampling has no derivative.
        """
        super().__init__()
        self.limit = limit
        self.register_buffer("identity", identity, persistent=False)
        self.hidden = WideLinear(hidden_size, max(1, hidden_size // 2))
        self.dropout = nn.Dropout(dropout)
        self.pose = WideLinear(max(1, hidden_size // 2), len(identity))
        nn.init.zeros_(self.pose.weight)
        self.pose.bias.data.copy_(identity if not jitter else identity + jitter * torch.randn_like(identity))

    def forward(self, h: Float[Tensor, "b d"]) -> Float[Tensor, "b p"]:
        """Return the pose."""
        pose = self.pose(self.dropout(self.hidden(h)).relu())
        if self.limit is not None:
            pose = self.identity + self.limit * ((pose - self.identity) / self.limit).tanh()
        return pose


def clip_rows(x: Float[Tensor, "b k"], limit: float) -> Float[Tensor, "b k"]:
    """Return x, whose gradient is scaled down, row by row, to a norm of at most ``limit``.

    Pascanu et al. (2013) clip the gradient of the weights, which one exploding image then decides for a whole
    batch. Clipped where it passes, each image keeps its say.
    """
    return _ClipRows.apply(x, limit)


class _ClipRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float) -> Tensor:
        ctx.limit = limit
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        norm = gradient.norm(dim=1, keepdim=True)
        least = max(ctx.limit, torch.finfo(gradient.dtype).tiny)
        return gradient * (ctx.limit / norm.clamp(min=least)), None
