"""Files that name what is not here, or are of no form: refused with a sentence, and nothing is imported."""

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm.errors import CheckpointError
from stawm.storage.file import pack, read
from tests.plugins import MEMORY, Install
from tests.small import tiny
from tests.storage.files import config_of, fixtures, forged, same


def test_a_component_that_is_not_known(saved: bytes, path: Path) -> None:
    stranger = {"memory": {"name": "my-rule", "decay": 1}}
    origins = {"memory.my-rule": "my-memories 1.2", "backbone.conv": "stawm 0.1.0"}
    forged(saved, path)
    forged(saved, path, config={**config_of(path), **stranger}, origins=origins)
    for reading in (stawm.load, stawm.inspect):
        with pytest.raises(CheckpointError) as caught:
            reading(path)
        assert "describes a model that is not known here: No memory named 'my-rule'" in str(caught.value)
        assert "memory.my-rule came with my-memories 1.2: install that." in str(caught.value)
        assert "backbone.conv came" not in str(caught.value)


def test_a_plugin_comes_back_and_is_missed(
    path: Path, install_plugin: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin("my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine"})
    model = tiny(memory="mine")
    stawm.save(model, path)
    assert stawm.inspect(path).origins["memory.mine"] == "my-memories 1.2"
    assert same(stawm.load(path), model)
    monkeypatch.setenv("STAWM_PLUGINS", "0")
    with pytest.raises(CheckpointError, match=r"'mine'.*memory\.mine came with my-memories 1\.2: install that"):
        stawm.load(path)


def test_loading_imports_no_plugin_that_is_not_named(path: Path, install_plugin: Install) -> None:
    stawm.save(tiny(), path)
    install_plugin("idle", {"idle_memory": MEMORY}, {"memory.idle": "idle_memory:Mine"})
    stawm.load(path)
    assert "idle_memory" not in sys.modules
    forged(path.read_bytes(), path, config={**config_of(path), "memory": {"name": "nobodys"}})
    with pytest.raises(CheckpointError, match="No memory named 'nobodys'"):
        stawm.load(path)
    assert "idle_memory" not in sys.modules, "nor for a message"


def test_a_path_in_a_file_is_not_imported(saved: bytes, path: Path) -> None:
    sys.modules.pop("antigravity", None)
    for name in ("antigravity:fly", "antigravity", "os:system", "stawm.nn.memories.fast_weights:FastWeights"):
        forged(saved, path)
        forged(saved, path, config={**config_of(path), "memory": {"name": name}})
        with pytest.raises(CheckpointError, match="No memory named"):
            stawm.load(path)
    assert "antigravity" not in sys.modules


def test_nothing_is_downloaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = {"name": "timm:resnet18", "total_stride": 8}
    model = tiny(image=(3, 16, 16), glimpse_size=16, backbone=network, context={"layers": "4@3/2"})
    model.config = model.config.replace(backbone=model.config.backbone.replace(pretrained=True))
    stawm.save(model, path)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))
    loaded = stawm.load(path)
    assert same(loaded, model)
    assert loaded.config == model.config, "what it was made from is kept"
    built = stawm.build(model.config, pretrained=path)
    assert same(built, model)
    assert built.config == model.config


@pytest.mark.parametrize(
    "fields",
    [
        {"config": "{"},
        {"config": "[" * 100_000},
        {"config": []},
        {"config": 3},
        {"origins": []},
        {"origins": "x"},
        {"versions": None},
        {"provenance": [1]},
        {"dtype": "int8"},
        {"dtype": "torch.float32"},
        {"config": {}},
        {"config": {"family": []}},
        {"config": {"family": "baseline"}},
    ],
    ids=str,
)
def test_headers_of_the_wrong_form(fields: dict[str, Any], saved: bytes, path: Path) -> None:
    forged(saved, path, **fields)
    for reading in (stawm.load, stawm.inspect):
        with pytest.raises(CheckpointError):
            reading(path)


def test_a_header_that_lacks_a_field(saved: bytes, path: Path) -> None:
    path.write_bytes(saved)
    header, found = read(path)
    for lacking in ("stawm.config", "stawm.version", "stawm.dtype", "stawm.provenance"):
        path.write_bytes(pack({k: v for k, v in header.fields.items() if k != lacking}, found))
        with pytest.raises(CheckpointError, match=f"cannot be understood .*{lacking}"):
            stawm.inspect(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "layers", "x"]), inner),
    max_leaves=4,
)


@fixtures
@given(data=st.data())
def test_any_configuration_in_a_file_is_a_model_or_a_fault(
    data: st.DataObject, saved: bytes, tmp_path: Path, unchecked: None
) -> None:
    path = forged(saved, tmp_path / "x")
    fields = config_of(path)
    key = data.draw(st.sampled_from(sorted(fields)))
    fields[key] = data.draw(json_values)
    forged(saved, path, config=fields)
    try:
        assert stawm.load(path).config.name == fields["name"]
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017  (both ends are right)


@pytest.mark.parametrize("changes", [{"memory_size": 10**12}, {"hidden_size": 10**9}, {"glimpse_size": 10**8}])
def test_sizes_that_no_machine_holds(changes: dict[str, Any], saved: bytes, path: Path) -> None:
    forged(saved, path)
    forged(saved, path, config={**config_of(path), **changes})
    with pytest.raises(CheckpointError):
        stawm.load(path)


def test_a_model_that_cannot_be_built(saved: bytes, path: Path) -> None:
    forged(saved, path)
    forged(saved, path, config={**config_of(path), "glimpse_size": 2})
    with pytest.raises(CheckpointError, match=r"cannot be built here: .*does not fit images of 2x2"):
        stawm.load(path)
