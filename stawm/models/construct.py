"""From a model's configuration to the model, and to the components that it uses."""

from collections.abc import Iterator

from stawm.catalog.families import FAMILIES
from stawm.configuration import Config
from stawm.errors import ConfigError
from stawm.models.base import Model
from stawm.models.config import PART_KINDS, SharedConfig
from stawm.registry import Kind


def construct(config: SharedConfig) -> Model:
    """Construct the model that a complete configuration describes.

    Raises:
        ConfigError: Its components cannot be built at these sizes, and why.
        UnknownNameError: The one fault is a component that is not registered.
    """
    family = FAMILIES.get(getattr(config, "family", ""))
    if family is None or not isinstance(config, family.load_config()):
        raise ConfigError([f"{type(config).__name__} describes no model."])
    return family.load_model()(config)


def components(config: SharedConfig) -> Iterator[tuple[Kind, Config]]:
    """Yield the kind and configuration of every component that a model uses."""
    for field, kind in PART_KINDS.items():
        part = getattr(config, field, None)
        if part is not None and (field != "canvas" or config.has("drawing")):
            yield kind, part
    for head in config.heads:
        yield Kind.HEAD, head


def without_downloads(config: SharedConfig) -> SharedConfig:
    """Return the configuration with every ``pretrained`` of a component off, for weights that are there already."""
    changes = {
        field: getattr(config, field).replace(pretrained=False)
        for field in PART_KINDS
        if getattr(getattr(config, field, None), "pretrained", False)
    }
    return config.replace(**changes) if changes else config
