"""Models in repositories of the hub; nothing here reaches for the network."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

import stawm
from stawm import hub
from stawm.errors import CheckpointError, InputError
from stawm.models.model import Model
from tests.small import inputs, shaken, tensors, tiny

NOTED = {"seed": 3, "test": {"error": 0.01}}


@pytest.fixture(scope="module")
def model() -> Model:
    return shaken(tiny()).eval()


@pytest.fixture
def repository(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository `user/name` that lies on this machine."""
    folder = tmp_path / "repository"
    hub.save_pretrained(model, folder, provenance=NOTED)

    def fetch(*, repo_id: str, filename: str, revision: str | None = None, **_: Any) -> str:
        if repo_id != "user/name" or revision not in (None, "v1"):
            raise LocalEntryNotFoundError(f"no {filename} of {repo_id} in the cache\nand offline")
        return str(folder / filename)

    for module in (hub, huggingface_hub.hub_mixin):
        monkeypatch.setattr(module, "hf_hub_download", fetch)
    return folder


def same(a: Model, b: Model) -> bool:
    images, _ = inputs(a)
    expected, found = tensors(a(images)), tensors(b(images))
    return a.config == b.config and all(found[name].equal(value) for name, value in expected.items())


def test_a_folder_comes_back(model: Model, repository: Path) -> None:
    assert sorted(path.name for path in repository.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert same(model, hub.from_pretrained(repository))
    assert same(model, stawm.load(repository / "model.safetensors"))
    assert same(model, stawm.build(model.config, pretrained=repository))
    assert dict(stawm.inspect(repository / "model.safetensors").provenance) == NOTED
    assert json.loads((repository / "config.json").read_text())["configuration"] == model.config.to_dict()


def test_the_card_says_how_to_load_and_what_to_cite(model: Model, repository: Path) -> None:
    card = huggingface_hub.ModelCard.load(repository / "README.md")
    assert card.data.library_name == "stawm"
    assert "stawm" in card.data.tags
    assert "stawm.hub.from_pretrained(" in card.text
    assert "(b, 1, 12, 12)" in card.text
    assert '- test: {"error": 0.01}' in card.text
    assert stawm.cite(model) in card.text


@pytest.mark.parametrize("given", ["user/name", "user/name@v1"])
def test_a_repository_is_fetched(model: Model, repository: Path, given: str) -> None:
    assert same(model, stawm.build(model.config, pretrained=given))


def test_a_repository_comes_back_without_its_configuration(model: Model, repository: Path) -> None:
    assert same(model, hub.from_pretrained("user/name", revision="v1"))
    (repository / "config.json").write_text("{}")
    assert same(model, hub.from_pretrained("user/name"))


def test_what_is_uploaded_is_what_is_fetched(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def upload(self: Any, *, repo_id: str, folder_path: Path, **_: Any) -> str:
        shutil.copytree(folder_path, tmp_path / repo_id)
        return "commit"

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda _, repo_id, **__: SimpleNamespace(repo_id=repo_id))
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    assert hub.push_to_hub(model, "user/mine", provenance=NOTED, private=True) == "commit"
    assert same(model, hub.from_pretrained(tmp_path / "user" / "mine"))
    assert 'from_pretrained("user/mine")' in (tmp_path / "user" / "mine" / "README.md").read_text()


@pytest.mark.parametrize(("given", "words"), [("user/other", "'user/other'"), ("user/name@v2", "at 'v2'")])
def test_a_repository_that_is_not_there(repository: Path, given: str, words: str) -> None:
    with pytest.raises(CheckpointError, match=r"gave no model\.safetensors.*in the cache") as raised:
        stawm.build("stawm-digits", pretrained=given)
    assert words in str(raised.value)
    name, _, revision = given.partition("@")
    with pytest.raises(CheckpointError, match=words):
        hub.from_pretrained(name, revision=revision or None)


@pytest.mark.parametrize(
    "given", ["runs/x/model.safetensors", "a.safetensors", Path("user/name"), "user/a.safetensors"]
)
def test_a_path_is_never_taken_for_a_repository(repository: Path, given: Any) -> None:
    with pytest.raises(CheckpointError, match="Cannot read"):
        stawm.build("stawm-digits", pretrained=given)


def test_what_the_hub_refuses_is_said(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, repo_id: str, **_: Any) -> Any:
        raise OSError("no such user")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(InputError, match="Cannot upload to 'user/name': no such user"):
        hub.push_to_hub(model, "user/name")
    with pytest.raises(InputError, match="provenance must hold plain JSON"):
        hub.save_pretrained(model, tmp_path, provenance={"a": object()})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"Cannot write .*file"):
        hub.save_pretrained(model, tmp_path / "file")
