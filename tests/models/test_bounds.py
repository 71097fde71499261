"""No configuration and no call can ask for a number of things without end."""

import typing
from typing import Any

import pytest
import torch

import stawm
from stawm import registry
from stawm.configuration import field_hints, fits
from stawm.errors import ConfigError, InputError
from stawm.export.graphs.plan import count_glimpses
from stawm.models.config import BaselineConfig, ModelConfig
from tests.small import tiny

ENDLESS = 10**9
COMPONENTS = [(kind, name) for kind in registry.Kind if kind != "preset" for name in registry.entries(kind)]


def _holds_integers(hint: Any) -> bool:
    return hint is int or any(_holds_integers(arg) for arg in typing.get_args(hint) if arg is not Ellipsis)


def _unbounded(cls: type) -> list[str]:
    """The integer fields of a configuration that take a billion, alone or in a list of three."""
    hints = {name: hint for name, hint in field_hints(cls).items() if _holds_integers(hint)}
    return [name for name, hint in hints.items() if fits(ENDLESS, hint) or fits((1, ENDLESS, 1), hint)]


@pytest.mark.parametrize("cls", [ModelConfig, BaselineConfig])
def test_sizes_of_models_are_bounded(cls: type):
    assert _unbounded(cls) == []


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=str)
def test_sizes_of_components_are_bounded(kind: Any, name: str):
    assert _unbounded(registry.find(kind, name if name != "timm" else "timm:resnet18").load().Config) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"glimpses": ENDLESS}, r"glimpses must be an integer in \[1, 10000\]; got 1000000000"),
        ({"memory_size": ENDLESS}, r"memory_size must be an integer in \[1, 65536\]"),
        ({"image": (1, ENDLESS, 1)}, r"an integer in \[1, 16384\]"),
        ({"heads.classification.classes": ENDLESS}, r"classes must be an integer in \[1, 65536\]"),
    ],
)
def test_what_is_too_much_is_said(changes: dict[str, Any], says: str):
    with pytest.raises(ConfigError, match=says):
        stawm.config("stawm-digits", **changes)


def test_calls_are_bounded_too():
    model = tiny()
    images = torch.zeros(1, 1, 12, 12)
    for call in (
        lambda: model(images, glimpses=ENDLESS),
        lambda: model.look(images, ENDLESS),
        lambda: model.watch(images, glimpses=ENDLESS),
        lambda: count_glimpses(model, ENDLESS),
    ):
        with pytest.raises(InputError, match="at most 10,000 glimpses; got 1,000,000,000"):
            call()
