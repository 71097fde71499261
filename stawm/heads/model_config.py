"""What a whole model is: its sizes and its components, resolved by the override grammar."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from stawm import registry
from stawm.configuration import (
    AT_LEAST_ONE,
    FRACTION,
    POSITIVE,
    Config,
    coerce,
    describe_hint,
    field_hints,
    fits,
    resolve,
    split_dotted,
    unknown_fields,
)
from stawm.errors import ConfigError, StawmError, UnknownNameError
from stawm.registry import Kind

PART_KINDS: Mapping[str, Kind] = {
    "context": Kind.BACKBONE,
    "backbone": Kind.BACKBONE,
    "locator": Kind.LOCATOR,
    "memory": Kind.MEMORY,
    "canvas": Kind.CANVAS,
}


@dataclass(frozen=True, kw_only=True)
class SharedConfig(Config):
    """What a model and a baseline have in common.

    Attributes:
        image: Channels, height and width of the images.
        dropout: The rate of every dropout that has none of its own.
        backbone: The CNN that sees the glimpses, or in a baseline the whole image.
        heads: What the model is used for; at least one, each at most once.
        mean: What is taken from the pixels in [0, 1], one number or one for each channel.
        std: What they are then divided by.
        class_names: The names of the classes, in the order of the logits; may be left empty.
    """

    image: tuple[Annotated[int, AT_LEAST_ONE], Annotated[int, AT_LEAST_ONE], Annotated[int, AT_LEAST_ONE]]
    dropout: Annotated[float, FRACTION] = 0.5
    backbone: Config
    heads: tuple[Config, ...]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Annotated[float, POSITIVE], ...] = (1.0,)
    class_names: tuple[str, ...] = ()

    def faults(self) -> list[str]:
        """Check what concerns several fields."""
        faults = []
        channels = self.image[0]
        for key in ("mean", "std"):
            if len(getattr(self, key)) not in (1, channels):
                faults.append(
                    f"{self.name}: {key} has 1 or {channels} numbers, as the image has channels; got {getattr(self, key)}."
                )
        names = [head.name for head in self.heads]
        if not names or len(set(names)) != len(names):
            faults.append(f"{self.name}: heads must be at least one, each at most once; got {names}.")
        for head in self.heads:
            classes = getattr(head, "classes", None)
            if classes is not None and self.class_names and len(self.class_names) != classes:
                faults.append(f"{self.name}: class_names has {len(self.class_names)} names for {classes} classes.")
        return faults

    def head(self, name: str) -> Any:
        """Return the configuration of one head, or None where the model has no such head."""
        return next((head for head in self.heads if head.name == name), None)


@dataclass(frozen=True, kw_only=True)
class ModelConfig(SharedConfig):
    """A STAWM model.

    Attributes:
        family: Tells the model from a baseline.
        glimpses: N, how many glimpses it takes of an image.
        glimpse_size: Sg, the side of a glimpse in pixels.
        memory_size: M, the width of the memory.
        hidden_size: The size of both RNNs.
        where: What the 'where' pathway sees, the pose or the RNN's output.
        trainable: ``"all"``, or ``"readout"``: only queries, classifier and memory learn, on
            glimpses that are frozen (the paper's self-supervised setting).
        context: The CNN that sees the whole image.
        locator: How a pose takes a glimpse.
        memory: The memory.
        canvas: How sketches become a picture; used where the model draws.
    """

    family: Literal["stawm"] = "stawm"
    glimpses: Annotated[int, AT_LEAST_ONE]
    glimpse_size: Annotated[int, AT_LEAST_ONE]
    memory_size: Annotated[int, AT_LEAST_ONE]
    hidden_size: Annotated[int, AT_LEAST_ONE]
    where: Literal["pose", "rnn"] = "pose"
    trainable: Literal["all", "readout"] = "all"
    context: Config
    locator: Config
    memory: Config
    canvas: Config

    @property
    def draws(self) -> bool:
        """Whether one of the heads draws."""
        return self.head("drawing") is not None


@dataclass(frozen=True, kw_only=True)
class BaselineConfig(SharedConfig):
    """A plain network to compare with: the backbone on the whole image, with no glimpses and no memory."""

    family: Literal["baseline"] = "baseline"


FAMILIES: Mapping[str, type[SharedConfig]] = {"stawm": ModelConfig, "baseline": BaselineConfig}

T = TypeVar("T")


class Faults:
    """Collects what is wrong, so that all of it is raised together."""

    def __init__(self) -> None:
        """Start with nothing wrong."""
        self.errors: list[StawmError] = []

    def attempt(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T | None:
        """Call, and keep the fault where it fails."""
        try:
            return call(*args, **kwargs)
        except (ConfigError, UnknownNameError) as error:
            self.errors.append(error)
            return None

    def add(self, sentence: str) -> None:
        """Keep a fault."""
        self.errors.append(ConfigError([sentence]))

    def settle(self) -> None:
        """Raise all faults, if there are any."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise ConfigError([fault for error in self.errors for fault in getattr(error, "faults", (str(error),))])


def from_mapping(fields: Mapping[str, Any]) -> SharedConfig:
    """Return the model configuration that a complete mapping, such as a checkpoint's JSON, describes.

    Raises:
        ConfigError: Everything that is wrong with it.
        UnknownNameError: The one fault is a component that is not registered.
    """
    cls = FAMILIES.get(fields.get("family", "stawm"))
    if cls is None:
        raise ConfigError([f"family is one of {', '.join(FAMILIES)}; got {fields['family']!r}."])
    return _merge(cls, None, fields)


def override(current: SharedConfig, overrides: Mapping[str, Any]) -> SharedConfig:
    """Return a model configuration with parts swapped and fields changed.

    Args:
        current: The present configuration.
        overrides: Fields by name, by the override grammar; dotted keys reach inside.

    Raises:
        ConfigError: Everything that is wrong with the overrides.
        UnknownNameError: The one fault is a component that is not registered.
    """
    return _merge(type(current), current, split_dotted(overrides))


def _merge(cls: type[SharedConfig], current: SharedConfig | None, fields: Mapping[str, Any]) -> SharedConfig:
    hints = field_hints(cls)
    name = str(fields.get("name", current.name if current else cls.__name__))
    faults = Faults()
    for sentence in unknown_fields(fields, hints, name):
        faults.add(sentence)
    values = {f.name: getattr(current, f.name) for f in dataclasses.fields(cls)} if current else {}
    for key in [key for key in fields if key in hints]:
        values[key] = _value(key, fields[key], values.get(key), hints[key], name, faults)
    missing = [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING and f.name not in values]
    if missing:
        faults.add(f"{name} lacks {', '.join(missing)}.")
    faults.settle()
    return cls(**values)


def _value(key: str, given: Any, present: Any, hint: Any, owner: str, faults: Faults) -> Any:
    if key in PART_KINDS:
        return faults.attempt(resolve, PART_KINDS[key], given, present)
    if key == "heads":
        return faults.attempt(resolve_heads, given, present or ())
    value = coerce(given, hint)
    if not fits(value, hint):
        faults.add(f"{owner}: {key} must be {describe_hint(hint)}; got {given!r}.")
    return value


def resolve_heads(given: Any, present: tuple[Config, ...]) -> tuple[Config, ...]:
    """Resolve the heads: a name, a list, or a mapping from a present head's name to its changes.

    Raises:
        ConfigError: A head is not legal, or the mapping names one that is not there.
    """
    if isinstance(given, Mapping) and "name" not in given:
        names = [head.name for head in present]
        faults = unknown_fields(given, names, "The model's heads")
        if faults:
            raise ConfigError(faults)
        return tuple(resolve(Kind.HEAD, given[h.name], h) if h.name in given else h for h in present)
    if isinstance(given, (str, Mapping, Config)):
        given = [given]
    if not isinstance(given, (list, tuple)):
        raise ConfigError([f"heads are given by a name, a mapping or a list of them; got {given!r}."])
    by_name = {head.name: head for head in present}
    return tuple(by_name[spec] if isinstance(spec, str) and spec in by_name else resolve(Kind.HEAD, spec) for spec in given)


__all__ = ["FAMILIES", "PART_KINDS", "BaselineConfig", "Faults", "ModelConfig", "SharedConfig", "from_mapping", "override", "registry", "resolve_heads"]
