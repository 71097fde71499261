"""Configurations: what fields they have, what is legal, and how they are overridden."""

from stawm.configuration.config import Config, field_hints, field_meanings, make, missing, plain, unknown_fields
from stawm.configuration.fields import (
    AT_LEAST_ONE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Interval,
    coerce,
    coerce_all,
    describe_hint,
    fits,
    illegal,
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
    "coerce_all",
    "config_class",
    "describe_hint",
    "field_hints",
    "field_meanings",
    "fits",
    "illegal",
    "make",
    "missing",
    "nest",
    "plain",
    "resolve",
    "split_dotted",
    "unknown_fields",
]
