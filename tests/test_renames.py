"""Names that were changed: the old one goes on, with one warning, is hidden, and stays legal in files."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.version import Version

import stawm
from stawm import cli, registry
from stawm.catalog.entry import Entry
from stawm.configuration import resolve
from stawm.errors import ConfigError, UnknownNameError
from stawm.models.config import from_mapping
from stawm.registry import Kind
from stawm.storage.pretrained import resolve_weights
from stawm.training import data
from stawm.training.data.sources import channels_of
from stawm.training.trainer import make_plan
from tests.plugins import MEMORY, Install
from tests.small import tiny

TODAY = {
    Kind.MEMORY: "fast-weights",
    Kind.BACKBONE: "conv",
    Kind.LOCATOR: "crop",
    Kind.CANVAS: "addition",
    Kind.HEAD: "classification",
    Kind.DATA: "digits",
    Kind.PRESET: "stawm-digits",
}
FIELD = {kind: "heads" if kind is Kind.HEAD else str(kind) for kind in TODAY}
PARTS = [kind for kind in TODAY if kind not in (Kind.DATA, Kind.PRESET)]
every_kind = pytest.mark.parametrize("kind", TODAY)
every_part = pytest.mark.parametrize("kind", PARTS)
Rename = Callable[..., None]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def rename(monkeypatch: pytest.MonkeyPatch) -> Rename:
    """Let a component of stawm's own have had another name, as an entry of its catalogue says it."""
    own = dict(registry._builtin())

    def add(kind: Kind, old: str = "old-name", new: str | None = None) -> None:
        entry = Entry(kind=kind, name=old, replaced_by=new or TODAY[kind], removed_in="9.1")
        own[kind, old] = entry
        monkeypatch.setattr(registry, "_builtin", cache(lambda: own))

    return add


def said(call: Callable[[], Any]) -> tuple[Any, list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        return call(), found


def message(kind: Kind, old: str = "old-name", new: str | None = None) -> str:
    return f"The {kind} {old!r} is called {new or TODAY[kind]!r} now; the old name will be gone in stawm 9.1."


@every_part
@pytest.mark.parametrize("form", [lambda name: name, lambda name: {"name": name}], ids=["name", "mapping"])
def test_a_model_is_built_with_one_warning(kind: Kind, form: Callable[[str], Any], rename: Rename) -> None:
    rename(kind)
    model, warned = said(lambda: stawm.build("stawm-digits", **{FIELD[kind]: form("old-name")}))
    assert [(str(w.message), w.category) for w in warned] == [(message(kind), DeprecationWarning)]
    assert Path(warned[0].filename) == Path(__file__), "the warning points at the line that used the old name"
    assert model.config == stawm.config("stawm-digits", **{FIELD[kind]: TODAY[kind]})


def test_several_old_names_are_told_together(rename: Rename) -> None:
    for kind in (Kind.MEMORY, Kind.LOCATOR):
        rename(kind)
    _, warned = said(lambda: stawm.build("stawm-digits", memory="old-name", locator="old-name"))
    assert sorted(str(w.message) for w in warned) == sorted(map(message, (Kind.MEMORY, Kind.LOCATOR)))


def test_a_configuration_under_the_old_name_is_one_under_the_new(rename: Rename) -> None:
    rename(Kind.MEMORY)
    config = resolve("memory", "fast-weights").replace(name="old-name", decay=0.5)
    found, warned = said(lambda: stawm.config("stawm-digits", memory=config))
    assert len(warned) == 1
    assert (found.memory.name, found.memory.decay) == ("fast-weights", 0.5)


@every_part
def test_a_component_is_built_alone(kind: Kind, rename: Rename) -> None:
    rename(kind)
    sizes: dict[Kind, dict[str, Any]] = {Kind.MEMORY: {"memory_size": 4}}
    if kind in sizes:
        found, warned = said(lambda: stawm.build_component(kind, "old-name", **sizes[kind]))
        assert found.config.name == TODAY[kind]
    else:
        found, warned = said(lambda: resolve(kind, "old-name"))
        assert found == resolve(kind, TODAY[kind])
    assert [str(w.message) for w in warned] == [message(kind)]


def test_an_argument_goes_along(rename: Rename) -> None:
    rename(Kind.BACKBONE, new="timm")
    (name, warned) = said(lambda: registry.current("backbone", "old-name:test_vit"))
    assert name == "timm:test_vit"
    assert [str(w.message) for w in warned] == [message(Kind.BACKBONE, new="timm:test_vit")]


def test_a_preset_is_built_with_one_warning(rename: Rename) -> None:
    rename(Kind.PRESET, new="stawm-mnist-8")
    for given in ("old-name", {"preset": "old-name"}):
        for options in ({}, {"pretrained": True}):
            model, warned = said(lambda given=given, options=options: stawm.build(given, **options))
            assert [str(w.message) for w in warned] == [message(Kind.PRESET, new="stawm-mnist-8")]
            assert model.config.name == ("stawm-mnist-8.fast" if options else "stawm-mnist-8")
    path, warned = said(lambda: resolve_weights("old-name"))
    assert (path, len(warned)) == (resolve_weights("stawm-mnist-8"), 1)


def test_a_run_of_a_preset_under_its_old_name_trains_the_variant(rename: Rename) -> None:
    rename(Kind.PRESET, new="stawm-mnist-8")
    plan, warned = said(lambda: make_plan("old-name", "fast"))
    assert plan.config == make_plan("stawm-mnist-8", "fast").config
    assert len(warned) == 1


def test_data_under_its_old_name(rename: Rename) -> None:
    rename(Kind.DATA)
    found, warned = said(lambda: data.load("old-name"))
    assert found.train.source == "digits"
    assert [str(w.message) for w in warned] == [message(Kind.DATA)]
    assert said(lambda: channels_of("old-name"))[0] == channels_of("digits")


@every_kind
def test_the_old_name_is_hidden(kind: Kind, rename: Rename, capsys: pytest.CaptureFixture[str]) -> None:
    listed = [*stawm.list_names(kind, ("*", "*.*"))]
    rename(kind)
    assert stawm.list_names(kind, ("*", "*.*")) == listed
    assert "old-name" not in registry.entries(kind)
    assert cli.main(["list", str(kind), "--json"]) == 0
    assert "old-name" not in {entry["name"] for entry in json.loads(capsys.readouterr().out)}
    with pytest.raises(UnknownNameError) as caught:
        registry.find(kind, "old-nam")
    assert "old-name" not in str(caught.value)


@every_kind
def test_the_old_name_is_described_as_what_it_is_called_now(kind: Kind, rename: Rename) -> None:
    rename(kind)
    found, warned = said(lambda: stawm.describe("old-name", kind=kind))
    assert found == stawm.describe(TODAY[kind], kind=kind)
    assert [str(w.message) for w in warned] == [message(kind)]
    assert said(lambda: stawm.describe("old-name"))[0] == found


def test_a_script_shows_it_as_python_shows_what_the_main_module_does(tmp_path: Path) -> None:
    """And so does the command line, whose main module calls stawm."""
    changed = "'preset', 'old-name', replaced_by='stawm-digits', removed_in='9.1', origin='stawm'"
    script = tmp_path / "mine.py"
    use = "from stawm import registry\nregistry.current('preset', 'old-name')"
    script.write_text(f"import stawm\nstawm.register({changed})({{}})\n{use}\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert f"{script}:4: DeprecationWarning: {message(Kind.PRESET)}" in done.stderr


# Files


def called(kind: Kind, name: str) -> type:
    """A component of stawm's under a name of its own."""
    base: Any = registry.find(kind, TODAY[kind]).load()

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        name: str = "the-name"

    Config.__dataclass_fields__["name"].default = name
    return type("Called", (base,), {"Config": Config, "__module__": __name__, "__doc__": "A part."})


@every_part
def test_a_checkpoint_of_the_old_name_loads_without_a_word(kind: Kind, tmp_path: Path) -> None:
    """Also of a head, whose tensors are called after it."""
    part, path = called(kind, "old-name"), tmp_path / "m.safetensors"
    stawm.register(kind, "old-name")(part)
    given: Any = {FIELD[kind]: {"name": "old-name"}}
    heads = {} if kind is Kind.HEAD else {"heads": ["classification", "drawing"]}
    before = tiny(**heads, **given)
    stawm.save(before, path)
    registry._registered.clear()
    stawm.register(kind, "new-name")(part)
    stawm.register(kind, "old-name", replaced_by="new-name", removed_in="2.0")(part)
    after = stawm.load(path)
    used = after.config.heads[0] if kind is Kind.HEAD else getattr(after.config, FIELD[kind])
    assert used.name == "new-name"
    assert all(
        torch.equal(a, b) for a, b in zip(before.state_dict().values(), after.state_dict().values(), strict=True)
    )
    again = tmp_path / "again.safetensors"
    stawm.save(after, again)
    assert "old-name" not in json.dumps(stawm.inspect(again).as_dict())


def test_a_checkpoint_of_a_preset_of_the_old_name_loads_without_a_word(rename: Rename, tmp_path: Path) -> None:
    model = tiny()
    model.config = model.config.replace(name="old-name")
    stawm.save(model, tmp_path / "m.safetensors")
    assert stawm.load(tmp_path / "m.safetensors").config.name == "old-name", "a name of one's own stays"
    rename(Kind.PRESET)
    loaded = stawm.load(tmp_path / "m.safetensors")
    assert loaded.config.name == "stawm-digits"
    assert stawm.cite(loaded)


def test_a_mapping_that_a_user_gives_warns(rename: Rename) -> None:
    rename(Kind.MEMORY)
    fields = stawm.config("stawm-digits", memory="fast-weights").to_dict()
    found, warned = said(lambda: from_mapping({**fields, "memory": {**fields["memory"], "name": "old-name"}}))
    assert len(warned) == 1
    assert found.memory.name == "fast-weights"


# What may be said of a change


def test_a_name_that_was_changed_twice(rename: Rename) -> None:
    rename(Kind.MEMORY, "older-name", "old-name")
    rename(Kind.MEMORY)
    found, warned = said(lambda: resolve("memory", "older-name"))
    assert found.name == "fast-weights"
    assert [str(w.message) for w in warned] == [message(Kind.MEMORY, "older-name")]


def test_names_that_lead_round_in_a_circle(rename: Rename) -> None:
    rename(Kind.MEMORY, "old-name", "other-name")
    rename(Kind.MEMORY, "other-name", "old-name")
    with pytest.raises(ConfigError, match="lead nowhere: old-name to other-name to old-name"):
        resolve("memory", "old-name")


def test_a_new_name_that_is_not_there(rename: Rename) -> None:
    rename(Kind.MEMORY, new="no-such-memory")
    with pytest.raises(UnknownNameError, match="No memory named 'no-such-memory'"):
        said(lambda: resolve("memory", "old-name"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"replaced_by": "new"}, "go together"),
        ({"removed_in": "2.0"}, "go together"),
        ({"replaced_by": "old", "removed_in": "2.0"}, "must be another legal name"),
        ({"replaced_by": "No Name", "removed_in": "2.0"}, "must be another legal name"),
        ({"replaced_by": 3, "removed_in": "2.0"}, "replaced_by must be a string"),
        ({"replaced_by": "new", "removed_in": 2.0}, "removed_in must be a string"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_change_that_is_not_legal(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        stawm.register("memory", "old", **given)
    assert registry._registered == {}


def test_a_plugin_may_change_its_names(install_plugin: Install) -> None:
    """Its module registers the old name; until it is imported, nothing tells that the name was changed."""
    old = "@stawm.register('memory', 'its-old', replaced_by='mine', removed_in='3.0', origin='theirs 1.2')\nclass Mine"
    source = "import stawm\n" + MEMORY.replace("class Mine", old)
    points = {"memory.mine": "changed_memory:Mine", "memory.its-old": "changed_memory:Mine"}
    install_plugin("theirs", {"changed_memory": source}, points)
    found, warned = said(lambda: stawm.config("stawm-digits", memory="its-old"))
    assert found.memory.name == "mine"
    assert [str(w.message) for w in warned] == [
        "The memory 'its-old' is called 'mine' now; the old name will be gone in theirs 3.0."
    ]
    assert "its-old" not in stawm.list_names("memory")


def test_what_stawm_itself_renamed_is_there_and_not_overdue() -> None:
    """A name whose time is over is taken out of the catalogue."""
    for entry in registry._builtin().values():
        if entry.replaced_by is not None:
            assert entry.removed_in is not None
            assert registry._builtin()[entry.kind, entry.replaced_by].replaced_by is None
            assert Version(entry.removed_in) > Version(stawm.__version__)
