"""The card of a model: what it is, how to use it, what it reached, how it was trained, and what it was not tried on.

All of it is made of the configuration and of what was noted with the weights; nothing is said that stands in neither.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import torch

from stawm import registry
from stawm.heads.config import called
from stawm.models.cite import cite
from stawm.models.config import SharedConfig
from stawm.models.construct import construct, without_downloads
from stawm.registry import Kind
from stawm.text import one_line

PERCENT = {
    "error": "error",
    "error_by_cue": "error of each question",
    "error_by_glimpse": "error after each glimpse",
    "interval": "95 % interval of the error",
}
NUMBERS = {
    "mse": "mean squared error of the picture",
    "bound": "bound on the negative log-likelihood of an image, in nats",
    "kl": "divergence of the latent from its prior, in nats",
    "nll": "negative log-likelihood of the class, in nats",
    "calibration_error": "expected calibration error",
    "images": "test images",
}
MASKS = {"ari": "adjusted Rand index of masks", "by_glimpse": "IoU of the mask of each glimpse"}
"""What is measured of a model, and what it is called here."""
TRAINED = {
    "data": "data",
    "seed": "seed",
    "precision": "precision",
    "hardware": "hardware",
    "start": "begun from",
    "start_sha256": "SHA-256 of that",
}
"""What a run notes, and what it is called here."""
AS_USUAL = ("start", "start_sha256", "resize", "train_images", "transfer_passes", "validation")
"""What a run notes, and what is not told where it is none, zero or off."""


def card(
    config: SharedConfig,
    noted: Mapping[str, Any],
    load: str,
    *,
    licence: str | None = None,
    stored: torch.dtype | None = None,
) -> str:
    """Return a model's card as Markdown.

    Args:
        config: The model's configuration.
        noted: What was noted with the weights, as `stawm.inspect(path).provenance` gives it.
        load: The line of Python that loads the model.
        licence: Under what its weights may be used; not told where it is not known.
        stored: The type of fewer bits that its weights were rounded to after it was measured; None where they were not.
    """
    parts = [
        f"# {one_line(config.name)}",
        _what(config) + (f"\n- licence: {licence}" if licence else ""),
        _use(config, load),
        _measured(noted.get("test"), stored),
        _training(noted),
        _limits(config, noted),
        f"## Cite\n\n```bibtex\n{cite(config)}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(config: SharedConfig) -> str:
    known = Kind.PRESET in registry.kinds_of(config.name)
    summary = registry.find(Kind.PRESET, config.name).summary if known else "A model of stawm."
    with torch.device("meta"):
        model = construct(without_downloads(config))
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    looks = "" if config.glimpses is None else _looks(config)
    names = ", ".join(one_line(name) for name in getattr(config, "class_names", ())[:20])
    return (
        f"{summary}\n\n"
        f"- gives: {', '.join(called(head) for head in config.heads)}\n{looks}"
        f"- takes: images of shape {_shape(config)}\n"
        f"{f'- classes: {names}' + chr(10) if names else ''}"
        f"{_sizes(config)}"
        f"- learned numbers: {learned:,}"
    )


def _looks(config: Any) -> str:
    side = config.glimpse_size
    size = "the whole image" if side is None else f"{side}x{side}"
    memory = f", memory `{config.memory.name}`" if hasattr(config, "memory") else ""
    return f"- looks: {config.glimpses} glimpses of {size}{memory}\n"


def _sizes(config: SharedConfig) -> str:
    """Return what is said of images of other sizes; nothing where they are not taken."""
    if config.sides is None:
        return ""
    least, most = config.sides
    return f"- Images may be of any height and width from {least} to {most:,} pixels, each call its own.\n"


def _use(config: SharedConfig, load: str) -> str:
    channels, height, width = config.image
    return (
        "## Use it\n\n```python\nimport stawm\nimport torch\n\n"
        f"model = {load}\n"
        f"pixels = torch.rand(4, {channels}, {height}, {width})  # your images, in [0, 1]: {_shape(config)}\n"
        "out = model.predict(pixels)\n```"
    )


def _shape(config: SharedConfig) -> str:
    return f"(b, {', '.join(map(str, config.image))})"


def _measured(test: Any, stored: torch.dtype | None) -> str:
    """Return a table of what was measured on test images."""
    found = dict(test) if isinstance(test, Mapping) else {}
    heads = found.pop("by_head", None)
    rows = _rows(found)
    for name, own in heads.items() if isinstance(heads, Mapping) else ():
        measures = _rows(own) if isinstance(own, Mapping) else []
        rows += [(f"{one_line(str(name))}: {words}", text) for words, text in measures]
    if not rows:
        return ""
    table = "\n".join(f"| {words} | {value} |" for words, value in rows)
    when = "As measured at the end of its training."
    if stored is not None:
        when += f" Then the weights were rounded, to be stored as {str(stored).removeprefix('torch.')}."
    return f"## What it reaches\n\n{when}\n\n| measure | value |\n| --- | --- |\n{table}"


def _rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(words, _written(found[key], percent=True)) for key, words in PERCENT.items() if key in found]
    rows += [(words, _written(found[key])) for key, words in NUMBERS.items() if key in found]
    others = {key: value for key, value in found.items() if key not in {**PERCENT, **NUMBERS}}
    if isinstance(others.get("masks"), Mapping):
        rows += _rows_of_masks(others.pop("masks"))
    return rows + [(one_line(str(key)), _written(value)) for key, value in others.items()]


def _rows_of_masks(masks: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how well masks meet the true ones: the intersection over union of each way, then what else is noted."""
    of_ways = {way: score for way, score in masks.items() if _is_number(score)}
    rows = [("IoU of masks", _written(of_ways))] if of_ways else []
    others = [(key, value) for key, value in masks.items() if key not in of_ways]
    return rows + [(MASKS.get(key, f"masks: {one_line(str(key))}"), _written(value)) for key, value in others]


def _written(value: Any, *, percent: bool = False) -> str:
    if isinstance(value, Mapping) and value and all(_is_number(each) for each in value.values()):
        named = (f"{one_line(str(name))} {_written(each, percent=percent)}" for name, each in value.items())
        return ", ".join(named).replace("|", "\\|")
    if isinstance(value, list) and value and all(_is_number(each) for each in value):
        return ", ".join(_written(each, percent=percent) for each in value)
    if not _is_number(value):
        return f"`{json.dumps(value)}`".replace("|", "\\|")
    if percent:
        return f"{100 * value:.2f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _training(noted: Mapping[str, Any]) -> str:
    """Return how a model was trained, and whatever else was noted with it, each in a line."""
    told = {key for key in ("test", "recipe") if isinstance(noted.get(key), Mapping)}
    told |= {key for key in AS_USUAL if key in noted and not noted[key]}
    lines = [f"- recipe: {_recipe(noted['recipe'])}"] if "recipe" in told else []
    for key, value in noted.items():
        if key not in told:
            name = TRAINED.get(key, one_line(" ".join(str(key).split())))
            lines.append(f"- {name}: {_plain(value) if key in TRAINED else json.dumps(value)}")
    return "\n".join(["## How it was trained\n", *lines]) if lines else ""


def _recipe(recipe: Mapping[str, Any]) -> str:
    fields = ("epochs", "batch", "optimiser", "rate", "weight_decay", "label_smoothing")
    told = ", ".join(f"{key.replace('_', ' ')} {_plain(recipe[key])}" for key in fields if key in recipe)
    return f"{_plain(recipe.get('name'))} ({told})"


def _plain(value: Any) -> str:
    return one_line(value) if isinstance(value, str) else json.dumps(value)


def _limits(config: SharedConfig, noted: Mapping[str, Any]) -> str:
    lines = []
    if isinstance(data := noted.get("data"), str):
        lines.append(f"- It learned from {one_line(data)} alone. How it does on other images was not measured.")
    if config.classifies:
        lines.append("- It names one of its classes for every image, also for one that shows none of them.")
    if config.has("recall"):
        lines.append("- It has an answer to every question, also where nothing is that is asked for.")
    return "\n".join(["## What to keep in mind\n", *lines]) if lines else ""
