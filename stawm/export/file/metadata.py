"""What a graph says of itself: read and written as the entries ``stawm.*`` of the file's metadata."""

import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from stawm._version import __version__
from stawm.configuration.limits import SIZES, read_json
from stawm.errors import ExportError, shown
from stawm.export.file.faces import in_brackets
from stawm.export.file.form import LISTS, is_count, malformed
from stawm.export.graphs.asked import PRECISIONS, Kind, Plan, one_of
from stawm.export.graphs.names import AXES, MANY, NOISE, PARTS, STEER, is_cue, is_output
from stawm.heads.config import NOISES
from stawm.heads.cues import CUE
from stawm.models import stopping
from stawm.models.resizing import Resize
from stawm.models.stopping import Stopping

FORMAT = "1"
_JSON = ("config", "graph", "preprocessing", "class_names", "versions")
_GRAPH = ("kind", "part", "glimpses", "precision", "sample", *LISTS)
MAX_ENTRY = 10_000_000
"""How many characters an entry may have."""
LARGEST = 1e6
"""How large the numbers may be that pixels are normalised by, and one over how small."""
REGISTERS = ("canvases", "masks", "shares")
"""What a step graph gives of all glimpses together: of as many as its state has slots."""
LEAST_SLOTS = 2
"""How many slots the state of a step graph has at least; see `stawm.export.graphs.step.parts`."""


@dataclass(frozen=True, kw_only=True)
class GraphInfo:
    """What a graph is of, and how it is used.

    Attributes:
        kind: ``"rollout"``, or ``"step"``.
        part: Of a step graph ``"init"``, ``"glimpse"`` or ``"read"``.
        glimpses: How many glimpses it takes, or has room for; None in a baseline.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        fields: The outputs that were asked for, of all parts together.
        sample: Whether random numbers are inputs.
        stored: How weights are stored, ``"fp32"`` or ``"fp16"``; files of before say nothing of it.
        steered: Whether where it looks and what is written are inputs; files of before say nothing of it.
        inputs: The names of its inputs.
        outputs: The names of its outputs.
        config: The model's complete configuration, as plain values: a graph is used without the components
            that its model was built from.
        weights: A hash over the model's weights.
        version: The stawm that wrote it.
        versions: The libraries that it was written with.
        ranges: In int8 the least and the greatest number of each activation of a convolution, as they were measured;
            None where convolutions are in float32.
        stopping: When the model has looked enough; None where that was not tuned. A graph that is not in fp32 does not
            take its model's: it is tuned by itself.
    """

    kind: str
    part: str | None
    glimpses: int | None
    precision: str
    fields: tuple[str, ...]
    sample: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    config: Mapping[str, Any]
    weights: str
    version: str
    versions: Mapping[str, str]
    stored: Literal["fp32", "fp16"] = "fp32"
    steered: bool = False
    ranges: Mapping[str, tuple[float, float]] | None = None
    stopping: Stopping | None = None

    @property
    def plan(self) -> Plan:
        """What was asked of the export."""
        return Plan(cast(Kind, self.kind), self.glimpses, self.fields, self.sample, self.stored, self.steered)

    @property
    def preset(self) -> str:
        """The name of the model's configuration."""
        return str(self.config["name"])

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        channels, height, width = map(int, self.config["image"])
        return channels, height, width

    @property
    def any_size(self) -> bool:
        """Whether images of any height and width are taken; ``image`` is then what the model is trained with."""
        free = self.config.get("family", "stawm") == "stawm" and self.config.get("context_size") is not None
        return free and all(head["name"] != "drawing" for head in self.config["heads"])

    @property
    def least_side(self) -> int:
        """How many pixels a side of an image has at least, where it may be of any size."""
        return max(int(self.config["context_size"]), int(self.config["glimpse_size"]))

    @property
    def mean(self) -> tuple[float, ...]:
        """What is taken from the pixels in [0, 1], one number or one for each channel."""
        return tuple(map(float, self.config["mean"]))

    @property
    def std(self) -> tuple[float, ...]:
        """What they are then divided by."""
        return tuple(map(float, self.config["std"]))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; may be empty."""
        return tuple(map(str, self.config["class_names"]))

    @property
    def resize(self) -> Resize:
        """How pictures of another size are brought to the model's; files from before there was a choice crop."""
        return self.config.get("resize", "crop")

    @property
    def classes(self) -> int | None:
        """How many classes there are, or None where the model does not classify."""
        heads = (h for h in self.config["heads"] if h["name"] == "classification" and not h.get("label"))
        return next((int(head["classes"]) for head in heads), None)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the heads that have one, beside others of their kind."""
        return tuple(head["label"] for head in self.config["heads"] if head.get("label"))

    def cues(self, name: str) -> int | None:
        """Return how many numbered questions there are for an input, or None where it takes vectors.

        Args:
            name: The input, ``"cue"``, or ``"LABEL_cue"`` of a head with a label.
        """
        label = name.removesuffix(CUE).removesuffix("_") or None
        return next((h.get("cues") for h in self.config["heads"] if h.get("label") == label and "cues" in h), None)

    @property
    def series(self) -> tuple[Any, ...]:
        """What the parts of a step graph have in common."""
        return (self.plan, self.precision, self.config, self.weights, self.ranges, self.stopping)

    def entries(self) -> dict[str, str]:
        """Return the entries that a file keeps."""
        graph = {key: getattr(self, key) for key in _GRAPH}
        graph |= {"stored": self.stored} if self.stored != "fp32" else {}
        graph |= {"steered": True} if self.steered else {}
        graph |= {"ranges": dict(self.ranges)} if self.ranges is not None else {}
        values = {"config": dict(self.config), "graph": graph, "versions": dict(self.versions), **self.for_others()}
        values |= {} if self.stopping is None else {stopping.KEY.removeprefix("stawm."): self.stopping.as_dict()}
        written = {f"stawm.{key}": json.dumps(value, sort_keys=True) for key, value in values.items()}
        return written | {"stawm.format": FORMAT, "stawm.version": self.version, "stawm.weights": self.weights}

    def for_others(self) -> dict[str, Any]:
        """Return the entries for readers that do not know the configuration, from which they repeat what is needed."""
        channels, height, width = self.image
        sizes = {"channels": channels, "height": height, "width": width}
        pixels = {**sizes, "range": [0.0, 1.0], "mean": list(self.mean), "std": list(self.std)}
        pixels |= {"resize": self.config["resize"]} if "resize" in self.config else {}
        pixels |= {"free": ["height", "width"], "least": self.least_side} if self.any_size else {}
        return {"preprocessing": pixels, "class_names": list(self.class_names)}


def from_entries(entries: Mapping[str, str], path: Path) -> GraphInfo:
    """Return what a file's metadata says.

    Raises:
        ExportError: It is not ours, of another format, contradicts itself, or cannot be understood.
    """
    missing = [f"stawm.{k}" for k in (*_JSON, "format", "version", "weights") if f"stawm.{k}" not in entries]
    if missing:
        raise ExportError(f"{path} is not an ONNX file that stawm wrote: its metadata lacks {', '.join(missing)}.")
    if entries["stawm.format"] != FORMAT:
        raise ExportError(f"{path} has format {entries['stawm.format']!r}; stawm {__version__} reads {FORMAT!r}.")
    info, differing = _understood(entries, path)
    if differing:
        key, said, value = differing
        raise ExportError(
            f"{path}: its metadata contradicts itself: {key} is {shown(said)}, by its configuration {shown(value)}."
        )
    return info


def _understood(entries: Mapping[str, str], path: Path) -> tuple[GraphInfo, tuple[str, Any, Any] | None]:
    """Return what entries say, and the first that differs from what the configuration says, if one does."""
    try:
        if long := [key for key, value in entries.items() if len(value) > MAX_ENTRY]:
            raise ValueError(f"{long[0]} has more than {MAX_ENTRY:,} characters")
        read: dict[str, Any] = {key: read_json(entries[f"stawm.{key}"]) for key in _JSON}
        faults = malformed(read)
        if not faults:
            graph = read["graph"]
            written: dict[str, Any] = {key: tuple(graph[key]) if key in LISTS else graph[key] for key in _GRAPH}
            info = GraphInfo(
                **written,
                config=read["config"],
                weights=entries["stawm.weights"],
                version=entries["stawm.version"],
                versions=read["versions"],
                stored=graph.get("stored", "fp32"),
                steered=graph.get("steered", False),
                ranges=_ranges(graph.get("ranges")),
                stopping=stopping.from_mapping(read_json(entries[stopping.KEY])) if stopping.KEY in entries else None,
            )
            faults = _illegal(info)
            if not faults:
                own = info.for_others()
                return info, next(((key, read[key], value) for key, value in own.items() if read[key] != value), None)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ExportError(
            f"{path}: its metadata cannot be understood ({type(error).__name__}: {str(error)[:500]})."
        ) from error
    raise ExportError(f"{path}: its metadata is not legal: {'; '.join(faults)[:2000]}.")


def _ranges(written: Mapping[str, Sequence[float]] | None) -> dict[str, tuple[float, float]] | None:
    return None if written is None else {name: (low, high) for name, (low, high) in written.items()}


def _illegal(info: GraphInfo) -> list[str]:
    """Return what no file that stawm writes says of itself."""
    channels, classes, names = info.image[0], info.classes, info.class_names
    most, resize, strange = SIZES["glimpses"], info.config.get("resize", "crop"), _strange(info)
    rules = [
        (info.kind in ("rollout", "step"), f"kind must be 'rollout' or 'step'; got {shown(info.kind)}"),
        (info.part in (PARTS if info.kind == "step" else (None,)), f"part is {shown(info.part)} in a {info.kind}"),
        (info.precision in PRECISIONS, f"precision must be {one_of(PRECISIONS)}; got {shown(info.precision)}"),
        (info.ranges is None or info.precision == "int8", f"there are ranges in {shown(info.precision)}"),
        (info.stored in ("fp32", "fp16"), f"stored must be 'fp32' or 'fp16'; got {shown(info.stored)}"),
        (info.glimpses is None or is_count(info.glimpses), f"glimpses must be at least 1; got {shown(info.glimpses)}"),
        (
            not is_count(info.glimpses) or int(info.glimpses or 0) <= most,
            f"glimpses must be at most {most:,}; got {shown(info.glimpses)}",
        ),
        (info.kind == "rollout" or info.glimpses is not None, "a step graph has room for some glimpses; got none"),
        (isinstance(info.sample, bool), f"sample must be true or false; got {shown(info.sample)}"),
        (isinstance(info.steered, bool), f"steered must be true or false; got {shown(info.steered)}"),
        (info.kind == "step" or not info.steered, "only a step graph can be steered"),
        (not strange, f"fields must be outputs of a model; got {shown(', '.join(strange))}"),
        (min(info.image) > 0, f"image is {info.image}"),
        (classes is None or classes > 0, f"there are {classes} classes"),
        (classes is None or len(names) in (0, classes), f"there are {len(names)} class names for {classes} classes"),
        (
            {len(info.mean), len(info.std)} <= {1, channels},
            f"mean {shown(info.mean)} or std {shown(info.std)} does not fit {channels}",
        ),
        (all(abs(value) <= LARGEST for value in info.mean), f"mean must be within ±{LARGEST:g}; got {info.mean}"),
        (all(value > 0 for value in info.std), f"std must be above 0; got {shown(info.std)}"),
        (
            all(value <= 0 or 1 / LARGEST <= value <= LARGEST for value in info.std),
            f"std must be from {1 / LARGEST:g} to {LARGEST:g}; got {shown(info.std)}",
        ),
        (
            info.stopping is None or info.stopping.weights == info.weights,
            "its thresholds to stop by are of a model with other weights",
        ),
        (resize in typing.get_args(Resize), f"resize must be 'crop' or 'squeeze'; got {shown(resize)}"),
    ]
    return [fault for holds, fault in rules if not holds]


def _strange(info: GraphInfo) -> list[str]:
    """Return the fields that no output has, and that no head which is not known here can give either."""
    heads = [head.get("label") or head["name"] for head in info.config["heads"]]
    return [name for name in info.fields if not is_output(name, heads)]


def contradictions(info: GraphInfo, shapes: Mapping[str, tuple[int | str, ...]]) -> list[str]:
    """Return where a graph's metadata contradicts its inputs and outputs.

    Args:
        info: What the graph says of itself.
        shapes: The shapes of its inputs and outputs, with the batch.
    """
    named = (*info.inputs, *info.outputs)
    faults = []
    if missing := [name for name in named if name not in shapes]:
        faults.append(f"the graph has no {', '.join(missing)}")
    if beside := [name for name in shapes if name not in named]:
        faults.append(f"the graph has {', '.join(beside)}, and the metadata does not")
    free = {"image"} if info.any_size else set()
    asked = any(is_cue(name) for name in info.inputs)
    dynamic = [n for n, shape in shapes.items() if n not in free and any(map(_is_open, shape[2 if asked else 1 :]))]
    dynamic += [n for n, s in shapes.items() if asked and n not in free and s[1:2] and _is_open(s[1]) and s[1] != MANY]
    faults += [
        f"{name} is {in_brackets(shapes[name])}, where the questions must be of any number"
        for name in info.inputs
        if is_cue(name) and shapes.get(name, ())[1:2] not in ((), (MANY,))
    ]
    faults += [f"{name} is {in_brackets(shapes[name])}, where only the batch may be dynamic" for name in dynamic]
    for name, letters in (("image", "b c h w"), *AXES.items()):
        if name in shapes and name not in dynamic:
            faults += _contradictory_shape(info, name, shapes[name], letters.split())
    faults += _contradictory_noise(info, shapes)
    steers = tuple(name for name in shapes if name in STEER)
    if steers != (STEER if info.steered and info.part == "glimpse" else ()):
        faults.append(
            f"steered is {str(info.steered).lower()}, and the inputs for it are {', '.join(steers) or 'none'}"
        )
    if info.kind == "rollout" and info.fields != info.outputs:
        faults.append(f"fields are {', '.join(info.fields)}, outputs are {', '.join(info.outputs)}")
    return faults


def _is_open(axis: int | str) -> bool:
    return isinstance(axis, str)


def _contradictory_shape(info: GraphInfo, name: str, shape: tuple[int | str, ...], letters: Sequence[str]) -> list[str]:
    """Return whether an input or output has a shape that the metadata rules out; other axes may be of any size."""
    if info.kind == "step" and name not in REGISTERS:
        letters = [letter for letter in letters if letter != "n"]  # it is of one glimpse
    height, width = ("h", "w") if info.any_size else info.image[1:]
    sizes = {"c": info.image[0], "h": height, "w": width, "classes": info.classes}
    fitting = [sizes.get(letter) or size for letter, size in zip(letters, shape, strict=False)]
    if len(shape) != len(letters):
        return [f"{name} is {in_brackets(shape)}, where its axes are {in_brackets(letters)}"]
    if list(shape[1:]) != fitting[1:]:
        return [f"{name} is {in_brackets(shape)}, by the metadata {in_brackets(('b', *fitting[1:]))}"]
    slots = _steps(info) if info.kind == "rollout" else max(info.glimpses or 0, LEAST_SLOTS)
    what = "slots" if info.glimpses is None else "glimpses"
    if letters[1:2] == ["n"] and shape[1] != slots:
        return [f"{name} is {in_brackets(shape)}, by the metadata there are {slots} {what}"]
    return []


def _steps(info: GraphInfo) -> int:
    """Return how many glimpses there are in a run, or, of a model without glimpses, how many slots."""
    return info.glimpses or info.config.get("slots", 1)


def _contradictory_noise(info: GraphInfo, shapes: Mapping[str, tuple[int | str, ...]]) -> list[str]:
    """Return where random numbers are no inputs of the kind that a model takes."""
    given = {name: shape for name, shape in shapes.items() if name.startswith(NOISE)}
    faults = [f"there is no noise of the kind {name!r}" for name in given if name[len(NOISE) :] not in NOISES]
    if bool(given) and not info.sample:
        faults.append(f"{', '.join(given)} are inputs, and sample is false")
    steps = 1 if info.kind == "step" else _steps(info)
    faults += [
        f"{name} is {in_brackets(shape)}, by the metadata there are {steps} glimpses in a run"
        for name, shape in given.items()
        if shape[1:2] != (steps,)
    ]
    return faults
