"""Scenes: things from a set of images, digits say, placed among pieces of others, made when they are asked for.

After Mnih et al. (2014), by the recipe of mnist-cluttered (2014): on an empty canvas pieces that are cut from other
things are added at random places, then the things themselves, and what is brighter than white is white. A scene follows
from the seed, the epoch and its own number, so it is the same in whatever batch, order, process or device it is made.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int, Int64, UInt8
from torch import Tensor

from stawm.training.data import layout, stamps
from stawm.training.data.dice import Dice, keys
from stawm.training.data.figure_ground import contrasting
from stawm.training.data.layout import Layout
from stawm.training.data.scene_config import SceneConfig
from stawm.training.data.streamed import Index, Streamed

TOGETHER = 512
"""Scenes that are made at a time."""
FIGURE = 128
"""How bright a pixel of a thing is at least where a mask counts it as figure, of 255."""


class Things(NamedTuple):
    """What scenes are made of.

    Attributes:
        images: White on black.
        labels: The class of each.
        classes: How many classes there are.
        ground: Photographs, all at least as large as the scenes; None for black.
    """

    images: UInt8[Tensor, "n g g"]
    labels: Int64[Tensor, "n"]
    classes: int
    ground: UInt8[Tensor, "m c height width"] | None = None

    def to(self, device: torch.device | str) -> "Things":
        """Return the things on a device."""
        ground = None if self.ground is None else self.ground.to(device)
        return Things(self.images.to(device), self.labels.to(device), self.classes, ground)


class Placed(NamedTuple):
    """What is in some scenes.

    Attributes:
        which: The things, by their numbers in their set.
        labels: Their classes.
        boxes: The smallest box around each, in pixels: left, top, right and bottom, the last two beyond it.
        masks: Where things are, by half of full brightness or more.
    """

    which: Int64[Tensor, "b d"]
    labels: Int64[Tensor, "b d"]
    boxes: Int64[Tensor, "b d 4"]
    masks: Bool[Tensor, "b 1 h w"]


@dataclass(frozen=True, eq=False)
class Scenes(Streamed):
    """Scenes by their numbers.

    Attributes:
        config: What they are made of, and how.
        things: Things, pieces and ground.
        size: Height and width.
        seed: Decides the scenes.
        epoch: Which pass through the scenes; in each they are others.
        chosen: The numbers of the scenes; None for all of them.
        spread: How far from the middle things may be, where a curriculum says it; else as the configuration does.
        numbers: What number each answer has in the model that learns; None for the scenes' own numbers.
    """

    config: SceneConfig
    things: Things
    size: tuple[int, int]
    seed: int = 0
    epoch: int = 0
    chosen: Int64[Tensor, "count"] | None = None
    spread: float | None = None
    numbers: tuple[int, ...] | None = None

    @property
    def device(self) -> torch.device:
        """Where scenes are made."""
        return self.things.images.device

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Count, channels, height and width."""
        channels = 1 if self.things.ground is None else self.things.ground.shape[1]
        return len(self.index), channels, *self.size

    @property
    def originals(self) -> int:
        """How many things there are to make scenes of."""
        return len(self.things.images)

    @property
    def in_epoch(self) -> int:
        """How many scenes an epoch has."""
        return self.config.scenes or self.originals

    @cached_property
    def index(self) -> Int64[Tensor, "count"]:
        """The numbers of the scenes."""
        whole = torch.arange(self.in_epoch, device=self.device)
        return whole if self.chosen is None else self.chosen.to(self.device)

    @cached_property
    def targets(self) -> Int64[Tensor, "count *k"]:
        """What is to be said of each scene."""
        _, which = self._begin(self.index)
        asked = self.config.answers(self.things.labels[which], self.things.classes)
        if self.numbers is None:
            return asked
        return torch.where(asked < 0, asked, torch.tensor(self.numbers, device=self.device)[asked.clamp(min=0)])

    @property
    def masks(self) -> "Masks":
        """Where things are, indexed alike."""
        return Masks(self)

    def to(self, device: torch.device | str) -> "Scenes":
        """Return the scenes as to be made on a device."""
        return replace(self, things=self.things.to(device))

    def select(self, index: Index) -> "Scenes":
        """Return some of the scenes."""
        return replace(self, chosen=self._at(index))

    def made_of(self, index: Index) -> "Scenes":
        """Return scenes of some of the things alone: neither whole nor in pieces is anything else in them.

        There are as many as there are things, unless ``scenes`` says how many.
        """
        rows = index if isinstance(index, slice) else torch.as_tensor(index, device=self.device)
        kept = self.things._replace(images=self.things.images[rows], labels=self.things.labels[rows])
        return replace(self, things=kept, chosen=None)

    def renewed(self, seed: int, epoch: int) -> "Scenes":
        """Return the scenes as they are in an epoch of a run."""
        return replace(self, seed=seed, epoch=epoch, spread=self.config.spread_in(epoch))

    def as_test(self) -> "Scenes":
        """Return scenes to measure on: one for each thing."""
        return replace(self, config=self.config.replace(scenes=None), chosen=None)

    def renumbered(self, numbers: Sequence[int]) -> "Scenes":
        """Return the scenes with answers in another numbering."""
        return replace(self, numbers=tuple(numbers))

    def content(self) -> Iterator[Tensor]:
        """Go through all that decides the scenes: how they are made, and what of."""
        places = ("root", "things", "ground")
        said = {key: value for key, value in self.config.to_dict().items() if key not in places}
        said |= {
            "size": list(self.size),
            "seed": self.seed,
            "epoch": self.epoch,
            "numbers": self.numbers,
            "spread": self.spread,
        }
        yield torch.tensor(list(json.dumps(said, sort_keys=True).encode()), dtype=torch.uint8)
        yield from (part for part in (self.things.images, self.things.labels, self.index) if part is not None)
        if self.things.ground is not None:
            yield self.things.ground

    def stream(self, batches: Iterable[Index]) -> Iterator[UInt8[Tensor, "b c h w"]]:
        """Make batch after batch."""
        for index in batches:
            made = [self._pixels(part) for part in self._at(index).split(TOGETHER)]
            yield made[0] if len(made) == 1 else torch.cat(made)

    def placed(self, index: Index = slice(None)) -> Placed:
        """Return what is in some of the scenes, and where.

        Examples:
            >>> from stawm.training import data
            >>> scenes = data.load("clutter", things="digits", size=40).test.images
            >>> scenes.placed(slice(0, 2)).boxes.shape
            torch.Size([2, 1, 4])
        """
        parts = [self._placed(part) for part in self._at(index).split(TOGETHER)]
        return Placed(*(torch.cat(some) for some in zip(*parts, strict=True)))

    def boxes(self, index: Index) -> Int64[Tensor, "b d 4"]:
        """Return the smallest box around each thing in some of the scenes, in pixels."""
        plans = [self._lay_out(part)[1] for part in self._at(index).split(TOGETHER)]
        return torch.cat([stamps.boxes(self._things(plan), plan.corners) for plan in plans])

    def _at(self, index: Index) -> Int64[Tensor, "b"]:
        return self.index[index if isinstance(index, slice) else torch.as_tensor(index, device=self.device)]

    def _begin(self, index: Int64[Tensor, "b"]) -> tuple[Dice, Int64[Tensor, "b d"]]:
        """Return the dice of some scenes, and the things in them: the first in turn, the others by the dice."""
        dice = Dice(keys(self.seed, self.epoch, index))
        first = (index + self.epoch * self.in_epoch) % self.originals
        return dice, layout.choose(dice, first, self.config.digits, self.originals)

    def _lay_out(self, index: Int64[Tensor, "b"]) -> tuple[Dice, Layout]:
        config, side, (dice, which) = self.config, self.things.images.shape[-1], self._begin(index)
        low, high = config.digit_size or (side, side)
        sides = low + dice.below(high - low + 1, config.digits)
        if config.target == "places":
            corners = layout.arrange_in_grid(dice, sides, self.size)
        else:
            spread = config.spread if self.spread is None else self.spread
            corners = layout.arrange(dice, sides, self.size, overlap=config.overlap, spread=spread)
        drawn = layout.scatter(dice, which, config.pieces, config.piece_size, self.originals, side, self.size)
        return dice, Layout(which, sides, corners, *drawn)

    def _empty(self, like: Layout) -> Int[Tensor, "b hw"]:
        brightest = stamps.WHITE * (self.config.pieces + self.config.digits)
        dtype = torch.int16 if brightest <= torch.iinfo(torch.int16).max else torch.int32
        return torch.zeros(len(like.which), self.size[0] * self.size[1], dtype=dtype, device=self.device)

    def _things(self, plan: Layout) -> UInt8[Tensor, "b d g g"]:
        images, side = self.things.images[plan.which], self.things.images.shape[-1]
        return stamps.resize(images, plan.sides, *(self.config.digit_size or (side, side)))

    def _pieces(self, plan: Layout) -> UInt8[Tensor, "b p s s"]:
        return stamps.cut(self.things.images, plan.pieces, plan.cuts, self.config.piece_size)

    def _pixels(self, index: Int64[Tensor, "b"]) -> UInt8[Tensor, "b c h w"]:
        dice, plan = self._lay_out(index)
        below = stamps.stamp(self._empty(plan), self.size, self._pieces(plan), plan.places)
        if self.things.ground is None:
            whole = stamps.stamp(below, self.size, self._things(plan), plan.corners)
            return whole.clamp_(max=stamps.WHITE).to(torch.uint8).view(-1, 1, *self.size)
        above = stamps.stamp(self._empty(plan), self.size, self._things(plan), plan.corners)
        image = self._patches(dice, self.things.ground)
        for layer in (below, above):
            opacity = (layer.clamp(max=stamps.WHITE) / stamps.WHITE).view(-1, 1, *self.size)
            colour = contrasting(image, dice.uniform(image.shape[1], 1, 1).float())
            image = image + opacity * (colour - image)
        return image.round().to(torch.uint8)

    def _patches(self, dice: Dice, ground: UInt8[Tensor, "m c height width"]) -> Tensor:
        """Return a patch of some photograph for each scene, as floats from 0 to 255."""
        which = dice.below(len(ground))
        free = (have - need + 1 for have, need in zip(ground.shape[2:], self.size, strict=True))
        tops, lefts = (dice.below(room)[:, None] for room in free)
        rows = (tops + torch.arange(self.size[0], device=self.device))[:, :, None]
        columns = (lefts + torch.arange(self.size[1], device=self.device))[:, None, :]
        return ground.movedim(1, -1)[which[:, None, None], rows, columns].movedim(-1, 1).float()

    def _placed(self, index: Int64[Tensor, "b"]) -> Placed:
        _, plan = self._lay_out(index)
        things = self._things(plan)
        whole = stamps.stamp(self._empty(plan), self.size, things, plan.corners)
        masks = (whole >= FIGURE).view(-1, 1, *self.size)
        return Placed(plan.which, self.things.labels[plan.which], stamps.boxes(things, plan.corners), masks)


class Masks(Streamed):
    """Where the things of scenes are, indexed as the scenes are."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes, self.device = scenes, scenes.device

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Count, 1, height and width."""
        return len(self.scenes), 1, *self.scenes.size

    def to(self, device: torch.device | str) -> "Masks":
        """Return the masks as to be made on a device."""
        return Masks(self.scenes.to(device))

    def select(self, index: Index) -> "Masks":
        """Return some of the masks."""
        return Masks(self.scenes.select(index))

    def stream(self, batches: Iterable[Index]) -> Iterator[Bool[Tensor, "b 1 h w"]]:
        """Make batch after batch."""
        return (self.scenes.placed(index).masks for index in batches)
