"""What a version of PyTorch is tried with, and that what it does not do is told."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stawm import registry

ROOT = Path(__file__).parents[2]


@pytest.fixture
def versions() -> ModuleType:
    spec = importlib.util.spec_from_file_location("versions", ROOT / "tools" / "versions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_oldest_is_the_one_that_is_allowed(versions: ModuleType) -> None:
    assert f'"torch>={versions.oldest()}"' in (ROOT / "pyproject.toml").read_text()
    asked = {"oldest": f"torch=={versions.oldest()}.*", "newest": "torch", "2.11": "torch==2.11.*"}
    assert {version: versions.requirement(version) for version in asked} == asked


def test_the_environment_has_that_version_and_none_of_this_one(
    versions: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[list[str], Any]] = []
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setattr(versions.venv, "create", lambda folder, **_: folder.mkdir())
    versions.try_in(tmp_path / "env", "2.11", lambda command, **options: commands.append((command, options)))
    (install, _), (there, options) = commands
    assert install[1:] == ["-m", "pip", "install", "--quiet", "--upgrade", "torch==2.11.*", f"{ROOT}[train,export]"]
    assert there[1:] == [str(ROOT / "tools" / "versions.py"), "here"]
    assert Path(install[0]).is_relative_to(tmp_path / "env")
    assert install[0] == there[0]
    assert all(options["check"] and "PYTHONPATH" not in options["env"] for _, options in commands)
    assert options["cwd"] == tmp_path / "env"


def test_every_memory_and_locator_is_tried(versions: ModuleType) -> None:
    tried = versions.models()
    for kind in ("memory", "locator"):
        assert {*registry.list_names(kind, origin="stawm")} <= {*tried}
    assert versions.small(**tried["timm"]).config.backbone.name == "timm:test_efficientnet"


def test_a_trial_that_fails_is_told_and_ends_no_other(
    versions: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def learn(model: Any, *, compiled: bool) -> None:
        if compiled:
            raise RuntimeError("cannot\ntrace")

    monkeypatch.setattr(versions, "models", lambda: {"oja": {"memory": "oja"}})
    monkeypatch.setattr(versions, "learn", learn)
    monkeypatch.setattr(versions, "export", lambda model, graph: None)
    assert versions.try_here() == ["compile and train, oja: RuntimeError: cannot trace"]
    assert "right   export, oja\nright   export of steps" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        versions.main(["here"])
    assert "cannot trace" in str(end.value)
