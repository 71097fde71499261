"""The picture of an evaluation shows the numbers that were measured."""

from typing import Any

import numpy as np
import pytest

from stawm import viz
from stawm.errors import InputError
from stawm.training import Evaluation
from stawm.training.evaluation import Bin
from tests.viz.models import texts

CONFUSION = ((8, 2, 0), (0, 10, 0), (0, 0, 0))
MEASURED = Evaluation(
    images=20,
    error=0.1,
    interval=(0.0, 0.2),
    error_by_glimpse=(0.5, 0.25, 0.1),
    calibration_error=0.07,
    calibration=(Bin(0.5, 0.0, 0), Bin(0.6, 0.5, 4), Bin(0.9, 1.0, 16)),
    confusion=CONFUSION,
    class_names=("cat", "dog", "a very long name"),
)


def axes(measured: Evaluation, **kwargs: Any) -> dict[str, Any]:
    return {axis.get_title(): axis for axis in viz.evaluation(measured, **kwargs).axes}


def test_every_count_of_the_confusion_stands_in_its_cell():
    axis = axes(MEASURED)["which class is taken for which"]
    found = {(int(t.get_position()[1]), int(t.get_position()[0])): int(t.get_text()) for t in axis.texts}
    assert found == {(0, 0): 8, (0, 1): 2, (1, 1): 10}
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "dog", "a very long name"]
    right, wrong = (np.ma.asarray(image.get_array()) for image in axis.images)
    assert right.diagonal().tolist() == [0.8, 1.0, 0.0]
    assert wrong.compressed().tolist() == [0.2]


def test_the_reliability_diagram_has_a_point_for_each_bin_with_answers():
    axis = axes(MEASURED)["certainty against accuracy"]
    assert axis.collections[-1].get_offsets().tolist() == [[0.6, 0.5], [0.9, 1.0]]
    gaps = [segment.tolist() for segment in axis.collections[0].get_segments()]
    assert gaps == [[[0.6, 0.6], [0.6, 0.5]], [[0.9, 0.9], [0.9, 1.0]]], "from what was said to what came true"
    small, large = axis.collections[-1].get_sizes()
    assert small < large
    assert texts(axis) == ["calibration error 7.0%"]


def test_the_error_after_each_glimpse_is_a_bar():
    axis = axes(MEASURED)["wrong after each glimpse"]
    assert [bar.get_height() for bar in axis.patches] == [0.5, 0.25, 0.1]
    assert texts(axis) == ["50.0%", "25.0%", "10.0%"]


def test_what_was_not_measured_is_left_out():
    assert list(axes(Evaluation(images=3, error_by_glimpse=(0.5,)))) == ["wrong after each glimpse"]
    with pytest.raises(InputError, match="not of a model that classifies"):
        viz.evaluation(Evaluation(images=3, mse=0.1))
    assert viz.evaluation(MEASURED).get_suptitle() == "wrong on 10.00% of 20 images"
    assert viz.evaluation(MEASURED, title="ours").get_suptitle() == "ours"


def test_many_classes_are_coloured_without_numbers():
    many = tuple(tuple(int(i == k) for k in range(40)) for i in range(40))
    axis = axes(Evaluation(images=40, error=0.0, confusion=many))["which class is taken for which"]
    assert not axis.texts
