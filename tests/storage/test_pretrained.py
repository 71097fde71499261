"""Models by name: building, seeding, citing; components by name."""

import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import stawm
from stawm import cli, registry
from stawm.catalog.components import COMPONENTS, NETWORKS
from stawm.catalog.presets import PRESETS
from stawm.configuration import field_hints
from stawm.errors import CheckpointError, ConfigError, InputError, UnknownNameError
from stawm.models.baseline import Baseline
from stawm.models.cite import bibliography, references
from stawm.models.config import SharedConfig
from stawm.models.construct import construct
from stawm.models.model import Stawm
from stawm.storage import pretrained, shipped
from stawm.storage.pretrained import find_model, resolve_weights
from stawm.training.trainer import make_plan
from tests.plugins import MEMORY, Install
from tests.small import small


def weights(model: nn.Module) -> list[Tensor]:
    return [*model.state_dict().values()]


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_the_family_decides_what_is_built() -> None:
    assert type(stawm.build("stawm-digits")) is Stawm
    assert type(stawm.build("bvae-cifar")) is Baseline


def test_a_model_is_built_in_training_mode_from_what_config_says() -> None:
    model = stawm.build("stawm-digits", memory="fast-weights", glimpses=3)
    assert model.training
    assert model.config == stawm.config("stawm-digits", memory="fast-weights", glimpses=3)
    assert stawm.build(model.config).config == model.config
    assert stawm.build(model.config.to_dict()).config == model.config


def test_a_seed_decides_the_weights_and_leaves_the_global_generator() -> None:
    before = torch.get_rng_state()
    first, again = stawm.build("stawm-digits", seed=3), stawm.build("stawm-digits", seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(first, again)
    assert not same(first, stawm.build("stawm-digits", seed=4))


def test_without_a_seed_the_global_generator_decides() -> None:
    torch.manual_seed(3)
    first = stawm.build("stawm-digits")
    assert not same(first, stawm.build("stawm-digits"))
    torch.manual_seed(3)
    assert same(first, stawm.build("stawm-digits"))


def test_the_seed_is_that_of_the_global_generator() -> None:
    torch.manual_seed(3)
    assert same(stawm.build("stawm-digits"), stawm.build("stawm-digits", seed=3))


def test_all_parts_that_cannot_be_built_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        stawm.build("stawm-mnist-8", glimpse_size=3, context={"layers": "8@29/1"})
    assert len(caught.value.faults) == 2
    assert "8@29/1" in caught.value.faults[0]
    assert "64@3/1 128@3/2" in caught.value.faults[1]


def test_a_configuration_that_describes_no_model() -> None:
    found = stawm.config("bvae-cifar")
    shared = SharedConfig(**{key: getattr(found, key) for key in field_hints(SharedConfig)})
    with pytest.raises(ConfigError, match="SharedConfig describes no model"):
        construct(shared)


def test_presets_made_from_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    stawm.register("preset", "a")({"preset": "b"})
    stawm.register("preset", "b")({"preset": "a"})
    with pytest.raises(ConfigError, match="'a' is made from itself: a from b from a"):
        stawm.config("a")


def test_presets_of_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    digits = stawm.config("stawm-digits")
    forms: list[Any] = [digits, digits.to_dict(), {"preset": "stawm-digits"}, lambda: digits]
    for i, form in enumerate(forms):
        stawm.register("preset", f"form-{i}")(form)
        assert stawm.config(f"form-{i}") == digits.replace(name=f"form-{i}")


def test_a_component_alone() -> None:
    memory = stawm.build_component("memory", "fast-weights", memory_size=16, decay=0.5)
    assert (memory.memory_size, memory.config.decay) == (16, 0.5)
    locator = stawm.build_component("locator", {"name": "crop", "padding": "border"}, glimpse_size=4, image_size=(8, 9))
    assert (locator.config.padding, locator.image_size) == ("border", (8, 9))
    again = stawm.build_component("memory", memory.config, memory_size=4)
    assert again.config == memory.config


def test_all_faults_of_a_component_are_raised_together() -> None:
    with pytest.raises(ConfigError) as caught:
        stawm.build_component("memory", "fast-weights", memry_size=16, decay=2)
    assert len(caught.value.faults) == 3
    assert "has no field 'memry_size'. Did you mean 'memory_size'?" in caught.value.faults[0]
    assert "needs memory_size" in caught.value.faults[1]
    assert "decay must be" in caught.value.faults[2]


def test_what_is_no_component() -> None:
    with pytest.raises(ConfigError, match=r"stawm\.build\(name\)"):
        stawm.build_component("preset", "stawm-digits")
    with pytest.raises(UnknownNameError, match="'fast-weights'"):
        stawm.build_component("memory", "fast-weight", memory_size=3)
    with pytest.raises(ConfigError, match="no field 'name'"):
        stawm.build_component("memory", "fast-weights", memory_size=3, name="delta")


# Which weights are meant


@pytest.fixture
def placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The same weights as a preset that ships, a file, a folder, and a repository of the hub."""
    model, folder = small("stawm-digits"), tmp_path / "run"
    folder.mkdir()
    for path in (tmp_path / "stawm-digits.safetensors", tmp_path / "m.safetensors", folder / "model.safetensors"):
        stawm.save(model, path)

    def download(repository: str) -> Path:
        assert repository == "user/name@v1"
        return tmp_path / "m.safetensors"

    monkeypatch.setattr(shipped, "weights_folder", lambda: tmp_path)
    monkeypatch.setattr(stawm.hub, "download", download)
    return {
        "preset": "stawm-digits",
        "file": str(tmp_path / "m.safetensors"),
        "path": tmp_path / "m.safetensors",
        "folder": str(folder),
        "hub": "user/name@v1",
    }


def printed(*argv: Any) -> Any:
    """What a command prints as JSON."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert cli.main([*map(str, argv), "--json"]) == 0
    return json.loads(out.getvalue())


CALLERS: dict[str, Callable[[Any], Any]] = {
    "resolve_weights": lambda given: stawm.inspect(resolve_weights(given)).sha256,
    "build": lambda given: weights(stawm.build("stawm-digits", pretrained=given)),
    "find_model": lambda given: weights(find_model(given)),
    "train": lambda given: make_plan("stawm-digits", "fast", {"start": given}).note("given")["start"],
    "eval": lambda given: printed("eval", given, "--data", "digits")["nll"],
    "diagnose": lambda given: printed("diagnose", given, "--data", "digits", "--images", 8)["glimpses"],
    "inspect": lambda given: printed("inspect", given)["sha256"],
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("kind", ["preset", "file", "path", "folder", "hub"])
def test_weights_are_given_in_the_same_forms_everywhere(placed: dict[str, Any], caller: str, kind: str) -> None:
    found, expected = CALLERS[caller](placed[kind]), CALLERS[caller](placed["file"])
    if isinstance(found, list) and isinstance(found[0], Tensor):
        assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))
    else:
        assert found == expected


@pytest.mark.parametrize("command", ["draw", "export", "verify"])
@pytest.mark.parametrize("kind", ["preset", "file", "folder", "hub"])
def test_the_other_commands_ask_the_same_function(
    command: str, kind: str, placed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(BaseException):
        """What follows is not of interest here."""

    def stopped(path: Any) -> None:
        assert Path(path).read_bytes() == Path(placed["file"]).read_bytes()
        raise Stop

    monkeypatch.setattr(pretrained, "load", stopped)
    argv = {
        "draw": ["draw", placed[kind], "--data", "digits"],
        "export": ["export", placed[kind], tmp_path / "m.onnx"],
        "verify": ["verify", tmp_path / "m.onnx", placed[kind]],
    }[command]
    with pytest.raises(Stop):
        cli.main([*map(str, argv)])


def test_a_file_or_folder_comes_before_a_preset_of_its_name(
    placed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_weights("stawm-digits") == tmp_path / "stawm-digits.safetensors"
    (tmp_path / "stawm-digits").mkdir()
    assert resolve_weights("stawm-digits") == Path("stawm-digits") / "model.safetensors"


@pytest.mark.parametrize("given", ["", None, 3, b"m", ["m"]])
def test_what_no_weights_can_be_given_by(given: Any, unchecked: None) -> None:
    for attempt in (resolve_weights, find_model, lambda given: stawm.build("stawm-digits", pretrained=given)):
        with pytest.raises(
            InputError, match=re.escape("Weights must be given by a preset's name, a file, a folder, or user/name")
        ):
            attempt(given)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Did you mean 'stawm-mnist-8\.fast'"):
        resolve_weights("stawm-mnist-8.fst")
    with pytest.raises(CheckpointError, match=r"Did you mean 'stawm-mnist-8' or 'stawm-mnist-28'\?"):
        resolve_weights("stawm-mnst-8")
    with pytest.raises(CheckpointError, match="there is no such file, folder or preset"):
        resolve_weights("a/b/c")
    with pytest.raises(CheckpointError, match=r"Cannot read .*gone\.safetensors: No such file"):
        find_model(tmp_path / "gone.safetensors")
    with pytest.raises(CheckpointError, match=r"Cannot read .*model\.safetensors: No such file"):
        find_model(tmp_path)
    with pytest.raises(CheckpointError, match="No weights come with stawm for 'stawm-cifar-mnv2'"):
        resolve_weights("stawm-cifar-mnv2")


# Citations


def keys(bibtex: str) -> list[str]:
    return re.findall(r"^@\w+\{([^,]+),", bibtex, flags=re.MULTILINE)


def test_every_cited_key_has_an_entry_and_every_entry_is_cited() -> None:
    cites = [*(entry.cites for entry in (*COMPONENTS, *PRESETS)), *NETWORKS.values()]
    cited = {key for keys in cites for key in keys}
    page = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^- `(\w+)`:", page, flags=re.MULTILINE))
    assert not cited & told
    assert cited | told == references().keys()


@pytest.mark.parametrize("key", sorted(references()))
def test_every_entry_is_well_formed(key: str) -> None:
    entry = references()[key]
    assert keys(entry) == [key]
    assert entry.startswith("@")
    assert entry.endswith("\n}")
    depth = 0
    for letter in entry:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    fields = re.findall(r"^  (\w+)\s*= \{", entry, flags=re.MULTILINE)
    assert {"author", "title", "year"} <= set(fields)
    assert len(fields) == len(set(fields))
    assert key.endswith(re.findall(r"year\s*= \{(\d{4})\}", entry)[0])
    assert key.removesuffix(key[-4:]) in re.sub(r"[^a-z]", "", entry.split("author")[1].split(",")[0].lower())


def test_a_model_cites_exactly_what_it_uses() -> None:
    assert keys(stawm.cite("stawm-mnist-8")) == ["harris2019", "jaderberg2015"]
    swapped = stawm.build("stawm-mnist-8", memory="delta", locator="filterbank")
    assert keys(stawm.cite(swapped)) == ["gregor2015", "harris2019", "schlag2021", "widrow1960", "yang2024"]
    assert "maddison2017" in keys(stawm.cite("stawm-celeba-draw-32"))
    assert "maddison2017" not in keys(stawm.cite(stawm.config("stawm-mnist-8", canvas="bernoulli"))), "it does not draw"


def test_a_preset_is_cited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all("harris2019" in entry.cites for entry in PRESETS if entry.name.startswith("stawm"))
    monkeypatch.setattr(registry, "_registered", {})
    stawm.register("preset", "mine", cites=["oja1982"])({"preset": "stawm-mnist-8"})
    assert keys(stawm.cite("mine")) == ["harris2019", "jaderberg2015", "oja1982"]


def test_networks_of_timm_cite_timm_and_what_is_known() -> None:
    assert {"wightman2019", "sandler2018"} <= set(keys(stawm.cite("stawm-cifar-mnv2")))
    swapped = stawm.config("stawm-cifar-mnv2", backbone="timm:resnet18")
    assert {"wightman2019", "he2016"} <= set(keys(stawm.cite(swapped)))
    assert "sandler2018" not in keys(stawm.cite(swapped))
    unknown = stawm.config("stawm-cifar-mnv2", backbone="timm:lcnet_050")
    assert keys(stawm.cite(unknown)) == ["harris2019", "jaderberg2015", "wightman2019"]


def test_entries_stand_once_and_in_order_of_their_keys() -> None:
    found = keys(stawm.cite("stawm-celeba-draw-32"))
    assert found == sorted(set(found))
    own = "@misc{aaa2000,\n  title = {Mine},\n}"
    assert keys(bibliography(["harris2019", own, "ba2016", own])) == ["aaa2000", "ba2016", "harris2019"]


def test_a_key_that_is_none() -> None:
    with pytest.raises(ConfigError, match="has no 'nobody1900': cite the whole BibTeX entry"):
        bibliography(["harris2019", "nobody1900"])


def test_a_renamed_model_cites_its_components() -> None:
    assert keys(stawm.cite(stawm.config("stawm-mnist-8", name="mine"))) == ["harris2019", "jaderberg2015"]


def test_a_plugin_cites_itself(install_plugin: Install) -> None:
    source = MEMORY.replace('("ba2016",)', '("@misc{mine2026,\\n  title = {Mine},\\n}",)')
    install_plugin("my-memories", {"my_memory": source}, {"memory.mine": "my_memory:Mine"})
    assert keys(stawm.cite(stawm.config("stawm-mnist-8", memory="mine"))) == ["harris2019", "jaderberg2015", "mine2026"]
