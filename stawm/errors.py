"""The exceptions that stawm raises at its public calls."""

from collections.abc import Callable, Sequence
from typing import Any


class StawmError(Exception):
    """Base of every error that stawm raises on purpose."""


class UnknownNameError(StawmError, LookupError):
    """No component of that name is registered, or the one that is cannot be imported."""


class ConfigError(StawmError, ValueError):
    """A configuration is not legal; ``faults`` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class InputError(StawmError, ValueError):
    """A tensor, array or file given to a public call is not of the legal form."""


class CheckpointError(StawmError):
    """A checkpoint is damaged, foreign, or does not fit what is installed."""


class MissingPackageError(StawmError, ModuleNotFoundError):
    """A package that only part of stawm needs is not installed; the message names the extra that brings it."""


class ExportError(StawmError):
    """A model could not be exported, or the exported graph is not equal to it."""


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
