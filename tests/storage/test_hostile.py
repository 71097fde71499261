"""Checkpoints of strangers, sealed properly: refused as one kind and in short, or models that run."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stawm
from stawm import hub
from stawm.catalog import plugins
from stawm.errors import LONGEST, CheckpointError, InputError, StawmError
from stawm.storage.checkpoint import load_weights
from stawm.storage.pretrained import find_model
from tests.fuzz.corpus import HOSTILE
from tests.fuzz.parts import mutated, parts, sealed
from tests.fuzz.trial import outcome
from tests.small import tiny
from tests.storage.special import SPECIAL, sparse


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "x"
    stawm.save(tiny(heads="classification"), path, provenance={"seed": 3, "history": [{"loss": 0.5}]})
    return path.read_bytes()


READERS: dict[str, Any] = {
    "load": stawm.load,
    "inspect": stawm.inspect,
    "find_model": find_model,
    "build": lambda path: stawm.build("stawm-digits", pretrained=path),
    "load_weights": lambda path: load_weights(tiny(heads="classification"), path),
    "a folder": lambda path: hub.from_pretrained(_folder_of(path)),
}


def _folder_of(path: Path) -> Path:
    folder = path.parent / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").unlink(missing_ok=True)
    (folder / "model.safetensors").symlink_to(path)
    return folder


def test_what_is_sealed_again_is_the_same_file(saved: bytes) -> None:
    assert sealed(parts(saved)) == saved


@pytest.mark.parametrize("case", HOSTILE)
def test_what_ever_did_harm_is_refused_before_anything_is_built(
    case: str, saved: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unchecked: None
) -> None:
    """The installed plug-ins are read a few times and not once for each name; nothing is built."""
    calls = Counter[str]()
    installed = plugins.installed

    def counted(group: str) -> Any:
        calls["plug-ins"] += 1
        return installed(group)

    monkeypatch.setattr("stawm.registry.installed", counted)
    monkeypatch.setattr("stawm.storage.checkpoint.construct", lambda *_: pytest.fail("it was built"))
    path = tmp_path / "x.safetensors"
    path.write_bytes(sealed(HOSTILE[case](parts(saved))))
    for read in (stawm.load, stawm.inspect):
        calls.clear()
        with pytest.raises(CheckpointError) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
        assert len(str(caught.value)) < 5_000
        assert calls["plug-ins"] <= 80


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(random=st.randoms(use_true_random=False))
def test_any_sealed_file_is_refused_or_is_a_model_that_runs(
    random: Random, saved: bytes, tmp_path: Path, unchecked: None
) -> None:
    assert outcome(mutated(saved, random), tmp_path / "x.safetensors") in ("refused", "accepted", "run")


@pytest.mark.long
def test_thousands_of_sealed_files(saved: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count, found = 4_000, Counter[str]()
    for seed in range(count):
        try:
            found[outcome(mutated(saved, Random(seed)), tmp_path / "x.safetensors")] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    with capsys.disabled():
        refused, accepted = found["refused"], found["accepted"] + found["run"]
        print(
            f"\ncheckpoints: {count:,} tried, {refused:,} refused, {accepted:,} accepted, of them {found['run']:,} run"
        )
    assert found["refused"] > count / 2
    assert found["run"]


# What is no file, and what is another kind of file


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", [kind for kind in SPECIAL if kind != "a folder"])
def test_what_is_no_file(kind: str, reader: str, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"Cannot read .*(where a file is due|No such file|levels of symbolic links)"
    ):
        READERS[reader](SPECIAL[kind](tmp_path / "x.safetensors"))


KINDS: dict[str, tuple[bytes, str]] = {
    "pickle": (b"\x80\x02}q\x00X\x05\x00\x00\x00state", "is a pickle"),
    "zip": (b"PK\x03\x04" + bytes(60), "is a pickle or a zip"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "Git LFS pointer"),
    "html": (b"<!DOCTYPE html><html><body>401</body></html>", "a web page"),
    "onnx": (b"\x08\x0a\x12\x07pytorch\x1a\x05" + bytes(60), "is an ONNX graph, not a checkpoint"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(60), "an image"),
    "empty": (b"", "truncated"),
    "text": (b"hello", "truncated"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x.safetensors", "X.SAFETENSORS"])
def test_what_is_another_kind_of_file_is_named(name: str, kind: str, reader: str, tmp_path: Path) -> None:
    data, words = KINDS[kind]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=words):
        READERS[reader](tmp_path / name)


@pytest.mark.parametrize("reader", [reader for reader in READERS if reader != "inspect"])
def test_a_sparse_file_is_refused_without_reading_it(
    reader: str, saved: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros of any number, and a sealed header that tells of eight gigabytes of a model that has no such weights."""
    monkeypatch.setattr("stawm.storage.file.check_memory", lambda *_: pytest.fail("it was read"))
    with pytest.raises(CheckpointError):
        READERS[reader](sparse(tmp_path / "zeros.safetensors"))
    found = parts(saved)
    name = min(found.table)
    found.table = {name: {"dtype": "F32", "shape": [2**31], "data_offsets": [0, 2**33]}}
    found.weights = b""
    start = sealed(found)
    with pytest.raises(CheckpointError, match="does not fit"):
        READERS[reader](sparse(tmp_path / "model.safetensors", len(start) + 2**33, start))


def test_an_upper_case_ending_is_a_file_and_no_repository(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Cannot read"):
        find_model("user/MODEL.SAFETENSORS")
    stawm.save(tiny(), tmp_path / "MODEL.SAFETENSORS")
    assert find_model(str(tmp_path / "MODEL.SAFETENSORS")).loaded.whole


# What is saved is loaded


@pytest.mark.parametrize(
    "noted",
    [
        {"a": "x" * 11_000_000},
        {"a": [0] * 200_001},
        {"a": [[[[1]]]] * 60_000},
        {"a": 2**70},
        {"a": 10**5_000},
        "a string",
        [1],
        3,
    ],
    ids=["11 MB", "many values", "many lists", "70 bits", "5,000 digits", "a string", "a list", "a number"],
)
def test_what_could_not_be_loaded_is_not_saved(noted: Any, tmp_path: Path, unchecked: None) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError):
        stawm.save(tiny(heads="classification"), path, provenance=noted)
    assert not [*tmp_path.iterdir()]


def test_provenance_that_nests_without_end_is_not_saved(tmp_path: Path) -> None:
    noted: Any = {}
    noted["self"] = noted
    with pytest.raises(InputError, match="provenance must hold plain JSON"):
        stawm.save(tiny(heads="classification"), tmp_path / "x", provenance=noted)


def test_nine_megabytes_of_provenance_come_back(tmp_path: Path) -> None:
    noted = {"a": "x" * 9_000_000}
    stawm.save(tiny(heads="classification"), tmp_path / "x", provenance=noted)
    assert stawm.inspect(tmp_path / "x").provenance == noted
    assert stawm.load(tmp_path / "x").loaded.whole


def test_no_message_is_long(saved: bytes, tmp_path: Path) -> None:
    found = parts(saved)
    found.table = {f"{'x' * 500}{n}": entry for n, entry in enumerate([*found.table.values()])}
    (tmp_path / "x").write_bytes(sealed(found))
    with pytest.raises(StawmError) as caught:
        stawm.load(tmp_path / "x")
    assert len(str(caught.value)) <= LONGEST
