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
    assert "| error | 1.00 % |" in card.text
    assert "- seed: 3\n" in card.text
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


# Which file it is


@pytest.fixture
def cached(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository as the hub's cache keeps it, by the commit."""
    folder = tmp_path / "models--user--name" / "snapshots" / ("a1" * 20)
    hub.save_pretrained(model, folder, provenance=NOTED)
    monkeypatch.setattr(hub, "hf_hub_download", lambda **_: str(folder / "model.safetensors"))
    return folder


def test_the_commit_is_kept_and_said(cached: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = hub.from_pretrained("user/name", revision="main").loaded
    assert (found.repository, found.revision) == ("user/name", "a1" * 20)
    assert found.sha256 == stawm.inspect(cached / "model.safetensors").sha256
    assert f"commit {'a1' * 20} was loaded. A branch can move" in caplog.text
    caplog.clear()
    built = stawm.build(stawm.inspect(cached / "model.safetensors").config, pretrained="user/name").loaded
    assert (built.repository, built.revision) == ("user/name", "a1" * 20)
    assert "A branch can move" in caplog.text
    caplog.clear()
    assert hub.download("user/name") == cached / "model.safetensors"
    assert "A branch can move" in caplog.text


def test_a_commit_or_a_hash_pins_it(cached: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = stawm.inspect(cached / "model.safetensors").sha256
    assert hub.from_pretrained("user/name", sha256=known).loaded.sha256 == known
    hub.download(f"user/name@{'a1' * 20}")
    assert not caplog.records
    with pytest.raises(CheckpointError, match=f"its sha256 is {known}, not"):
        hub.from_pretrained("user/name", sha256="0" * 64)
    with pytest.raises(CheckpointError, match="not the file that was asked for"):
        hub.from_pretrained(cached, sha256="0" * 64)


@pytest.mark.parametrize("config", ["[]", '"x"', "3", "null", "[" * 100_000, '{"a":' * 5_000, "{", "\0"])
def test_whatever_its_configuration_says_is_not_asked(model: Model, cached: Path, config: str) -> None:
    (cached / "config.json").write_text(config)
    assert same(model, hub.from_pretrained("user/name"))
    assert same(model, hub.from_pretrained(cached))


def test_without_a_network_the_cache_is_asked_and_the_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(*, local_files_only: bool, **_: Any) -> str:
        asked.append(local_files_only)
        raise LocalEntryNotFoundError("nothing in the cache")

    def refuse(*_: Any, timeout: float, **__: Any) -> None:
        assert timeout <= 5
        raise OSError("no route")

    monkeypatch.setattr(hub, "hf_hub_download", fetch)
    monkeypatch.setattr("stawm.network.getproxies", dict)
    monkeypatch.setattr("socket.create_connection", refuse)
    for call in (hub.from_pretrained, lambda name: stawm.build("stawm-digits", pretrained=name)):
        with pytest.raises(CheckpointError, match=r"hub, https://.*, cannot be reached: there is no network here"):
            call("user/name")
    assert asked == [True, True]


def test_weights_of_timm_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("stawm.nn.backbones.timm_network.hub_is_reachable", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))
    network = {"name": "timm:test_resnet", "pretrained": True}
    with pytest.raises(CheckpointError, match=r"no network here.*With pretrained=false the network starts at random"):
        stawm.build("mnv2-cifar", backbone=network)
    assert huggingface_hub.constants.HF_HUB_OFFLINE is False


def test_a_folder_beside_is_not_asked_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "hf_hub_download", lambda **_: pytest.fail("the hub was asked"))
    (tmp_path / "runs").mkdir()
    with pytest.raises(CheckpointError, match=r"the folder runs is here, and holds no best\. For the repository"):
        stawm.build("stawm-digits", pretrained="runs/best")


def test_options_that_are_none(cached: Path) -> None:
    with pytest.raises(InputError, match="no option 'tokn'; there are cache_dir"):
        hub.from_pretrained("user/name", tokn="x")


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
