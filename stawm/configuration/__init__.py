"""Configurations: what fields they have, what is legal, and how they are overridden."""

from stawm.configuration.config import Config, field_hints, illegal, make, missing, unknown_fields
from stawm.configuration.fields import (
    AT_LEAST_ONE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Interval,
    coerce,
    describe_hint,
    fits,
)
from stawm.configuration.grammar import Spec, config_class, nest, resolve, split_dotted

__all__ = [
    "AT_LEAST_ONE",
    "FRACTION",
    "NON_NEGATIVE",
    "POSITIVE",
    "Config",
    "Interval",
    "Spec",
    "coerce",
    "config_class",
    "describe_hint",
    "field_hints",
    "fits",
    "illegal",
    "make",
    "missing",
    "nest",
    "resolve",
    "split_dotted",
    "unknown_fields",
]
