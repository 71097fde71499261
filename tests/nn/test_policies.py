"""Policies: the contract, and where they look with each locator."""

import math
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import ConfigError
from stawm.nn.locators.affine import Affine
from stawm.nn.locators.base import Locator
from stawm.nn.locators.crop import Crop
from stawm.nn.locators.filterbank import FilterBank
from stawm.nn.locators.retina import Retina
from stawm.nn.policies.fixed import Fixed
from stawm.nn.policies.gaussian import Gaussian
from stawm.nn.policies.random import Random
from stawm.nn.testing import ContractError, check_policy
from stawm.registry import find
from tests.small import inputs, tiny
from tests.strategies import assert_near, normal

LOCATORS: tuple[Any, ...] = (Affine, Crop, Retina, FilterBank)
GIVEN = {"name": "fixed", "poses": ((0.5, -0.5), (1.0, 0.0, 0.1, 0.0, 1.0, 0.2))}


@pytest.mark.parametrize("name", stawm.list_names("policy", origin="stawm"))
def test_it_keeps_the_contract(name: str):
    check_policy(find("policy", name).load(), seeds=(0,), export=False)


@pytest.mark.parametrize(
    ("cls", "fields"),
    [
        (Gaussian, {"baseline": False}),
        (Random, {"width": 0.3, "reach": 0.5}),
        (Fixed, {"path": "raster"}),
        (Fixed, GIVEN),
    ],
)
def test_configured_it_keeps_the_contract(cls: Any, fields: dict[str, Any]):
    check_policy(cls, config=cls.Config(**fields), seeds=(0,), export=False)


def test_a_policy_through_which_a_gradient_leaks_breaks_it():
    class Leaks(Gaussian):
        def forward(self, emission: Any, hidden: Any, noise: Any = None, taken: int = 0) -> Any:
            move = super().forward(emission, hidden, noise, taken)
            return move._replace(pose=emission if noise is None else emission + self.config.sigma * noise)

    with pytest.raises(ContractError, match="a gradient reaches the model through a pose"):
        check_policy(Leaks, seeds=(0,), export=False)


@pytest.mark.parametrize("cls", LOCATORS)
@pytest.mark.parametrize("views", [1, 3])
def test_every_locator_can_be_told_where_to_look(cls: Any, views: int):
    locator: Locator = cls(cls.Config(scales=views), glimpse_size=5, image_size=(21, 15)).double()
    facing = Random(locator=locator).double().facing
    place = 0.7 * normal(0, (4, 2))[0].tanh()
    pose = facing(place)
    assert_near(locator.frame(pose).mean(dim=1), place, 1e-6)  # numbers of single precision in the filter bank's start
    assert_near(facing(torch.zeros_like(place[:1])), locator.start_pose().double()[None], 1e-6)
    assert_near(facing.middle(2), locator.start_pose().double().expand(2, -1), 1e-6)
    if cls is not Retina:
        told = Random(Random.Config(width=0.25), locator=locator).double().facing(place)
        frames = locator.frame(told)
        wide = frames[:, 1, 0] - frames[:, 0, 0]
        whole = locator.frame(locator.identity_pose().double()[None])
        expected = (whole[:, 1, 0] - whole[:, 0, 0]) * 0.25
        assert_near(wide, expected.expand(4), 1e-5)


@pytest.mark.parametrize("cls", LOCATORS)
def test_a_policy_that_is_told_where_can_be_outlined_on_no_memory(cls: Any):
    with torch.device("meta"):  # as when a checkpoint is loaded
        outline = Random(locator=cls(glimpse_size=4, image_size=(9, 9)))
    assert all(part.is_meta for part in (*outline.parameters(), *outline.buffers()))


def test_a_retina_has_a_width_of_its_own():
    with pytest.raises(ConfigError, match="The policy 'random' says where to look"):
        stawm.build("stawm-cluttered-60", policy={"name": "random", "width": 0.5})


def test_a_locator_that_cannot_be_told_is_refused():
    class Deaf(Crop):
        facing = Locator.facing

    with pytest.raises(ConfigError, match="The locator 'crop' has no method facing"):
        Fixed(locator=Deaf(glimpse_size=3, image_size=(9, 9)), glimpses=2)


def test_fixed_poses_come_in_turn():
    locator = Affine(glimpse_size=3, image_size=(9, 9))
    policy = Fixed(Fixed.Config(poses=GIVEN["poses"]), locator=locator, glimpses=5)
    seen = [policy(torch.zeros(2, 6), torch.zeros(2, 4), None, t).pose[0].tolist() for t in range(3)]
    first, second = [1.0, 0.0, 0.5, 0.0, 1.0, -0.5], list(GIVEN["poses"][1])
    assert seen == [pytest.approx(pose) for pose in (first, second, first)]
    with pytest.raises(ConfigError, match="poses have 2 numbers, a place, or 6, a whole pose"):
        Fixed(Fixed.Config(poses=((1.0, 2.0, 3.0),)), locator=locator, glimpses=2)


def test_a_reward_needs_a_head_that_classifies():
    with pytest.raises(ConfigError, match="a head must classify"):
        tiny(heads=("drawing",), policy="gaussian")


def test_stawm_looks_where_a_policy_says():
    model = tiny(policy={"name": "fixed", "poses": ((0.25, 0.5), (-0.25, 0.0))}).eval()
    images, _ = inputs(model)
    pose = model(images).trace.pose
    assert pose[0, :, 2].tolist() == [0.25, -0.25, 0.25]
    first = model.look(images, 1)
    again = model.remember(first, model.reads(1))[1]
    assert model.look(images, 2, state=again).looks.pose[0, :, 2].tolist() == [-0.25, 0.25]


def test_random_looks_are_anywhere_in_use_too_and_are_reproduced():
    model = tiny(policy="random", heads=("classification",)).eval()
    images, _ = inputs(model, batch=400)
    first, again = (model(images, generator=torch.Generator().manual_seed(1)).trace.pose for _ in range(2))
    assert torch.equal(first, again)
    places = first[..., [2, 5]].flatten(0, 1)
    assert places.abs().max() < 1
    count = len(places)  # the mean of so many uniform numbers is so exact, at five standard errors
    assert places.mean(dim=0).abs().max() < 5 / math.sqrt(3 * count)
    assert not torch.equal(model(images).trace.pose, model(images).trace.pose)
    assert model(images, sample=False).trace.pose[..., [2, 5]].abs().max() == 0


@pytest.mark.parametrize("policy", stawm.list_names("policy", origin="stawm"))
def test_every_parameter_that_is_used_has_a_gradient(policy: str):
    model = tiny(policy=policy, heads=("classification",)).train()
    images, labels = inputs(model)
    model.loss(model(images), images, labels)["total"].backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]


def test_a_trained_model_can_look_elsewhere():
    model, other = tiny(heads=("classification",)), tiny(heads=("classification",), policy="random")
    other.load_state_dict(model.state_dict())


@pytest.mark.long
@pytest.mark.parametrize("name", stawm.list_names("policy", origin="stawm"))
def test_it_can_be_exported(name: str):
    assert check_policy(find("policy", name).load(), seeds=(0,))[-1] == "exports"
