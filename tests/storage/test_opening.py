"""Opening what somebody named: regular files, and nothing that waits, ends never or is another kind of thing."""

from pathlib import Path
from typing import Any

import pytest

from stawm.errors import CheckpointError, ExportError, InputError
from stawm.storage import opening
from stawm.storage.file import write_atomically
from stawm.storage.opening import as_path, open_regular, read_regular
from stawm.storage.recognise import FileKind, of_bytes, what_is
from tests.storage.special import SPECIAL, sparse


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"content")
    (tmp_path / "link").symlink_to("x")
    assert read_regular(path) == read_regular(tmp_path / "link") == b"content"
    with open_regular(path) as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = SPECIAL[kind](tmp_path / "x")
    opened = open_files()
    for call in (open_regular, read_regular):
        with pytest.raises(CheckpointError, match=r"^Cannot read .*x: "):
            call(path, CheckpointError)
    assert open_files() == opened


def test_what_became_a_pipe_after_it_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = SPECIAL["a pipe"](tmp_path / "x")
    (tmp_path / "file").touch()
    found = (tmp_path / "file").stat()
    monkeypatch.setattr(Path, "stat", lambda self: found)
    with pytest.raises(InputError, match="it is a pipe, where a file is due"):
        open_regular(path)


def test_what_no_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sparse(tmp_path / "x", 2**43)
    with pytest.raises(ExportError, match=r"8,796,093,022,208 bytes, more than the .* that are free here"):
        read_regular(path, ExportError)
    with pytest.raises(InputError, match="at most 10 are read"):
        read_regular(path, limit=10)


@pytest.mark.parametrize("given", ["", " ", None, 3, b"x", ["x"], "a\0b", "a\ud800b", 1.5, object()])
def test_what_is_no_path(given: Any, unchecked: None) -> None:
    with pytest.raises(ExportError, match=r"^A graph (must be given by its path|cannot have the path)"):
        as_path(given, "A graph", ExportError)


STARTS = {
    b"": FileKind.EMPTY,
    (100).to_bytes(8, "little") + b'{"__metadata__"': FileKind.SAFETENSORS,
    b"\x08\x0a\x12\x07pytorch": FileKind.ONNX,
    b"\x08\x08:\x10": FileKind.ONNX,
    b"\x80\x02}q\0": FileKind.PICKLE,
    b"PK\3\4": FileKind.ZIP,
    b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n": FileKind.LFS,
    b"\n<!DOCTYPE html><html>": FileKind.HTML,
    b"\x89PNG\r\n": FileKind.IMAGE,
    b'{"a": 1}': FileKind.JSON,
    b"\x80": FileKind.UNKNOWN,
    b"\x08": FileKind.UNKNOWN,
    b"anything": FileKind.UNKNOWN,
}


@pytest.mark.parametrize("start", STARTS)
def test_what_a_file_is(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(start)
    assert of_bytes(start) is what_is(tmp_path / "x") is STARTS[start]


# Writing


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a folder", "a link to an empty device", "a link to itself"])
def test_nothing_but_a_file_is_replaced(kind: str, tmp_path: Path) -> None:
    path = SPECIAL[kind](tmp_path / "x")
    before = path.lstat()
    with pytest.raises(InputError, match=r"^Cannot write .*x: |^Cannot write /dev/null: "):
        write_atomically(path, b"new")
    assert path.lstat() == before
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/file")
    write_atomically(tmp_path / "link", b"first")
    write_atomically(tmp_path / "link", b"second")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"second"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "link", "there"]


def test_memory_is_asked_for_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening.check_memory(tmp_path, 1)
    with pytest.raises(InputError):
        opening.check_memory(tmp_path, 2**60)
