"""The exceptions that stawm raises at its public calls."""

from collections.abc import Sequence


class StawmError(Exception):
    """Base of every error that stawm raises on purpose."""


class UnknownNameError(StawmError, LookupError):
    """No component of that name is registered."""


class ConfigError(StawmError, ValueError):
    """A configuration is not legal; ``faults`` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Keep every fault and show them all in one message."""
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class InputError(StawmError, ValueError):
    """A tensor, array or file given to a public call is not of the legal form."""


class CheckpointError(StawmError):
    """A checkpoint is damaged, foreign, or does not fit what is installed."""


class ExportError(StawmError):
    """A model could not be exported, or the exported graph is not equal to it."""
