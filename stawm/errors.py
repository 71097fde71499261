"""The exceptions that stawm raises at its public calls."""

import reprlib
from collections.abc import Callable, Sequence
from typing import Any

LONGEST = 10_000
"""How many characters a message has at most."""
MOST_FAULTS = 50
"""How many faults a message lists at most; an error's ``faults`` has them all."""


class StawmError(Exception):
    """Base of every error that stawm raises on purpose; its message is never longer than a page or two."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*(_clipped(arg) if isinstance(arg, str) else arg for arg in args), **options)


class UnknownNameError(StawmError, LookupError):
    """No component of that name is registered, or the one that is cannot be imported."""


class ConfigError(StawmError, ValueError):
    """A configuration is not legal; ``faults`` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        more = len(self.faults) - MOST_FAULTS
        super().__init__("\n".join([*self.faults[:MOST_FAULTS], *([f"And {more:,} more."] if more > 0 else [])]))

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled with every fault, as between processes."""
        return type(self), (self.faults,)


class InputError(StawmError, ValueError):
    """A tensor, array or file given to a public call is not of the legal form."""


class CheckpointError(StawmError):
    """A checkpoint is damaged, foreign, or does not fit what is installed."""


class MissingPackageError(StawmError, ModuleNotFoundError):
    """A package that only part of stawm needs is not installed; the message names the extra that brings it."""


class ExportError(StawmError):
    """A model could not be exported, or the exported graph is not equal to it."""


class PixelsWarning(UserWarning):
    """A model that takes normalised images seems to have been given pixels as they are."""


class Faults:
    """Collects what is wrong with a configuration, so that all of it is raised together."""

    def __init__(self) -> None:
        self.errors: list[ConfigError | UnknownNameError] = []

    def attempt(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what a call gives; where it fails, keep its faults and return None."""
        try:
            return call(*args, **kwargs)
        except (ConfigError, UnknownNameError) as error:
            self.errors.append(error)
            return None

    def add(self, *sentences: str) -> None:
        """Keep faults."""
        self.errors += [ConfigError([sentence]) for sentence in sentences]

    def settle(self) -> None:
        """Raise what was kept, if anything was.

        Raises:
            UnknownNameError: A name that is not registered is all that is wrong.
            ConfigError: Everything that is wrong.
        """
        if self.errors:
            raise self.together()

    def together(self) -> "ConfigError | UnknownNameError":
        """Return one error for everything that was kept."""
        if len(self.errors) == 1:
            return self.errors[0]
        return ConfigError([fault for error in self.errors for fault in getattr(error, "faults", (str(error),))])


class _Shown(reprlib.Repr):
    """Writes values of any size and depth in a line of bounded length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 20
        self.maxstring = self.maxother = 300

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= 256 else f"an integer of {x.bit_length():,} bits"


def shown(value: Any) -> str:
    """Return what a message says of a value that was given: its ``repr``, cut where it is long or deep.

    Examples:
        >>> shown([1, "a"]), len(shown("x" * 10**6)) < 400
        ("[1, 'a']", True)
    """
    text = _Shown().repr(value)
    return text if len(text) <= 1_000 else f"{text[:700]} ... {text[-200:]}"


def _clipped(text: str) -> str:
    return (
        text if len(text) <= LONGEST else f"{text[: LONGEST - 100]} ... ({len(text) - LONGEST + 100:,} more characters)"
    )
