"""Where everything in a scene goes, drawn by dice: which things, how large, where, and which pieces of others."""

from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from stawm.training.data.dice import Dice
from stawm.training.data.stamps import shared_area

TRIES = 32
"""Random arrangements of which the best is taken, where things may not overlap."""


class Layout(NamedTuple):
    """What goes where in some scenes.

    Attributes:
        which: The things.
        sides: How large each is.
        corners: Their tops and lefts.
        pieces: The things that pieces are cut from: none that is there itself.
        cuts: The top and the left of each piece in its thing.
        places: Its top and left in the scene.
    """

    which: Int64[Tensor, "b d"]
    sides: Int64[Tensor, "b d"]
    corners: Int64[Tensor, "b d 2"]
    pieces: Int64[Tensor, "b p"]
    cuts: Int64[Tensor, "b p 2"]
    places: Int64[Tensor, "b p 2"]


def choose(dice: Dice, first: Int64[Tensor, "b"], count: int, among: int) -> Int64[Tensor, "b count"]:
    """Return the things of each scene, all different: the first is given, the others are drawn."""
    found = [first[:, None]]
    for _ in range(count - 1):
        found.append(others(dice, torch.cat(found, dim=1), 1, among))
    return torch.cat(found, dim=1)


def others(dice: Dice, taken: Int64[Tensor, "b d"], count: int, among: int) -> Int64[Tensor, "b count"]:
    """Draw things that are none of those taken, which are all different."""
    drawn = dice.below(among - taken.shape[1], count)
    for one in taken.sort(dim=1).values.split(1, dim=1):
        drawn = drawn + (drawn >= one)
    return drawn


def arrange(
    dice: Dice, sides: Int64[Tensor, "b d"], size: tuple[int, int], *, overlap: bool, spread: float = 1.0
) -> Int64[Tensor, "b d 2"]:
    """Return corners at random; where things may not overlap, the first of the arrangements that overlap least.

    Args:
        dice: Where the numbers come from.
        sides: How large the things are.
        size: Height and width of the scene.
        overlap: Whether things may overlap.
        spread: How far from the middle they may be, as a share of the way to the edges.
    """
    if overlap or sides.shape[1] == 1:
        return _corners(dice, sides, size, spread)
    tried = _corners(dice, sides[:, None].expand(-1, TRIES, -1), size, spread)
    shared = shared_area(tried, sides[:, None]) * TRIES + torch.arange(TRIES, device=sides.device)
    return tried[torch.arange(len(tried), device=sides.device), shared.argmin(dim=1)]


def arrange_in_grid(dice: Dice, sides: Int64[Tensor, "b d"], size: tuple[int, int]) -> Int64[Tensor, "b d 2"]:
    """Return corners in the cells of a square grid, row after row; in its cell each is at random."""
    across = round(sides.shape[1] ** 0.5)
    cell = (size[0] // across, size[1] // across)
    number = torch.arange(sides.shape[1], device=sides.device)
    start = torch.stack([number // across * cell[0], number % across * cell[1]], dim=1)
    return start + _corners(dice, sides, cell)


def scatter(
    dice: Dice, which: Int64[Tensor, "b d"], count: int, side: int, among: int, thing: int, size: tuple[int, int]
) -> tuple[Int64[Tensor, "b p"], Int64[Tensor, "b p 2"], Int64[Tensor, "b p 2"]]:
    """Draw pieces: what each is cut from, where it is cut, and where it goes.

    Args:
        dice: Where the numbers come from.
        which: The things that are there, of which no piece is.
        count: How many pieces.
        side: How large a piece is.
        among: How many things there are.
        thing: How large a thing is.
        size: Height and width of the scene.
    """
    pieces = others(dice, which, count, among)
    cuts = dice.below(thing - side + 1, count, 2)
    room = torch.tensor([size[0] - side + 1, size[1] - side + 1], device=which.device)
    return pieces, cuts, dice.below(room, count, 2)


def _corners(
    dice: Dice, sides: Int64[Tensor, "b *d"], size: tuple[int, int], spread: float = 1.0
) -> Int64[Tensor, "b *d 2"]:
    room = torch.stack([size[0] - sides, size[1] - sides], dim=-1)
    margin = (room * ((1 - spread) / 2)).long()
    return margin + dice.below(room - 2 * margin + 1, *room.shape[1:])
