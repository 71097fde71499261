"""Locators: what a glimpse sees, where a sketch is placed, and that precision is kept."""

import copy
from math import exp, pi
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core.affine import invert
from stawm.errors import ConfigError
from stawm.nn.locators.affine import Affine
from stawm.nn.locators.base import Locator
from stawm.nn.locators.crop import Crop
from stawm.nn.locators.filterbank import FilterBank
from stawm.nn.locators.grid import BaseGrid
from tests.core.twins import EXACT
from tests.strategies import assert_near, normal, seeds

LOCATORS: tuple[Any, ...] = (Affine, Crop, FilterBank)
GRIDS: tuple[Any, ...] = (Affine, Crop)
WHOLE = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
each = pytest.mark.parametrize("cls", LOCATORS)
each_grid = pytest.mark.parametrize("cls", GRIDS)


def double(cls: Any, glimpse: int = 4, image: tuple[int, int] = (8, 8), **fields: Any) -> Any:
    return cls(cls.Config(**fields), glimpse_size=glimpse, image_size=image).double()


def window(cls: Any, x: float, y: float, scale: float) -> Tensor:
    """A pose without turning."""
    return torch.tensor([[scale, 0, x, 0, scale, y]] if cls is Affine else [[x, y, scale]], dtype=torch.float64)


@each
def test_names_and_sizes(cls: Any):
    locator: Locator = cls(glimpse_size=3, image_size=(8, 6))
    assert locator.config.name == {Affine: "affine", Crop: "crop", FilterBank: "filterbank"}[cls]
    assert locator.identity_pose().shape == (locator.pose_size,)
    poses = locator.identity_pose().expand(2, -1)
    glimpses = locator.glimpse(torch.rand(2, 5, 8, 6), poses)
    assert glimpses.shape == (2, 5, 3, 3)
    assert locator.place(glimpses, poses).shape == (2, 5, 8, 6)
    assert not locator.state_dict()


@each_grid
@given(seed=seeds, side=st.sampled_from([1, 2, 4, 8]))
def test_the_identity_pose_sees_and_draws_everything(cls: Any, seed: int, side: int):
    (image,) = normal(seed, (2, 1, side, side))
    locator = double(cls, side, (side, side))
    identity = locator.identity_pose().double().expand(2, -1)
    assert torch.equal(locator.glimpse(image, identity), image)
    assert torch.equal(locator.place(image, identity), image)
    assert torch.equal(locator.frame(identity)[0], WHOLE.double())
    assert torch.equal(locator.placed_frame(identity)[0], WHOLE.double())


@pytest.mark.parametrize(("glimpse", "image"), [(8, (8, 8)), (4, (16, 16)), (1, (5, 5)), (12, (6, 9))])
def test_the_identity_of_a_filter_bank_covers_the_image(glimpse: int, image: tuple[int, int]):
    locator = double(FilterBank, glimpse, image)
    identity = locator.identity_pose().double()[None]
    flat = torch.ones(1, 1, *image, dtype=torch.float64)
    assert torch.allclose(locator.glimpse(flat, identity), torch.ones(1, dtype=torch.float64))
    assert locator.place(torch.ones(1, 1, glimpse, glimpse, dtype=torch.float64), identity).gt(0.01).all()
    longer = max(image)  # its first and last pixel are the centres of the first and last filter
    reach = glimpse * (longer - 1) / (max(glimpse - 1, 1) * longer)
    assert locator.frame(identity)[0, :, image[::-1].index(longer)].abs().tolist() == pytest.approx([reach] * 4)


def test_the_identity_of_a_filter_bank_has_half_the_distance_as_its_width():
    identity = double(FilterBank, 5, (9, 9)).identity_pose()  # δ = 8/4 = 2, so σ = 1
    assert identity.tolist() == [0, 0, 0, 0, 0]
    fine = double(FilterBank, 9, (9, 9)).identity_pose()  # δ = 1, so σ = ½
    assert fine[2].item() == pytest.approx(-2 * 0.6931471805599453)
    assert torch.equal(double(FilterBank, 40, (9, 9)).identity_pose(), fine)  # never narrower


def test_a_filter_bank_first_places_ones_as_ones():
    # Gaussians of σ = d/2 that lie d apart sum to (1 ± 2 exp(-2 (πσ/d)²)) / d; the two directions multiply.
    locator = double(FilterBank, 9, (28, 28))
    pose = locator.placing_pose().double()[None]
    assert torch.equal(pose[0, :4], locator.identity_pose().double()[:4])
    placed = locator.place(torch.ones(1, 1, 9, 9, dtype=torch.float64), pose)[0, 0, 12:16, 12:16]  # far from borders
    assert (placed - 1).abs().max() < (1 + 2 * exp(-(pi**2) / 2)) ** 2 - 1


def test_the_frame_of_a_filter_bank_is_where_its_filters_are():
    locator = double(FilterBank, 2, (4, 8))
    halved = torch.tensor([[0.0, 0, -12, -1.9459101490553132, 0]], dtype=torch.float64)  # δ = 7 · 1/7 = 1 pixel
    assert torch.allclose(locator.frame(halved)[0], WHOLE.double() * torch.tensor([0.25, 0.5], dtype=torch.float64))
    assert torch.equal(locator.placed_frame(halved), locator.frame(halved))
    right = halved + torch.tensor([2 / 9, 0, 0, 0, 0], dtype=torch.float64)  # g_x = 9/2 · 11/9: one pixel of eight
    assert torch.allclose(locator.frame(right)[0, :, 0], torch.tensor([0, 0.5, 0.5, 0], dtype=torch.float64))
    image = torch.arange(32.0, dtype=torch.float64).view(1, 1, 4, 8)
    seen = locator.glimpse(image, halved)  # needle-sharp, and half a pixel from no pixel
    assert torch.allclose(seen, image[..., 1:3, 3:5])


@each_grid
def test_a_glimpse_is_what_its_frame_holds(cls: Any):
    image = torch.arange(64.0, dtype=torch.float64).view(1, 1, 8, 8)
    locator, pose = double(cls), window(cls, 0.25, -0.5, 0.5)
    assert torch.equal(locator.glimpse(image, pose), image[..., :4, 3:7])
    assert torch.equal(
        locator.frame(pose)[0], torch.tensor([[-0.25, -1.0], [0.75, -1], [0.75, 0], [-0.25, 0]]).double()
    )


@each_grid
def test_a_sketch_is_drawn_into_its_frame_and_nowhere_else(cls: Any):
    locator = double(cls, 4, (8, 8), padding="border")
    inverse = window(cls, -0.5, 1, 2)  # the canvas's point 0 looks at (-½, 1), so the sketch's middle is at (¼, -½)
    sketch = torch.rand(1, 1, 4, 4, dtype=torch.float64) + 1
    placed = locator.place(sketch, inverse)
    frame = locator.placed_frame(inverse)[0]
    assert torch.equal(frame, torch.tensor([[-0.25, -1.0], [0.75, -1], [0.75, 0], [-0.25, 0]]).double())
    assert torch.equal(placed[..., :4, 3:7], sketch)
    placed[..., :4, 3:7] = 0
    assert not placed.any()


@given(seed=seeds)
def test_placing_undoes_a_glimpse_of_a_linear_image(seed: int):
    """Where the inverse pose is the pose's inverse, a glimpse comes back to where it was seen."""
    (numbers,) = normal(seed, (1, 6))
    locator = double(Affine, 16, (16, 16))
    pose = torch.tensor([[0.4, 0, 0, 0, 0.4, 0]], dtype=torch.float64) + numbers.tanh() / 10
    y, x = torch.meshgrid(*(torch.linspace(-15 / 16, 15 / 16, 16, dtype=torch.float64),) * 2, indexing="ij")
    image = (2 * x - y).view(1, 1, 16, 16)
    placed = locator.place(locator.glimpse(image, pose), invert(pose))
    corners = locator.frame(pose)
    assert_near(locator.placed_frame(invert(pose)), corners, EXACT)
    inside = locator.place(torch.ones_like(image), invert(pose)) > 1 - 1e-9
    assert inside.any()
    assert torch.allclose(placed[inside], image[inside], rtol=0, atol=1e-9)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_options_are_those_of_pytorch(align_corners: bool, padding: str):
    image, sketch, poses = normal(3, (2, 1, 7, 5), (2, 1, 3, 3), (2, 6))
    locator = double(Affine, 3, (7, 5), align_corners=align_corners, padding=padding)
    seen = F.affine_grid(poses.view(2, 2, 3), [2, 1, 3, 3], align_corners=align_corners)
    expected = F.grid_sample(image, seen, padding_mode=padding, align_corners=align_corners)
    assert_near(locator.glimpse(image, poses), expected, EXACT)
    drawn = F.affine_grid(poses.view(2, 2, 3), [2, 1, 7, 5], align_corners=align_corners)
    assert_near(locator.place(sketch, poses), F.grid_sample(sketch, drawn, align_corners=align_corners), EXACT)


@pytest.mark.parametrize("cls", [Affine, Crop])
@given(seed=seeds, outside=st.floats(-5, 5))
def test_what_is_seen_outside_is_what_is_asked_for(cls: Any, seed: int, outside: float):
    """A glimpse is linear in the image, so whatever the frame holds no image of is the number that is asked for."""
    plain, other = (double(cls, 5, (7, 6), outside=value) for value in (0.0, outside))
    image, pose = normal(seed, (2, 3, 7, 6), (2, cls.pose_size))
    share = plain.glimpse(torch.ones_like(image), pose)
    expected = plain.glimpse(image, pose) + outside * (1 - share)
    assert (other.glimpse(image, pose) - expected).abs().max() < 1e-12


def test_wrong_options_are_refused():
    with pytest.raises(ConfigError, match="padding must be one of 'zeros', 'border', 'reflection'; got 'wrap'"):
        Affine.Config(padding="wrap")  # pyright: ignore[reportArgumentType]


def test_coordinates_are_exact_after_any_conversion():
    grid = BaseGrid(28, 28, align_corners=False)
    exact = BaseGrid(28, 28, align_corners=False).double().points
    assert torch.equal(exact[0, 0, 0], torch.tensor(-27 / 28, dtype=torch.float64))
    there_and_back = copy.deepcopy(grid).half().bfloat16().double()
    assert torch.equal(there_and_back.points, exact)
    assert grid.half().points.dtype == torch.float32
    assert grid.to("meta").to_empty(device="cpu").points.equal(exact.float())


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sampling_stays_in_full_precision(cls: Any, dtype: torch.dtype):
    locator = cls(glimpse_size=4, image_size=(9, 9))
    pose = (locator.identity_pose() + 0.1 * torch.randn(2, locator.pose_size)).to(dtype)
    image, sketch = torch.rand(2, 1, 9, 9).to(dtype), torch.rand(2, 1, 4, 4).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        seen, placed = locator.glimpse(image, pose), locator.place(sketch, pose)
    assert seen.dtype == placed.dtype == torch.float32
    assert torch.equal(seen, locator.glimpse(image.float(), pose.float()))
    assert torch.equal(placed, locator.place(sketch.float(), pose.float()))


@each
def test_gradients_reach_pose_image_and_sketch(cls: Any):
    locator = double(cls, 3, (6, 5))
    image, sketch, away = normal(4, (2, 1, 6, 5), (2, 1, 3, 3), (2, locator.pose_size))
    pose = locator.identity_pose().double() + away.tanh() / 5
    leaves = [x.requires_grad_() for x in (image, sketch, pose)]
    assert torch.autograd.gradcheck(lambda i, s, p: (locator.glimpse(i, p), locator.place(s, p)), leaves)


@each
def test_exported_without_shape_arithmetic(cls: Any):
    program = torch.export.export(
        _GlimpseAndPlace(cls(glimpse_size=3, image_size=(6, 5))).eval(),
        (torch.rand(2, 2, 6, 5), torch.rand(2, cls.pose_size)),
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC}, {0: torch.export.Dim.DYNAMIC}),
    )
    computed = [
        n for n in program.graph.nodes if n.op == "call_function" and isinstance(n.meta.get("val"), torch.SymInt)
    ]
    assert not computed


class _GlimpseAndPlace(torch.nn.Module):
    def __init__(self, locator: Locator):
        super().__init__()
        self.locator = locator

    def forward(self, image: Tensor, pose: Tensor) -> Tensor:
        return self.locator.place(self.locator.glimpse(image, pose), pose)
