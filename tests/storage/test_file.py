"""The file itself: every change is found, foreign files are refused, writing is whole or not at all."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stawm.errors import CheckpointError, InputError
from stawm.storage import file as sealed_file
from stawm.storage.file import MAX_HEADER, pack, read, read_header, write_atomically

FIELDS = {"stawm.note": "a field", "other": "é"}
TENSORS = {
    "a": torch.arange(6, dtype=torch.float32).view(2, 3),
    "b.c": torch.tensor(1.5, dtype=torch.float64),
    "d": torch.zeros(0, 3),
    "e": torch.tensor([True, False]),
    "f": torch.arange(5, dtype=torch.int64),
    "g": torch.randn(7).half(),
}
WHOLE = pack(FIELDS, TENSORS)
LENGTH = 8 + int.from_bytes(WHOLE[:8], "little")
fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.safetensors"


def refused(path: Path, data: bytes, *, header: bool = True) -> str:
    """What is said of a file; ``header``: reading the header alone refuses it too."""
    path.write_bytes(data)
    if header:
        with pytest.raises(CheckpointError):
            read_header(path)
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def with_header(header: Any, weights: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + weights


def test_what_is_packed_is_read(path: Path) -> None:
    path.write_bytes(WHOLE)
    header, tensors = read(path)
    assert header == read_header(path)
    assert FIELDS.items() <= header.fields.items()
    assert header.shapes == {
        "a": ("F32", (2, 3)),
        "b.c": ("F64", ()),
        "d": ("F32", (0, 3)),
        "e": ("BOOL", (2,)),
        "f": ("I64", (5,)),
        "g": ("F16", (7,)),
    }
    assert header.values == 6 + 1 + 0 + 2 + 5 + 7
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_it_is_a_safetensors_file(path: Path) -> None:
    path.write_bytes(WHOLE)
    found = safetensors.torch.load_file(path)
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata()["other"] == "é"
    assert LENGTH % 8 == 0


def test_the_same_contents_give_the_same_file() -> None:
    assert pack(FIELDS, TENSORS) == WHOLE
    assert pack({**FIELDS, "other": "e"}, TENSORS) != WHOLE


def test_headers_of_every_length_are_read(path: Path) -> None:
    first_bytes = set()
    for length in range(0, 320, 8):
        path.write_bytes(pack({"stawm.note": "x" * length}, TENSORS))
        assert read_header(path).fields["stawm.note"] == "x" * length
        assert read(path)[1].keys() == TENSORS.keys()
        first_bytes.add(path.read_bytes()[0])
    assert 0x80 in first_bytes, "a length that begins as a pickle does"


def test_no_tensors_at_all(path: Path) -> None:
    path.write_bytes(pack({}, {}))
    assert read(path)[1] == {}


# Changes


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 20, LENGTH - 1, LENGTH, LENGTH + 1, len(WHOLE) - 1])
def test_truncated_files(path: Path, kept: int) -> None:
    said = refused(path, WHOLE[:kept])
    assert "truncated" in said


@fixtures
@given(st.integers(0, len(WHOLE) - 1))
def test_truncated_anywhere(tmp_path: Path, kept: int) -> None:
    assert "truncated" in refused(tmp_path / "x", WHOLE[:kept])


@pytest.mark.parametrize("extra", [b"\0", b"more"])
def test_files_with_something_after_them(path: Path, extra: bytes) -> None:
    assert f"has {len(WHOLE) + len(extra):,} bytes where its header tells of {len(WHOLE):,}" in refused(
        path, WHOLE + extra
    )


def test_a_flipped_bit_is_found_in_every_byte(path: Path) -> None:
    for at in range(len(WHOLE)):
        data = bytearray(WHOLE)
        data[at] ^= 1 << (at % 8)
        refused(path, bytes(data), header=at < LENGTH)


def test_even_a_flip_that_changes_no_meaning_is_found(path: Path) -> None:
    assert "its header does not match its hash" in refused(path, WHOLE.replace(rb"\u00e9", rb"\u00E9"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_are_found(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, byte in changes:
        data[at] = byte
    path = tmp_path / "x"
    path.write_bytes(bytes(data))
    if bytes(data) == WHOLE:
        read(path)
    else:
        refused(path, bytes(data), header=bytes(data[:LENGTH]) != WHOLE[:LENGTH])


def test_what_was_altered_is_said(path: Path) -> None:
    assert "its header does not match its hash" in refused(path, WHOLE.replace(b"a field", b"A field"))
    assert "its weights do not match their hash" in refused(path, WHOLE[:-1] + b"\xff", header=False)
    swapped = WHOLE.replace(b'"a":{', b'"z":{')
    assert "its header does not match its hash" in refused(path, swapped)


def test_another_format(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_file, "FORMAT", "4")
    later = pack(FIELDS, TENSORS)
    monkeypatch.undo()
    assert "of checkpoint format '4'; this stawm reads 1, 2 and 3" in refused(path, later)


def test_the_format_says_whether_there_are_integers_of_8_or_4_bits(path: Path) -> None:
    """So that a version that cannot read them says so; bytes without scales are bytes."""
    in_8, bytes_too = torch.tensor([-127, 3], dtype=torch.int8), torch.tensor([[130]], dtype=torch.uint8)
    in_4 = {"b": bytes_too, "b:scale": torch.ones(1, 1, dtype=torch.bfloat16)}
    forms = [({}, "1"), ({"h": in_8}, "2"), ({"b": bytes_too}, "1"), (in_4, "3"), ({**in_4, "h": in_8}, "3")]
    for added, form in forms:
        tensors = {**TENSORS, **added}
        path.write_bytes(pack(FIELDS, tensors))
        header, found = read(path)
        assert header.fields["stawm.format"] == form
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


# Foreign files


def test_plain_safetensors(path: Path) -> None:
    assert "a safetensors file, but no stawm checkpoint" in refused(path, safetensors.torch.save(TENSORS))
    marked = safetensors.torch.save(TENSORS, metadata={"format": "pt"})
    assert "a safetensors file, but no stawm checkpoint" in refused(path, marked)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_are_not_opened(path: Path, zipped: bool) -> None:
    torch.save({"weight": torch.zeros(100)}, path, _use_new_zipfile_serialization=zipped)
    assert "a pickle or a zip" in refused(path, path.read_bytes())


class Trap:
    """Its pickle writes a file when it is opened."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.write_text, (Path("sprung"), "x")


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_runs(path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.chdir(path.parent)
    refused(path, pickle.dumps(Trap(), protocol=protocol))
    refused(path, pickle.dumps(Trap(), protocol=protocol) + b"\0" * 1000)
    assert not Path("sprung").exists()


@pytest.mark.parametrize("length", [MAX_HEADER + 1, 2**40, 2**63, 2**64 - 1])
def test_oversized_headers(path: Path, length: int) -> None:
    assert f"tells of a header of {length:,} bytes" in refused(path, struct.pack("<Q", length) + b"{}" * 8)


def test_an_oversized_header_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER + 1))
        file.truncate(MAX_HEADER * 100)  # sparse
    with pytest.raises(CheckpointError, match="at most"):
        read(path)


FOREIGN: dict[str, Any] = {
    "empty": b"",
    "text": b"just some text, long enough to be anything",
    "image": b"\x89PNG\r\n\x1a\n" + b"\0" * 64,
    "no json": with_header(b"{nothing"),
    "binary": with_header(b"\xff\xfe\xfd"),
    "a list": with_header([1, 2]),
    "a number": with_header(3),
    "metadata no mapping": with_header({"__metadata__": [1]}),
    "metadata no texts": with_header({"__metadata__": {"stawm.format": 1}}),
    "entry no mapping": with_header({"a": 3}),
    "entry without dtype": with_header({"a": {"shape": [1], "data_offsets": [0, 4]}}),
    "negative shape": with_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}),
    "shape of texts": with_header({"a": {"dtype": "F32", "shape": ["1"], "data_offsets": [0, 4]}}),
    "one offset": with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}),
    "endless number": with_header(b'{"a":' + b"9" * 10_000 + b"}"),
    "nested": with_header(b"[" * 100_000),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_files(path: Path, case: str) -> None:
    refused(path, FOREIGN[case])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@fixtures
@given(json_values | st.dictionaries(st.just("__metadata__"), json_values), st.binary(max_size=8))
def test_any_header_at_all(tmp_path: Path, header: Any, weights: bytes) -> None:
    refused(tmp_path / "x", with_header(header, weights))


def test_sealed_nonsense(path: Path) -> None:
    """A header that carries the right hash, but a table that safetensors refuses."""
    table = {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}}
    metadata = {"stawm.format": "1", "stawm.weights_sha256": sealed_file.hashlib.sha256(b"1234").hexdigest()}
    sealed = {**metadata, "stawm.sha256": sealed_file._seal(metadata, table)}
    said = refused(path, with_header(sealed_file._encode(sealed, table), b"1234"), header=False)
    assert "is damaged" in said


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(CheckpointError, match="Cannot read"):
            read(path)
        with pytest.raises(CheckpointError, match="Cannot read"):
            read_header(path)


# Writing


def test_a_file_is_replaced_in_one_step(path: Path) -> None:
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [*path.parent.iterdir()] == [path]


def test_the_mode_is_that_of_any_new_file(path: Path) -> None:
    plain = path.with_name("plain")
    plain.write_bytes(b"")
    write_atomically(path, b"")
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, fault: BaseException
) -> None:
    def fail(*_: Any) -> None:
        raise fault

    write_atomically(path, b"old")
    monkeypatch.setattr(*((sealed_file.os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    expected = InputError if isinstance(fault, OSError) else type(fault)
    with pytest.raises(expected):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [*path.parent.iterdir()] == [path]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    for path, said in (
        (tmp_path / "no" / "where", "No such file or directory"),
        (tmp_path / "file" / "x", "Not a directory"),
        (tmp_path / "folder", "Is a directory"),
        (Path(), "names no file"),
    ):
        with pytest.raises(InputError, match=f"Cannot write .*{said}"):
            write_atomically(path, b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
