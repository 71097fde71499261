"""The form of a graph's metadata: whether the values that were read are of the types that stawm writes."""

import re
from collections.abc import Mapping
from typing import Any

from stawm.configuration.fields import fits
from stawm.configuration.limits import oversized, too_much_for_config
from stawm.configuration.names import is_class_name, is_model_name
from stawm.errors import shown

NAME = re.compile(r"[\w.:\- ]{1,200}")
"""Names of inputs and outputs, which are printed and written into the files of servers."""
FLOAT = 3.4e38
"""How large a number of single precision may be."""
LISTS = ("fields", "inputs", "outputs")
"""What the metadata of a graph lists by name."""


def malformed(read: Mapping[str, Any]) -> list[str]:
    """Return what is not of the form that stawm writes.

    Args:
        read: The values of the entries by their keys; lists are checked for their values, and not for what they mean.
    """
    config, graph = read["config"], read["graph"]
    if not isinstance(config, dict) or not isinstance(graph, dict):
        raise TypeError("a configuration and a graph are mappings")
    if found := too_much_for_config(config):
        return [f"of its configuration {found}"]
    rules = [
        (is_model_name(config["name"]), "the configuration has no name that is legal", config["name"]),
        (_is_list(config["image"], _is_whole, 3), "image is no list of three sizes", config["image"]),
        (_is_eye(config), "context_size and glimpse_size are no sizes", config.get("context_size")),
        (_is_list(config["mean"], _is_number), "mean is no list of numbers", config["mean"]),
        (_is_list(config["std"], _is_number), "std is no list of numbers", config["std"]),
        (_is_list(config["class_names"], is_class_name), "class_names is no list of names", config["class_names"]),
        (_is_list(config["heads"], _is_head), "heads is no list of heads with a name", config["heads"]),
        (_is_texts(read["versions"]), "versions are no texts by name", read["versions"]),
        (_is_ranges(graph.get("ranges")), "ranges are no pairs of numbers by name", graph.get("ranges")),
        *((_is_list(graph[key], _is_name), f"{key} is no list of names", graph[key]) for key in LISTS),
    ]
    return [f"{fault}; got {shown(value)}" for holds, fault, value in rules if not holds] or oversized(config)


def is_count(value: Any) -> bool:
    """Whether a value is a whole number above 0."""
    return _is_whole(value) and value > 0


def _is_whole(value: Any) -> bool:
    return fits(value, int)


def _is_number(value: Any) -> bool:
    return fits(value, float)


def _is_eye(config: Mapping[str, Any]) -> bool:
    """Whether a thumbnail, where there is one, has a size, and glimpses too."""
    return config.get("context_size") is None or all(is_count(config.get(k)) for k in ("context_size", "glimpse_size"))


def _is_list(value: Any, legal: Any, length: int | None = None) -> bool:
    return isinstance(value, list) and length in (None, len(value)) and all(map(legal, value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_ranges(value: Any) -> bool:
    """Whether a value is ranges by name, from the lesser number to the greater, or nothing."""
    if value is None:
        return True
    pairs = value.values() if isinstance(value, dict) else [value]
    return all(_is_list(pair, _is_number, 2) and -FLOAT <= pair[0] <= pair[1] <= FLOAT for pair in pairs)


def _is_head(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return False
    if value.get("label") is not None and not (isinstance(value["label"], str) and value["label"].isidentifier()):
        return False
    if value["name"] == "recall" and not all(value.get(k) is None or is_count(value[k]) for k in ("cues", "cue_size")):
        return False
    return value["name"] not in ("classification", "recall") or _is_whole(value["classes"])
