"""The components of a model, built from its configuration."""

from collections.abc import Mapping
from typing import Any

from stawm.configuration.components import instantiate
from stawm.errors import ConfigError, Faults
from stawm.heads import together
from stawm.heads.base import RIGHT, Head
from stawm.heads.config import called
from stawm.models.config import ModelConfig
from stawm.nn.locators.base import Locator
from stawm.nn.policies.base import Policy
from stawm.registry import Kind, find


def make_parts(config: ModelConfig) -> dict[str, Any]:
    """Build every component but the heads, by the fields that name them.

    Raises:
        ConfigError: All that cannot be built at these sizes, and why.
        UnknownNameError: The one fault is a component that is not registered.
    """
    channels, *image_size = config.image
    image, glimpse = tuple(image_size), (config.glimpse_size, config.glimpse_size)
    seen = image if config.context_size is None else (config.context_size, config.context_size)
    faults = Faults()
    make = faults.attempt
    views = getattr(config.locator, "scales", 1)
    found = {
        "context": make(instantiate, Kind.BACKBONE, config.context, channels=channels, size=seen),
        "backbone": make(instantiate, Kind.BACKBONE, config.backbone, channels=channels * views, size=glimpse),
        "locator": make(_locator, config, image),
        "memory": make(instantiate, Kind.MEMORY, config.memory, memory_size=config.memory_size),
        "canvas": make(instantiate, Kind.CANVAS, config.canvas, channels=channels),
    }
    faults.settle()
    return found | {"policy": make_policy(config, found["locator"])}


def make_policy(config: Any, locator: Locator) -> Policy:
    """Build the policy of a model that looks.

    Raises:
        ConfigError: It cannot be built for this locator, or learns by a reward that no head gives.
    """
    sizes = {"hidden_size": config.hidden_size, "glimpses": config.glimpses}
    found = instantiate(Kind.POLICY, config.policy, locator=locator, **sizes)
    if found.rewarded and not any(find(Kind.HEAD, head.name).load().targets in RIGHT for head in config.heads):
        raise ConfigError(
            [
                f"The policy {config.policy.name!r} learns by right answers: a head must classify, or answer "
                "questions, as 'classification' and 'recall' do."
            ]
        )
    return found


def _locator(config: ModelConfig, image: tuple[int, int]) -> Locator:
    found = instantiate(Kind.LOCATOR, config.locator, glimpse_size=config.glimpse_size, image_size=image)
    if config.any_size and not found.any_size:
        raise ConfigError(
            [
                f"{config.locator.name} as it is reads every pixel of the image for each glimpse: with context_size, "
                "for images of any size, set locator.antialias=true."
            ]
        )
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
