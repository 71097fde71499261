"""A model of any component is saved and loaded: loading outlines it on no memory first."""

from pathlib import Path

import pytest
import torch

import stawm
from tests.small import inputs, shaken, tiny

KINDS = ("memory", "locator", "canvas")


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in KINDS for name in stawm.list_names(kind, origin="stawm")]
)
def test_a_model_with_any_part_comes_back(kind: str, name: str, tmp_path: Path) -> None:
    model = shaken(tiny(**{kind: name})).eval()
    stawm.save(model, tmp_path / "x")
    images, _ = inputs(model)
    with torch.no_grad():
        assert torch.equal(stawm.load(tmp_path / "x")(images).canvas, model(images).canvas)
