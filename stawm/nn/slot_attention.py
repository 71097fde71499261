"""Slot attention as a module, and the position embedding that goes with it (Locatello et al. 2020)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.core import slots as core
from stawm.nn.precision import WideLinear, full_precision, without_autocast
from stawm.nn.recurrent import GRUCell


class Places(nn.Module):
    """Adds to what is at each place of a grid something that is linear in where that is."""

    grid: Float[Tensor, "p 4"]

    def __init__(self, features: int, size: tuple[int, int]) -> None:
        super().__init__()
        rows, columns = torch.meshgrid(*(torch.linspace(0, 1, side) for side in size), indexing="ij")
        grid = torch.stack([rows, columns, 1 - rows, 1 - columns], dim=-1).flatten(0, 1)
        self.register_buffer("grid", grid, persistent=False)
        self.embed = WideLinear(4, features)

    def forward(self, x: Float[Tensor, "*b #p f"]) -> Float[Tensor, "*b p f"]:
        """Return what is at each place, knowing where it is; what is the same everywhere may be given once."""
        return full_precision(x) + self.embed(self.grid)


class SlotAttention(nn.Module):
    """Slots that compete for places, and learn what they won from round to round (Algorithm 1)."""

    def __init__(self, features: int, size: int, hidden: int, iterations: int) -> None:
        """Make it.

        Args:
            features: How many numbers are seen at a place.
            size: k, of a slot.
            hidden: The size of the hidden layer that a slot goes through after each round.
            iterations: How many rounds there are.
        """
        super().__init__()
        self.iterations = iterations
        self.norm_places, self.norm_slots, self.norm_after = (
            nn.LayerNorm(features),
            nn.LayerNorm(size),
            nn.LayerNorm(size),
        )
        self.query, self.key, self.value = (WideLinear(given, size, bias=False) for given in (size, features, features))
        self.cell = GRUCell(size, size)
        self.after = nn.Sequential(WideLinear(size, hidden), nn.ReLU(), WideLinear(hidden, size))

    def forward(
        self, seen: Float[Tensor, "b p f"], slots: Float[Tensor, "b n k"]
    ) -> tuple[Float[Tensor, "b n k"], Float[Tensor, "b n p"]]:
        """Return the slots after all rounds, and how each place was shared out among them in the last."""
        with without_autocast(seen):
            seen = self.norm_places(full_precision(seen))
            keys, values = self.key(seen), self.value(seen)
            shares = slots.new_zeros(())
            for _ in range(self.iterations):
                shares = core.attend(self.query(self.norm_slots(slots)), keys)
                given = core.gather(shares, values)
                slots = self.cell(given.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
                slots = slots + self.after(self.norm_after(slots))
        return slots, shares
