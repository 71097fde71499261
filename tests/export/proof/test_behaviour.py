"""What counts as the same behaviour, told on numbers without a graph."""

from typing import Any

import pytest
import torch

from stawm.errors import InputError
from stawm.export.proof.behaviour import Bounds, Trial, judge

COUNT = 200


def logits(classes: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(classes, 4).float().mul(5).log_softmax(dim=1)


def given(**changed: Any) -> dict[str, torch.Tensor]:
    classes = torch.arange(COUNT) % 4
    named = {"logits": logits(classes), "pose": torch.zeros(COUNT, 3, 6), "canvas": torch.zeros(COUNT, 1, 4, 4)}
    return {**named, **changed}


def failed(ours: dict[str, torch.Tensor], labels: torch.Tensor | None = None, **bounds: float) -> list[str]:
    trial = Trial(images=torch.zeros(COUNT, 1, 2, 2), labels=labels, bounds=Bounds(**bounds))
    return [check.name for check in judge(ours, given(), trial) if not check.ok]


def with_wrong(count: int) -> torch.Tensor:
    classes = torch.arange(COUNT) % 4
    classes[:count] = (classes[:count] + 1) % 4
    return logits(classes)


def test_the_same_passes() -> None:
    assert failed(given(), torch.arange(COUNT) % 4) == []


@pytest.mark.parametrize(("wrong", "expected"), [(1, []), (2, ["agreement"])])
def test_at_least_995_of_1000_classes_must_agree(wrong: int, expected: list[str]) -> None:
    assert failed(given(logits=with_wrong(wrong))) == expected
    assert failed(given(logits=with_wrong(wrong)), agreement=0.9) == []


@pytest.mark.parametrize(("wrong", "expected"), [(2, []), (3, ["answers"])])
def test_of_answers_to_questions_as_many_must_agree(wrong: int, expected: list[str]) -> None:
    """Of 2 questions about each of 200 images; of made images the model must be sure of the answer."""
    ours, theirs = (torch.stack([with_wrong(0), changed], dim=1) for changed in (with_wrong(wrong), with_wrong(0)))
    trial = Trial(images=torch.zeros(COUNT, 1, 2, 2))
    assert [check.name for check in judge({"answers": ours}, {"answers": theirs}, trial) if not check.ok] == expected
    unsure = judge({"answers": ours}, {"answers": theirs.new_full(theirs.shape, 0.25).log()}, Trial())
    assert all(check.ok for check in unsure)


@pytest.mark.parametrize(
    ("wrong", "worse", "expected"), [(1, 0.0005, []), (2, 0.0005, ["error"]), (2, 0.01, []), (3, 0.01, ["error"])]
)
def test_the_error_may_grow_by_so_much_but_always_by_one_image(wrong: int, worse: float, expected: list[str]) -> None:
    labels = torch.arange(COUNT) % 4
    assert failed(given(logits=with_wrong(wrong)), labels, worse=worse, agreement=0.5) == expected


def test_a_graph_may_be_better_than_its_model() -> None:
    """Labels that only the graph gets right."""
    wrong = with_wrong(10)
    assert failed(given(logits=wrong), wrong.argmax(dim=1), agreement=0.5) == []


@pytest.mark.parametrize(("far", "expected"), [(0.24, []), (0.26, ["poses"])])
def test_one_number_of_one_pose_counts_for_its_image(far: float, expected: list[str]) -> None:
    pose = torch.zeros(COUNT, 3, 6)
    pose[:2, 2, 5] = far
    assert failed(given(pose=pose)) == expected


@pytest.mark.parametrize(("far", "expected"), [(0.19, []), (0.21, ["canvases"])])
def test_a_canvas_is_judged_by_its_root_mean_square(far: float, expected: list[str]) -> None:
    canvas = torch.zeros(COUNT, 1, 4, 4)
    canvas[:2, 0, 0, 0] = far  # one of 16 pixels: a quarter of it
    assert failed(given(canvas=canvas)) == expected


@pytest.mark.parametrize("name", ["logits", "pose", "canvas"])
def test_numbers_that_are_not_finite_fail(name: str) -> None:
    values = given()
    values[name] = values[name].clone()
    values[name].view(-1)[0] = torch.nan
    assert "numbers" in failed(values)


def test_of_made_images_only_those_count_that_the_model_is_sure_of() -> None:
    unsure = torch.zeros(COUNT, 4).log_softmax(dim=1)
    found = judge(given(), given(logits=unsure), Trial())
    assert "the model is sure of none of 200 made images" in next(c.detail for c in found if c.name == "agreement")
    assert [c.name for c in judge(given(logits=with_wrong(11)), given(), Trial()) if not c.ok] == ["agreement"]
    assert [c.name for c in judge(given(logits=with_wrong(9)), given(), Trial()) if not c.ok] == []


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"agreement": 99.5}, "agreement must be a number from 0 to 1; got 99.5"),
        ({"worse": -1}, "worse must be a number from 0 to 1; got -1"),
        ({"pose": "0.1"}, "pose must be a number from 0 to inf; got '0.1'"),
        ({"canvas": True}, "canvas must be a number from 0 to 1; got True"),
        ({"pose": float("nan")}, "pose must be a number from 0 to inf; got nan"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(bounds: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Bounds(**bounds)
