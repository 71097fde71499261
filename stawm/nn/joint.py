"""What was seen and where it was seen, joined to one vector."""

from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.nn.precision import WideLinear, full_precision, without_autocast

Join: TypeAlias = Literal["product", "sum", "concatenation"]


class Joint(nn.Module):
    """From features of a glimpse and its pose to g, what a recurrent network is given of it.

        product:        g = ReLU(what(x) ⊙ where(l))                       Larochelle and Hinton 2010; Ba et al. 2015
        sum:            g = ReLU(what(x) + where(l))                       Mnih et al. 2014, appendix
        concatenation:  g = ReLU(both([what(x), where(l)]))

    ``what`` is linear; ``where`` is too, after a hidden layer with ReLU if it has one.
    """

    def __init__(self, features: int, pose_size: int, size: int, join: Join, where_size: int | None) -> None:
        """Make the layers.

        Args:
            features: How many numbers x has.
            pose_size: How many numbers l has.
            size: How many g has.
            join: How what and where are joined.
            where_size: The size of the hidden layer of ``where``; it has none where left out.
        """
        super().__init__()
        self.join: Join = join
        self.what = WideLinear(features, size)
        hidden = [] if where_size is None else [WideLinear(pose_size, where_size), nn.ReLU()]
        self.where = nn.Sequential(*hidden, WideLinear(where_size or pose_size, size))
        self.both = WideLinear(2 * size, size) if join == "concatenation" else None

    def forward(self, features: Float[Tensor, "b f"], pose: Float[Tensor, "b p"]) -> Float[Tensor, "b s"]:
        """Return g."""
        with without_autocast(pose):
            what, where = self.what(features), self.where(full_precision(pose))
            if self.join == "product":
                return (what * where).relu()
            return (what + where if self.both is None else self.both(torch.cat([what, where], dim=1))).relu()
