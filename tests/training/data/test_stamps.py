"""Small pictures on large ones, against loops over pixels and against torchvision's resize."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.functional import resize

from stawm.training.data import stamps
from tests.strategies import generator, seeds


@settings(max_examples=10)
@given(seeds, st.integers(1, 4), st.integers(4, 9), st.integers(4, 9))
def test_what_is_cut_and_stamped_is_there(seed: int, side: int, h: int, w: int):
    rng = generator(seed)
    images = torch.randint(0, 256, (5, 6, 6), generator=rng, dtype=torch.uint8)
    which = torch.randint(0, 5, (2, 3), generator=rng)
    cuts = torch.randint(0, 6 - side + 1, (2, 3, 2), generator=rng)
    rooms = torch.tensor([h - side + 1, w - side + 1])
    places = (torch.rand(2, 3, 2, generator=rng) * rooms).long()
    pieces = stamps.cut(images, which, cuts, side)
    canvas = stamps.stamp(torch.zeros(2, h * w, dtype=torch.int32), (h, w), pieces, places).view(2, h, w)
    expected = torch.zeros(2, h, w, dtype=torch.int32)
    for b in range(2):
        for k in range(3):
            (top, left), (y, x) = cuts[b, k].tolist(), places[b, k].tolist()
            piece = images[which[b, k], top : top + side, left : left + side]
            assert torch.equal(pieces[b, k], piece)
            expected[b, y : y + side, x : x + side] += piece
    assert torch.equal(canvas, expected)


@settings(max_examples=10)
@given(seeds, st.integers(3, 14), st.integers(3, 14))
def test_sizes_are_brought_about_as_torchvision_does(seed: int, one: int, other: int):
    image = torch.randint(0, 256, (1, 2, 9, 9), generator=generator(seed), dtype=torch.uint8)
    low, high = sorted((one, other))
    resized = stamps.resize(image, torch.tensor([[one, other]]), low, high)
    for k, side in enumerate((one, other)):
        expected = resize(image[:, k : k + 1].float(), [side, side], antialias=True)[0, 0]
        assert (resized[0, k, :side, :side].float() - expected).abs().max() <= 0.5 + 1e-3  # it is rounded
        assert not resized[0, k, side:].any()
        assert not resized[0, k, :, side:].any()


def test_what_has_its_size_already_stays_as_it_is():
    image = torch.randint(0, 256, (2, 3, 7, 7), dtype=torch.uint8)
    assert torch.equal(stamps.resize(image, torch.full((2, 3), 7), 6, 7), image)


@settings(max_examples=10)
@given(seeds)
def test_boxes_are_the_smallest_that_cover(seed: int):
    rng = generator(seed)
    things = (torch.rand(4, 2, 6, 6, generator=rng) < 0.1).to(torch.uint8)
    corners = torch.randint(0, 9, (4, 2, 2), generator=rng)
    found = stamps.boxes(things, corners).flatten(0, 1)
    for thing, (y, x), box in zip(things.flatten(0, 1), corners.flatten(0, 1), found, strict=True):
        rows, columns = thing.nonzero(as_tuple=True)
        if not len(rows):
            assert box.tolist() == [x, y, x, y]
            continue
        ends = [x + columns.min(), y + rows.min(), x + columns.max() + 1, y + rows.max() + 1]
        assert box.tolist() == [int(end) for end in ends]


@settings(max_examples=10)
@given(seeds)
def test_shared_area_is_that_of_the_pairs(seed: int):
    rng = generator(seed)
    corners, sides = torch.randint(0, 8, (3, 4, 2), generator=rng), torch.randint(1, 6, (3, 4), generator=rng)
    for some, each, found in zip(
        corners.tolist(), sides.tolist(), stamps.shared_area(corners, sides).tolist(), strict=True
    ):
        squares = [{(y + i, x + j) for i in range(s) for j in range(s)} for (y, x), s in zip(some, each, strict=True)]
        assert found == sum(len(squares[a] & squares[b]) for a in range(4) for b in range(a))
