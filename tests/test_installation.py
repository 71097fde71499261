"""What `stawm env` tells of where stawm runs, also where something is not there."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

import stawm
from stawm import cli, installation
from stawm.errors import MissingPackageError
from stawm.lazy import EXTRAS, NEEDED, explained
from tests.plugins import MEMORY, Install

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
USED = ("export", "gpu", "train", "hub", "large", "ray", "triton")


def names(needs: list[str]) -> set[str]:
    return {Requirement(need).name for need in needs} - {"stawm"}


def test_every_package_that_stawm_uses_is_told() -> None:
    extras = PROJECT["optional-dependencies"]
    used = names(PROJECT["dependencies"]).union(*(names(extras[extra]) for extra in USED))
    assert set(installation.PACKAGES) == used


def test_every_package_that_stawm_needs_is_known_by_the_name_to_install() -> None:
    assert {*NEEDED.values()} == names(PROJECT["dependencies"])
    assert not EXTRAS.keys() & NEEDED.keys()


def test_it_tells_versions_devices_and_providers() -> None:
    found = stawm.environment()
    assert found.stawm == stawm.__version__
    assert (
        found.packages["torch"] == torch.__version__.partition("+")[0] or found.packages["torch"] == torch.__version__
    )
    assert found.python.startswith(".".join(map(str, sys.version_info[:3])))
    assert "CPUExecutionProvider" in found.providers
    assert found.devices[0].startswith("CPU")
    assert len([device for device in found.devices if device.startswith("cuda:")]) == torch.cuda.device_count()


def test_it_is_printed_and_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"stawm {stawm.__version__}, Python ")
    assert "  CPUExecutionProvider\n" in said
    assert cli.main(["env", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == stawm.environment().as_dict().keys()
    assert all(f"{name} {version}" in said for name, version in found["packages"].items() if version)


def test_it_holds_no_folder_and_nothing_of_the_environment_but_what_it_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STAWM_DATA", str(tmp_path))
    monkeypatch.setenv("A_PASSWORD", "open sesame")
    monkeypatch.setenv("STAWM_PLUGINS", "0")
    found = stawm.environment()
    assert found.variables["STAWM_PLUGINS"] == "0"
    assert found.variables.keys() <= {*installation.VARIABLES}
    for secret in (str(tmp_path), "open sesame", str(Path.home()), str(Path(stawm.__file__).parent)):
        assert secret not in str(found)


def test_plugins_are_told_and_those_that_are_broken(install_plugin: Install) -> None:
    install_plugin("my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine", "memory.gone": "nowhere:X"})
    found = stawm.environment()
    assert {"memory.mine from my-memories 1.2", "memory.gone from my-memories 1.2"} <= {*found.plugins}
    (fault,) = [said for said in found.faults if "plug-in" in said]
    assert "memory 'gone'" in fault
    assert "ModuleNotFoundError" in fault


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installation, "version", lacking)
    found = stawm.environment()
    assert set(found.packages.values()) == {None}
    assert "packages: none\n" in str(found)
    assert "  torch, torchvision, timm" in str(found)


def test_two_onnxruntimes_are_at_odds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "version", lambda name: "1")
    assert any("overwrite each other" in fault for fault in stawm.environment().faults)


WITHOUT = "import sys; sys.modules['torch'] = sys.modules['onnxruntime'] = None\nfrom stawm import cli\n"


def test_it_works_without_torch_and_onnxruntime() -> None:
    code = f"{WITHOUT}sys.exit(cli.main(['env', '--json']))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert (len(found["devices"]), found["providers"]) == (1, [])
    assert [fault.partition(" ")[0] for fault in found["faults"]] == ["torch", "onnxruntime"]


def test_a_command_without_torch_says_what_to_install() -> None:
    code = f"{WITHOUT}sys.exit(cli.main(['cite', 'stawm-digits']))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "stawm: this needs torch: pip install torch\n"


@pytest.mark.parametrize(("module", "words"), [("torch", "pip install torch"), ("sklearn.svm", "install scikit-learn")])
def test_a_package_that_stawm_needs_is_named_as_pip_knows_it(module: str, words: str) -> None:
    found = explained(ModuleNotFoundError(name=module))
    assert isinstance(found, MissingPackageError)
    assert str(found).endswith(words)
