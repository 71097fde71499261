"""What a command says, however it ends."""

import pytest

from stawm import cli


def outcome(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int | str | None, str, str]:
    """Status, output and errors of a command."""
    try:
        status: int | str | None = cli.main([*map(str, argv)])
    except SystemExit as stopped:
        status = stopped.code
    said = capsys.readouterr()
    return status, said.out, said.err
