"""The components of a model, built from its configuration."""

from collections.abc import Mapping
from typing import Any

from stawm.configuration.components import instantiate
from stawm.errors import Faults
from stawm.heads import together
from stawm.heads.base import Head
from stawm.heads.config import called
from stawm.models.config import ModelConfig
from stawm.registry import Kind


def make_parts(config: ModelConfig) -> dict[str, Any]:
    """Build every component but the heads, by the fields that name them.

    Raises:
        ConfigError: All that cannot be built at these sizes, and why.
        UnknownNameError: The one fault is a component that is not registered.
    """
    channels, *image_size = config.image
    image, glimpse = tuple(image_size), (config.glimpse_size, config.glimpse_size)
    faults = Faults()
    make = faults.attempt
    found = {
        "context": make(instantiate, Kind.BACKBONE, config.context, channels=channels, size=image),
        "backbone": make(instantiate, Kind.BACKBONE, config.backbone, channels=channels, size=glimpse),
        "locator": make(instantiate, Kind.LOCATOR, config.locator, glimpse_size=config.glimpse_size, image_size=image),
        "memory": make(instantiate, Kind.MEMORY, config.memory, memory_size=config.memory_size),
        "canvas": make(instantiate, Kind.CANVAS, config.canvas, channels=channels),
    }
    faults.settle()
    return found


def make_heads(config: ModelConfig, parts: Mapping[str, Any]) -> dict[str, Head]:
    """Build the heads by name, for a model of these parts.

    Raises:
        ConfigError: All heads that cannot be built, or that cannot be together, and why.
        UnknownNameError: The one fault is a head that is not registered.
    """
    offered = {
        "context_features": parts["context"].features,
        "memory_size": config.memory_size,
        "dropout": config.dropout,
        "channels": config.image[0],
        "glimpse_size": config.glimpse_size,
        "image_size": tuple(config.image[1:]),
        "backbone": config.backbone,
        "canvas": parts["canvas"],
    }
    faults = Faults()
    found = {called(head): faults.attempt(instantiate, Kind.HEAD, head, **offered) for head in config.heads}
    faults.settle()
    faults.add(*together.clashes(found))
    faults.settle()
    return found
