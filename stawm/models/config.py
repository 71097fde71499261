"""What a whole model is: its sizes and its components, resolved by the override grammar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from stawm.catalog.families import FAMILIES
from stawm.configuration import (
    FRACTION,
    GLIMPSES,
    NON_NEGATIVE,
    POSITIVE,
    SIDE,
    SIZE,
    Config,
    coerce_all,
    field_hints,
    fits,
    illegal,
    missing,
    nest,
    resolve,
    unknown_fields,
)
from stawm.configuration.limits import oversized
from stawm.configuration.names import NAME_FORM, is_class_name, is_model_name
from stawm.errors import ConfigError, Faults, shown
from stawm.heads.config import called, label_of
from stawm.models.resizing import Resize
from stawm.registry import Kind, current, find, list_names

PART_KINDS: Mapping[str, Kind] = {
    "context": Kind.BACKBONE,
    "backbone": Kind.BACKBONE,
    "locator": Kind.LOCATOR,
    "policy": Kind.POLICY,
    "memory": Kind.MEMORY,
    "canvas": Kind.CANVAS,
}
Side = Annotated[int, SIDE]
Size = Annotated[int, SIZE]


@dataclass(frozen=True, kw_only=True)
class SharedConfig(Config):
    """What a model and a baseline have in common."""

    image: tuple[Side, Side, Side]
    """Channels, height and width of the images; of a model that takes images of any size, those it is trained with."""
    dropout: Annotated[float, FRACTION] = 0.5
    """The rate of every dropout that has none of its own."""
    backbone: Config
    """The CNN that sees the glimpses, or in a baseline the whole image."""
    heads: tuple[Config, ...]
    """What the model is used for; at least one. Of one kind a second has a label of its own."""
    mean: tuple[float, ...] = (0.0,)
    """What is taken from the pixels in [0, 1], one number or one for each channel."""
    std: tuple[Annotated[float, POSITIVE], ...] = (1.0,)
    """What they are then divided by."""
    class_names: tuple[str, ...] = ()
    """The names of the classes, in the order of the logits; may be left empty."""
    resize: Resize = "crop"
    """How pictures of another size are brought to the model's: cropped to its aspect, or squeezed."""

    @classmethod
    def check(cls, values: Mapping[str, Any], owner: str) -> list[str]:
        """Return what is wrong with values of some or all of the fields, and between those that are legal."""
        wrong = illegal(values, field_hints(cls), owner)
        legal = {key: value for key, value in values.items() if key not in wrong}
        return [*wrong.values(), *faults_between(legal, owner)]

    def head(self, name: str) -> Any:
        """Return the configuration of the head that is called so, or None where the model has no such head."""
        return next((head for head in self.heads if called(head) == name), None)

    def has(self, kind: str) -> bool:
        """Return whether one of the heads is of a kind, with a label or without."""
        return any(head.name == kind for head in self.heads)

    @property
    def classes(self) -> int | None:
        """How many classes the model tells apart, by its head without a label; None where it does not classify."""
        head = self.head("classification")
        return None if head is None else head.classes

    @property
    def answers(self) -> int | None:
        """How many answers have the names of the classes: those of the classification, or of questions."""
        recall = self.head("recall")
        return self.classes if recall is None or self.classes is not None else recall.classes

    @property
    def classifies(self) -> bool:
        """Whether one of the heads classifies."""
        return self.classes is not None

    @property
    def draws(self) -> bool:
        """Whether one of the heads draws."""
        return self.head("drawing") is not None

    @property
    def has_latent(self) -> bool:
        """Whether what the model draws is drawn from a Gaussian latent."""
        return self.draws

    @property
    def masked(self) -> bool:
        """Whether the model draws with masks."""
        return False

    @property
    def is_readout(self) -> bool:
        """Whether only the readout of frozen glimpses learns."""
        return False

    @property
    def any_size(self) -> bool:
        """Whether images of any height and width are taken."""
        return False

    @property
    def least_side(self) -> int:
        """How many pixels the sides of images have at least, where they may be of any size."""
        return 1

    @property
    def sides(self) -> tuple[int, int] | None:
        """How many pixels the sides of images have at least and at most; None where images are of one size."""
        return (self.least_side, int(SIDE.high)) if self.any_size else None

    @property
    def form(self) -> str:
        """The shape of a batch of images, as people write it."""
        channels, height, width = self.image
        if self.sides is None:
            return f"(b, {channels}, {height}, {width})"
        return f"(b, {channels}, h, w) with h and w from {self.sides[0]} to {self.sides[1]:,}"

    def takes(self, form: Sequence[int]) -> bool:
        """Whether images of so many channels, of such a height and width, are taken."""
        if self.sides is None:
            return tuple(form) == tuple(self.image)
        least, most = self.sides
        return form[0] == self.image[0] and all(least <= side <= most for side in form[1:])

    if TYPE_CHECKING:

        @property
        def glimpses(self) -> int | None:
            """How many glimpses the model takes; None where it takes none."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig(SharedConfig):
    """A STAWM model."""

    family: Literal["stawm"] = "stawm"
    """Tells the model from a baseline."""
    glimpses: Annotated[int, GLIMPSES]
    """N, how many glimpses it takes of an image."""
    glimpse_size: Side
    """Sg, the side of a glimpse in pixels."""
    memory_size: Size
    """M, the width of the memory."""
    hidden_size: Size
    """The size of both RNNs."""
    where: Literal["pose", "rnn"] = "pose"
    """What the 'where' pathway sees, the pose or the RNN's output."""
    pose_limit: Annotated[float, POSITIVE] | None = None
    """How far each number of a glimpse's pose may get from the pose that sees the whole image; None is any distance."""
    sketch_limit: Annotated[float, POSITIVE] | None = None
    """How far each number of the pose that a sketch is placed with may get from the pose that covers the whole canvas;
    null is any distance."""
    pose_jitter: Annotated[float, NON_NEGATIVE] = 0.0
    """How far, as a standard deviation, the pose that an untrained model looks with is from the one that sees the whole
    image: there, where sampling falls on the centres of pixels, it has no derivative."""
    trainable: Literal["all", "readout"] = "all"
    """"readout": only heads and memory learn, on glimpses that are frozen (the self-supervised setting)."""
    frozen_loop: Literal["evaluation", "training"] = "evaluation"
    """How a frozen glimpse loop runs while the readout learns; in "training", as in the paper's code, its dropout and
    its batch normalisation are active."""
    context: Config
    """The CNN that sees the whole image."""
    context_size: Side | None = None
    """The side of the thumbnail that the context CNN sees, the means of what its pixels cover. With it parameters and
    cost do not depend on the size of the images, and images of any size are taken; null is the image itself."""
    locator: Config
    """How a pose takes a glimpse."""
    policy: Config = field(default_factory=lambda: resolve(Kind.POLICY, "deterministic"))
    """How what the model emits becomes a pose."""
    memory: Config
    """The memory."""
    canvas: Config
    """How sketches become a picture; used where the model draws."""

    @property
    def masked(self) -> bool:
        """Whether the model draws with masks."""
        return self.draws and find(Kind.CANVAS, self.canvas.name).load().takes_noise

    @property
    def is_readout(self) -> bool:
        """Whether only the readout of frozen glimpses learns."""
        return self.trainable == "readout"

    @property
    def any_size(self) -> bool:
        """Whether images of any height and width are taken; what is drawn has the size of one canvas."""
        return self.context_size is not None and all(head.name != "drawing" for head in self.heads)

    @property
    def least_side(self) -> int:
        """How many pixels the sides of images have at least: as many as a glimpse, and as the thumbnail."""
        return max(self.context_size or 1, self.glimpse_size)


@dataclass(frozen=True, kw_only=True)
class BaselineConfig(SharedConfig):
    """A plain network to compare with: the backbone on the whole image, with no glimpses and no memory."""

    family: Literal["baseline"] = "baseline"
    """Tells the baseline from a model."""
    latent: Size | None = None
    """k, where the classifier sees k numbers that are linear in the backbone's features, such as the mean of the latent
    of a β-VAE; null is all of the features."""
    trainable: Literal["all", "readout"] = "all"
    """"readout": only the classifier learns, on features that are frozen (the self-supervised setting)."""

    glimpses: ClassVar[None] = None

    @property
    def is_readout(self) -> bool:
        """Whether only the classifier learns, on frozen features."""
        return self.trainable == "readout"


NORMALISATION: Mapping[str, tuple[float, float]] = {"mean": (-1e3, 1e3), "std": (1e-6, 1e6)}
"""What the numbers that normalise pixels may be."""


def faults_between(known: Mapping[str, Any], owner: str) -> list[str]:
    """Return what is wrong between fields of a model, as far as legal values of them are known."""
    faults = [f"{owner}: {sentence}." for sentence in oversized(known)]
    if not is_model_name(known.get("name", "x")):
        faults.append(f"{owner}: name must have {NAME_FORM}; got {shown(known['name'])}.")
    strange = [name for name in known.get("class_names", ()) if not is_class_name(name)]
    if strange:
        faults.append(f"{owner}: class_names must be names of one line each, none of them empty; got {shown(strange)}.")
    faults += [
        f"{owner}: {key} must be numbers of {low:g} to {high:g}, so that images stay finite; got {shown(known[key])}."
        for key, (low, high) in NORMALISATION.items()
        if any(not low <= number <= high for number in known.get(key, ()))
    ]
    for key in ("mean", "std"):
        legal = (1, known["image"][0]) if "image" in known else None
        if legal and key in known and len(known[key]) not in legal:
            faults.append(
                f"{owner}: {key} has 1 number or one for each of {legal[1]} channels; got {shown(known[key])}."
            )
    small = [
        key
        for key in ("context_size", "glimpse_size")
        if (known.get(key) or 0) > min(known.get("image", (0,))[1:] or (SIDE.high,))
    ]
    if known.get("context_size") and small:
        faults.append(
            f"{owner}: {small[0]} is {known[small[0]]}, larger than images of {known['image'][1]}x{known['image'][2]}."
        )
    heads, names = known.get("heads"), known.get("class_names")
    faults += [] if heads is None else _faults_of_heads(heads, owner)
    return faults + [
        f"{owner}: class_names has {len(names)} names for {count} classes: name them all, change the number by "
        f"heads.classification.classes={len(names)}, or give no names by class_names=[]."
        for count in _counts(known)
        if names and len(names) != count
    ]


def _faults_of_heads(heads: tuple[Config, ...], owner: str) -> list[str]:
    names, labels = [called(head) for head in heads], [label for head in heads if (label := label_of(head))]
    kinds = [label for label in labels if label in list_names(Kind.HEAD)]
    faults = [f"{owner}: no head can have the label {kind!r}, as a kind of heads is called so." for kind in kinds]
    if not names or len(set(names)) < len(names):
        more = ", such as {'name': 'classification', 'label': 'second'}" if names else ""
        faults.append(f"{owner}: heads must be at least one, each with a name or label of its own{more}; got {names}.")
    return faults


def _counts(known: Mapping[str, Any]) -> set[int]:
    """Return how many classes the head of the named classes tells apart; it has no label."""
    return {head.classes for head in known.get("heads") or () if hasattr(head, "classes") and not label_of(head)}


def from_mapping(fields: Mapping[str, Any]) -> SharedConfig:
    """Return the model configuration that a complete mapping, such as a checkpoint's JSON, describes.

    Raises:
        ConfigError: Everything that is wrong with it.
        UnknownNameError: The one fault is a component that is not registered.
    """
    family = fields.get("family", "stawm")
    if not isinstance(family, str) or family not in FAMILIES:
        raise ConfigError([f"family must be one of {', '.join(map(repr, FAMILIES))}; got {shown(family)}."])
    if isinstance(name := fields.get("name"), str):
        fields = {**fields, "name": current(Kind.PRESET, name)}
    return _merge(FAMILIES[family].load_config(), None, fields)


def override(current: SharedConfig, overrides: Mapping[str, Any]) -> SharedConfig:
    """Return a model configuration with parts swapped and fields changed.

    Args:
        current: The present configuration.
        overrides: Fields by name, by the override grammar; dotted keys reach inside.

    Raises:
        ConfigError: Everything that is wrong with the overrides.
        UnknownNameError: The one fault is a component that is not registered.
    """
    return _merge(type(current), current, overrides) if overrides else current


def _merge(cls: type[SharedConfig], current: SharedConfig | None, given: Mapping[str, Any]) -> SharedConfig:
    hints, faults = field_hints(cls), Faults()
    present = vars(current) if current else {}
    twice: list[str] = []
    fields = nest(given, twice)
    name = fields.get("name", present.get("name"))
    owner = str(name) if is_model_name(name) else cls.__name__
    faults.add(*twice, *unknown_fields(fields, hints, owner), *missing(cls, {**fields, **present}, owner))
    known = {key: value for key, value in fields.items() if key in hints}
    without = [key for key in PART_KINDS if key in known and known[key] is None and fits(None, hints[key])]
    parts = {key: known.pop(key) for key in [*PART_KINDS, "heads"] if key in known and key not in without}
    resolved = {key: faults.attempt(_part, key, part, present.get(key)) for key, part in parts.items()}
    values = {**present, **coerce_all(known, hints), **resolved}
    if "class_names" not in fields and _counts(values) - {len(values.get("class_names", ()))}:
        values["class_names"] = ()  # those of the present classes, of which there are no longer as many
    if not faults.errors:
        return cls(**values)
    broken = {key for key, part in resolved.items() if part is None}
    faults.add(*cls.check({key: value for key, value in values.items() if key not in broken}, owner))
    raise faults.together()


def _part(key: str, given: Any, present: Any) -> Any:
    return resolve_heads(given, present or ()) if key == "heads" else resolve(PART_KINDS[key], given, present)


def resolve_heads(given: Any, present: tuple[Config, ...]) -> tuple[Config, ...]:
    """Resolve the heads.

    Args:
        given: A head or a list of heads, each by name, mapping or configuration; or, without ``name``,
            a mapping from the names of present heads to their changes. A head is named by its label, where it has
            one. A head that is only named is the present one, where there is one.
        present: The heads that there are.

    Raises:
        ConfigError: Everything that is wrong with them.
        UnknownNameError: The one fault is a head that is not registered.
    """
    faults, by_name = Faults(), {called(head): head for head in present}
    if isinstance(given, Mapping) and "name" not in given:
        faults.add(*unknown_fields(given, by_name, "The mapping of present heads"))
        found = [faults.attempt(resolve, Kind.HEAD, given[called(h)], h) if called(h) in given else h for h in present]
    elif isinstance(given, (str, Mapping, Config, list, tuple)):
        listed = given if isinstance(given, (list, tuple)) else [given]
        known = [by_name.get(spec, spec) if isinstance(spec, str) else spec for spec in listed]
        found = [faults.attempt(resolve, Kind.HEAD, spec) for spec in known]
    else:
        raise ConfigError(
            [f"heads must be given by a name, a mapping, a configuration or a list of these; got {shown(given)}."]
        )
    faults.settle()
    return tuple(found)
