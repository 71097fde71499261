"""Scenes: each follows from seed, epoch and number, is made of its own things alone, and is asked what is in it."""

from itertools import combinations_with_replacement
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.errors import ConfigError
from stawm.training import data
from stawm.training.data import ImageSet, stamps
from stawm.training.data.scene_config import SceneConfig
from stawm.training.data.scenes import Scenes, Things
from tests.strategies import generator, seeds


def some_things(count: int = 12, side: int = 6, level: int | None = None) -> Things:
    """Things of 4 classes, at random or all of one brightness."""
    pixels = torch.randint(1, 256, (count, side, side), generator=generator(0), dtype=torch.uint8)
    return Things(pixels if level is None else torch.full_like(pixels, level), torch.arange(count) % 4, 4)


def made(things: Things | None = None, size: tuple[int, int] = (20, 20), seed: int = 0, **fields: Any) -> Scenes:
    return Scenes(SceneConfig(**{"pieces": 3, "piece_size": 2, **fields}), things or some_things(), size, seed)


def as_set(scenes: Scenes) -> ImageSet:
    return ImageSet(scenes, scenes.targets, scenes.config.answer_names(("0", "1", "2", "3")), scenes.masks)


@settings(max_examples=10)
@given(seeds, st.lists(st.integers(0, 11), min_size=1, max_size=5))
def test_a_scene_is_the_same_in_every_batch_and_every_order(seed: int, some: list[int]):
    scenes = made(seed=seed, digits=2, target="pair", digit_size=(4, 7))
    whole = scenes[:]
    assert torch.equal(scenes[some], whole[some])
    assert torch.equal(scenes.select(some)[:], whole[some])
    assert torch.equal(scenes.select(some).targets, scenes.targets[some])
    assert torch.equal(torch.cat(list(scenes.stream([slice(0, 5), slice(5, 12)]))), whole)
    assert torch.equal(made(seed=seed, digits=2, target="pair", digit_size=(4, 7))[:], whole)


def test_each_epoch_and_each_seed_has_scenes_of_its_own():
    found = [made().renewed(seed, epoch)[:] for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(not torch.equal(a, b) for k, a in enumerate(found) for b in found[:k])
    assert torch.equal(made().renewed(1, 0)[:], found[2])


@settings(max_examples=10)
@given(seeds, st.integers(1, 3), st.integers(0, 4), st.booleans())
def test_a_scene_is_its_layers_added_and_no_brighter_than_white(seed: int, digits: int, pieces: int, sized: bool):
    scenes = made(seed=seed, digits=digits, target="sum", pieces=pieces, digit_size=(3, 8) if sized else None)
    index = torch.arange(12)
    _, plan = scenes._lay_out(index)
    things = stamps.resize(scenes.things.images[plan.which], plan.sides, *(scenes.config.digit_size or (6, 6)))
    for number, pixels in enumerate(scenes[:]):
        total = torch.zeros(20, 20, dtype=torch.long)
        for which, (top, left), (y, x) in zip(plan.pieces[number], plan.cuts[number], plan.places[number], strict=True):
            total[y : y + 2, x : x + 2] += scenes.things.images[which, top : top + 2, left : left + 2]
        for thing, side, (y, x) in zip(things[number], plan.sides[number], plan.corners[number], strict=True):
            total[y : y + side, x : x + side] += thing[:side, :side]
        assert torch.equal(pixels[0], total.clamp(max=255).byte())


@settings(max_examples=10)
@given(seeds, st.integers(1, 3))
def test_pieces_are_of_other_things_and_things_are_different(seed: int, digits: int):
    scenes = made(some_things(6), seed=seed, digits=digits, target="sum", pieces=5)
    _, plan = scenes._lay_out(torch.arange(6))
    for things, pieces in zip(plan.which.tolist(), plan.pieces.tolist(), strict=True):
        assert len(set(things)) == digits
        assert not set(things) & set(pieces)


def test_every_thing_comes_first_once_an_epoch():
    scenes = made()
    for epoch in range(2):
        assert scenes.renewed(0, epoch).placed().which[:, 0].sort().values.tolist() == [*range(12)]
    few = made(scenes=5)
    firsts = torch.cat([few.renewed(0, epoch).placed().which[:, 0] for epoch in range(12)])
    assert firsts.bincount().tolist() == [5] * 12


@pytest.mark.parametrize("split", [data.hold_out_last, lambda s, n: data.split(s, n / len(s), 0)])
def test_what_is_held_out_is_in_no_scene_to_learn_from(split: Any):
    things = some_things(level=1)
    things.images[-4:] = 100
    order = torch.randperm(12, generator=generator(0)) if split is not data.hold_out_last else torch.arange(12).flip(0)
    bright = Things(torch.ones_like(things.images), things.labels, 4)
    bright.images[order[:4]] = 100
    learned, held = split(as_set(made(bright)), 4)
    assert (len(learned), len(held)) == (8, 4)
    most = 1 + 3  # a thing and three pieces on one pixel
    for epoch in range(3):
        assert learned.renewed(0, epoch).images[:].max() <= most
    assert held.images[:].unique().tolist()[1] == 100, "nothing but what is held out is in the scenes to measure on"


def test_part_of_the_things_makes_scenes_of_these_alone():
    things = some_things(level=100)
    things.images[:3] = 1
    part = data.take_first(as_set(made(things)), 3)
    assert part.images[:].max() <= 4
    assert part.labels.tolist() == [0, 1, 2]


def test_scenes_to_measure_on_are_one_for_each_thing():
    learned, held = data.hold_out_last(as_set(made(scenes=30)), 4)
    assert (len(learned), len(held), len(learned.renewed(0, 3))) == (30, 4, 30)
    assert torch.equal(held.renewed(0, 0).images[:], held.images[:])


@settings(max_examples=10)
@given(seeds, st.booleans())
def test_boxes_and_masks_are_of_what_was_placed(seed: int, sized: bool):
    scenes = made(seed=seed, digits=2, target="pair", digit_size=(4, 8) if sized else None, pieces=0)
    placed = scenes.placed()
    for pixels, mask, boxes in zip(scenes[:], placed.masks, placed.boxes, strict=True):
        covered = torch.zeros(20, 20, dtype=torch.bool)
        for left, top, right, bottom in boxes.tolist():
            covered[top:bottom, left:right] = True
        assert not (pixels[0] > 0)[~covered].any()
        assert torch.equal(mask[0], pixels[0] >= 128)
    assert torch.equal(scenes.masks[3:5], placed.masks[3:5])
    assert torch.equal(placed.labels, scenes.things.labels[placed.which])


@settings(max_examples=5)
@given(seeds)
def test_things_may_be_kept_apart(seed: int):
    scenes = made(size=(24, 24), seed=seed, digits=2, target="pair", overlap=False)
    _, plan = scenes._lay_out(torch.arange(12))
    assert not stamps.shared_area(plan.corners, plan.sides).any()


def test_pairs_and_sums_are_those_of_the_things():
    pairs = [*combinations_with_replacement(range(4), 2)]
    scenes = made(digits=2, target="pair")
    assert [pairs[k] for k in scenes.targets] == [tuple(sorted(labels)) for labels in scenes.placed().labels.tolist()]
    names = scenes.config.answer_names(("a", "b", "c", "d"))
    assert names == tuple(f"{'abcd'[low]} {'abcd'[high]}" for low, high in pairs)
    added = made(digits=3, target="sum")
    assert added.targets.tolist() == [sum(labels) for labels in added.placed().labels.tolist()]
    assert added.config.answer_names(("0", "1", "2", "3")) == tuple(map(str, range(10)))


def test_the_answers_of_ten_digits_are_as_many_as_published():
    digits = tuple("0123456789")
    assert len(SceneConfig(digits=2, target="pair").answer_names(digits)) == 55
    assert len(SceneConfig(digits=2, target="sum").answer_names(digits)) == 19


@settings(max_examples=5)
@given(seeds)
def test_places_hold_what_is_said_of_them(seed: int):
    scenes = made(seed=seed, digits=4, target="places", pieces=0)
    assert scenes.targets.shape == (12, 4)
    for labels, placed in zip(scenes.targets.tolist(), zip(*scenes.placed()[:3], strict=True), strict=True):
        assert labels == placed[1].tolist()
        for place, (left, top, right, bottom) in enumerate(placed[2].tolist()):
            assert place // 2 * 10 <= top < bottom <= place // 2 * 10 + 10
            assert place % 2 * 10 <= left < right <= place % 2 * 10 + 10


def test_a_curriculum_begins_near_the_middle_and_is_only_for_learning():
    scenes = made(size=(46, 46), curriculum=4)

    def reach(some: Scenes) -> float:
        _, plan = some._lay_out(torch.arange(12).repeat(20) % 12)
        return (plan.corners - 20).abs().max().item()

    reached = [max(reach(scenes.renewed(seed, epoch)) for seed in range(20)) for epoch in (0, 2, 4, 9)]
    assert reached[0] == 2, "a tenth of the 20 pixels to the edge"
    assert reached[0] < reached[1] < reached[2] == reached[3] == 20
    assert max(reach(made(size=(46, 46), seed=seed, curriculum=4)) for seed in range(20)) == 20


def test_what_decides_the_scenes_is_in_their_fingerprint():
    usual = as_set(made()).fingerprint()
    assert usual == as_set(made(root="elsewhere")).fingerprint()
    others = [made(seed=1), made(pieces=2), made(size=(21, 20)), made(curriculum=3), made(some_things(11))]
    assert len({usual, *(as_set(other).fingerprint() for other in others)}) == 6


@pytest.mark.parametrize("target", ["class", "pair"])
def test_answers_are_numbered_as_the_model_has_them_in_every_epoch(target: Any):
    given = as_set(made(target=target, digits=1 if target == "class" else 2))
    names = given.class_names[::-1]
    numbered = given.images.renumbered(range(len(names) - 1, -1, -1))
    turned = ImageSet(numbered, numbered.targets, names, numbered.masks)
    for epoch in range(2):
        ours, theirs = given.renewed(5, epoch), turned.renewed(5, epoch)
        assert [given.class_names[k] for k in ours.labels] == [names[k] for k in theirs.labels]


def test_batches_of_an_epoch_go_on_where_they_were_broken_off_and_are_shared_out():
    images = as_set(made())

    def pixels(**how: Any) -> list[Tensor]:
        return [raw for raw, _ in data.shuffled_batches(images, 4, seed=3, epoch=2, **how)]

    whole = pixels()
    assert all(map(torch.equal, whole[1:], pixels(first=1)))
    shared = zip(pixels(rank=0, world=2), pixels(rank=1, world=2), strict=True)
    for batch, (even, odd) in zip(whole, shared, strict=True):
        assert torch.equal(batch[0::2], even)
        assert torch.equal(batch[1::2], odd)


@pytest.mark.parametrize("channels", [1, 3])
def test_on_photographs_things_differ_from_their_ground(channels: int):
    ground = torch.full((2, channels, 30, 25), 90, dtype=torch.uint8)
    scenes = made(some_things(level=255)._replace(ground=ground), pieces=0)
    assert scenes.shape == (12, channels, 20, 20)
    pixels, masks = scenes[:], scenes.masks[:].expand(-1, channels, -1, -1)
    assert (pixels[~masks] == 90).all()
    assert ((pixels[masks].int() - 90).abs() >= 63).all()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"digits": 2}, "target 'class' is that of one thing, so digits must be 1"),
        ({"digits": 3, "target": "pair"}, "so digits must be 2"),
        ({"digits": 5, "target": "places"}, "must be 1, 4, 9, 16 or 25"),
        ({"digit_size": (9, 4)}, "the smallest side and the largest"),
        ({"pieces": -1}, r"pieces must be an integer in \[0, 1000\]"),
        ({"target": "colour"}, "target must be one of 'class', 'pair', 'sum', 'places'"),
    ],
)
def test_what_scenes_cannot_be_is_said(fields: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words):
        SceneConfig(**fields)
