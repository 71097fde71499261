"""The families of models: what the field ``family`` of a configuration may be, and which classes it means.

A family is one configuration class and one model class. Classes are given by their paths and imported when one is
asked for. To add a family, write the two classes and add a line here.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple


class Family(NamedTuple):
    """A family of models.

    Attributes:
        name: What the field ``family`` of its configurations says.
        config: Where its configuration class is, a subclass of `stawm.models.config.SharedConfig`.
        model: Where its model class is, a subclass of `stawm.models.base.Model` that is built from the configuration.
        summary: What its models are.
    """

    name: str
    config: str
    model: str
    summary: str

    def load_config(self) -> Any:
        """Return the configuration class."""
        return _load(self.config)

    def load_model(self) -> Any:
        """Return the model class."""
        return _load(self.model)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("stawm", "stawm.models.config:ModelConfig", "stawm.models.model:Stawm", "Looks, and remembers."),
        Family(
            "baseline",
            "stawm.models.config:BaselineConfig",
            "stawm.models.baseline:Baseline",
            "A network on the whole image.",
        ),
        Family(
            "draw",
            "stawm.models.draw_config:DrawConfig",
            "stawm.models.draw:Draw",
            "Reads an image patch by patch, and draws it.",
        ),
        Family(
            "ram",
            "stawm.models.ram_config:RamConfig",
            "stawm.models.ram:Ram",
            "Looks, and answers from its recurrent state: RAM, DRAM and EDRAM.",
        ),
        Family(
            "slots",
            "stawm.models.slots_config:SlotsConfig",
            "stawm.models.slots:Slots",
            "Shares an image out among slots, each of which draws its part.",
        ),
    )
}
"""The families by name."""
