"""Data sets as a registered kind: one's own by name, with fields, from Python and from the command line."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import torch

import stawm
from stawm import cli, registry
from stawm.configuration import Config as BaseConfig
from stawm.configuration import Interval
from stawm.errors import InputError
from stawm.training import data
from stawm.training.data import ImageSet, Request, Source, Splits
from stawm.training.data.sources import fields_of, open_source, spelled


@pytest.fixture
def stripes(monkeypatch: pytest.MonkeyPatch) -> type[Source]:
    """A data set of a package: upright and level stripes."""
    monkeypatch.setattr(registry, "_registered", {})

    @stawm.register("data", "stripes", summary="Upright and level stripes.")
    class Stripes(Source):
        folders = ()
        takes_folder = False

        @dataclass(frozen=True, kw_only=True)
        class Config(BaseConfig):
            name: str = "stripes"
            count: Annotated[int, Interval(4, 100)] = 20
            width: Annotated[int, Interval(1, 8)] = 2

        def load(self, request: Request) -> Splits:
            side = torch.arange(16) // self.config.width % 2 * 255
            level = side.to(torch.uint8).expand(16, 16)
            images = torch.stack([level, level.T])[torch.arange(self.config.count) % 2][:, None].contiguous()
            whole = ImageSet(images, torch.arange(self.config.count) % 2, ("upright", "level"))
            return data.hold_out_last(whole, self.config.count // 4)

        def channels(self) -> int:
            return 1

    return Stripes


def test_ones_own_set_has_a_name_and_fields(stripes: type[Source]):
    train, test = data.load("stripes", count=40, width=4)
    assert (len(train), len(test), train.shape, train.source) == (30, 10, (1, 16, 16), "stripes")
    assert train.images[0, 0, 0].tolist() == [0] * 4 + [255] * 4 + [0] * 4 + [255] * 4
    assert "stripes" in stawm.list_names("data")
    assert stawm.describe("stripes").fields["width"]["legal"] == "an integer in [1, 8]"
    assert data.channels_of("stripes") == 1
    with pytest.raises(InputError, match=r"No data set named 'stripe'\. Did you mean 'stripes'"):
        data.load("stripe")
    with pytest.raises(InputError, match="'stripes:here' takes no folder"):
        data.load("stripes:here")


def test_it_is_trained_and_measured_on_from_the_command_line(
    stripes: type[Source], tmp_path: Any, capsys: pytest.CaptureFixture[str]
):
    model = ["memory_size=8", "hidden_size=8", "glimpses=1", "recipe.epochs=1"]
    options = ["--out", str(tmp_path), "--cpu", "--json", "--pictures", "0"]
    assert cli.main(["train", "stawm-digits", "--data", "stripes", *options, *model, "data.count=40"]) == 0
    capsys.readouterr()
    assert cli.main(["eval", str(tmp_path), "--data", "stripes", "data.count=80", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 20
    assert cli.main(["eval", str(tmp_path), "--data", "stripes", "data.cuont=80"]) == 1
    assert "stripes has no field 'cuont'. Did you mean 'count'" in capsys.readouterr().err
    assert cli.main(["eval", str(tmp_path), "--data", "stripes", "glimpses=2"]) == 1
    assert "does not know 'glimpses=2'" in capsys.readouterr().err
    assert cli.main(["list", "data", "str*"]) == 0
    assert capsys.readouterr().out == "  stripes  Upright and level stripes.\n"


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("digits", {}),
        ("mnist:here", {}),
        ("emnist-letters:a,b", {}),
        ("figure-ground:a,b,c", {}),
        ("clutter:here", {"size": 60, "digit_size": [14, 28]}),
        ("clutter", {"things": "digits"}),
    ],
)
def test_a_name_with_its_fields_comes_back(source: str, fields: dict[str, Any]):
    config = open_source(source, fields).config
    assert (spelled(config), fields_of(config)) == (source, fields)
    assert open_source(json.loads(json.dumps(config.to_dict()))).config == config


def test_every_set_can_be_described_and_says_its_folders():
    for name in stawm.list_names("data", origin="stawm"):
        found = registry.find("data", name).load()
        assert issubclass(found, Source)
        assert {*found.folders} <= {*stawm.describe(name, "data").fields}
        assert all(default == "" for default in (getattr(found().config, key) for key in found.folders))
