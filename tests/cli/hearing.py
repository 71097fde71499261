"""A command line whose public functions are replaced by ones that note what they are called with."""

from types import SimpleNamespace
from typing import Any

from stawm import cli


class Said(SimpleNamespace):
    """What a command prints, whatever it is."""

    def as_dict(self) -> dict[str, Any]:
        return vars(self)


def run(*argv: Any) -> None:
    assert cli.main([*map(str, argv)]) == 0
