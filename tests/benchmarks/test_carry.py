"""A wheel arrives as it was sent, or it is said what did not; what is left out was not needed."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks import carry

FILES = {
    "toy_carried/__init__.py": "import toy_carried.needed\n",
    "toy_carried/needed.py": "",
    "toy_carried/other_card.so": "0123456789" * 50,
    "toy_carried-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: toy-carried\nVersion: 1\n",
    "toy_carried-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
RECORD = "toy_carried-1.dist-info/RECORD"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "toy_carried-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in FILES.items():
            file.writestr(name, text)
        file.writestr(RECORD, "".join(f"{name},,\n" for name in (*FILES, RECORD)))
    return path


@pytest.mark.parametrize("size", [1, 100, 10**6])
def test_parts_are_small_and_make_the_wheel(size: int, wheel: Path, tmp_path: Path) -> None:
    size = max(size, wheel.stat().st_size // 900)
    parts = carry.split(wheel, tmp_path / "parts", size)
    assert sum(part.stat().st_size for part in parts) == wheel.stat().st_size
    assert max(part.stat().st_size for part in parts) <= size
    assert carry.join(tmp_path / "parts").read_bytes() == wheel.read_bytes()


def test_parts_that_did_not_arrive_are_all_named(wheel: Path, tmp_path: Path) -> None:
    parts = carry.split(wheel, tmp_path / "parts", 300)
    parts[0].unlink()
    parts[1].write_bytes(b"x" + parts[1].read_bytes()[1:])
    with pytest.raises(SystemExit) as refused:
        carry.join(tmp_path / "parts")
    assert str(refused.value).splitlines() == [f"{parts[0].name} is missing.", f"{parts[1].name} is not what was sent."]
    assert not (tmp_path / "parts" / wheel.name).exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda listed: listed.update(sha256="0"), "not what was split"),
        (lambda listed: listed["parts"].pop(), "not what was split"),
        (lambda listed: listed.update(wheel="../other.whl"), "outside the folder"),
        (lambda listed: listed["parts"][0].update(name="/etc/passwd"), "outside the folder"),
    ],
)
def test_a_list_that_lies_makes_no_wheel(change: Any, said: str, wheel: Path, tmp_path: Path) -> None:
    carry.split(wheel, tmp_path / "parts", 300)
    listed = json.loads((tmp_path / "parts" / carry.LIST).read_text())
    change(listed)
    (tmp_path / "parts" / carry.LIST).write_text(json.dumps(listed))
    with pytest.raises(SystemExit, match=said):
        carry.join(tmp_path / "parts")
    assert not list(tmp_path.glob("**/other.whl*"))
    assert not list((tmp_path / "parts").glob("*.joining"))


def test_parts_of_two_wheels_do_not_mix(wheel: Path, tmp_path: Path) -> None:
    carry.split(wheel, tmp_path / "parts")
    with pytest.raises(SystemExit, match="not empty"):
        carry.split(wheel, tmp_path / "parts")


def test_what_is_not_needed_is_left_out_and_the_rest_is_installed(wheel: Path, tmp_path: Path) -> None:
    """As on the machine: joined by the file alone, and imported from there."""
    parts = tmp_path / "parts"
    carry.main(["split", str(wheel), str(parts), "--without", "*/other_*.so", "--imports", "toy_carried"])
    subprocess.run([sys.executable, "-I", carry.__file__, "join", str(parts)], check=True)
    with zipfile.ZipFile(parts / wheel.name) as file:
        assert {*file.namelist()} == {*FILES, RECORD} - {"toy_carried/other_card.so"}
        assert b"other_card" not in file.read(RECORD)
    carry.try_import(parts / wheel.name, "toy_carried")


def test_what_is_needed_stays(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"toy_carried cannot be imported from .*needed"):
        carry.slim(wheel, ["*/needed.py"], "toy_carried", tmp_path / "parts")
    with pytest.raises(SystemExit, match="no file that is called nothing"):
        carry.slim(wheel, ["nothing"], "toy_carried", tmp_path / "parts")
    with pytest.raises(SystemExit):
        carry.main(["split", str(wheel), str(tmp_path / "parts"), "--without", "*/needed.py"])
    assert not (tmp_path / "parts" / carry.LIST).exists()
