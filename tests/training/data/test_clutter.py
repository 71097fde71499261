"""The data set clutter: what it reads, what it refuses, and that training on it goes on exactly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stawm.errors import ConfigError, InputError
from stawm.training import data, train
from stawm.training.data.clutter import scikit_photographs
from tests.training.files import make_folder, make_idx

LEVELS = {"train": 1, "t10k": 100}
"""How bright all digits are: nothing of a test digit can be in a scene to learn from without being seen."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mnist")
    for part, level in LEVELS.items():
        make_idx(root / f"{part}-images-idx3-ubyte", np.full((20, 28, 28), level))
        make_idx(root / f"{part}-labels-idx1-ubyte", np.arange(20) % 10)
    return root


def test_scenes_to_learn_from_hold_no_test_digit_nor_the_other_way_round(root: Path):
    train, test = data.load(f"clutter:{root}", size=60, digits=2, target="sum")
    assert (len(train), len(test), train.shape, test.source) == (20, 20, (1, 60, 60), "clutter")
    for epoch in range(3):
        assert train.renewed(1, epoch).images[:].max() <= 8 + 2
    assert set(test.images[:].unique().tolist()) <= {0, 100, 200, 255}


def test_test_scenes_are_the_same_for_every_run(root: Path):
    first, again, other = (data.load(f"clutter:{root}", seed=seed).test for seed in (0, 0, 1))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert torch.equal(first.images[:], again.images[:])


@pytest.mark.parametrize(("image", "size"), [(None, (100, 100)), ((1, 60, 60), (60, 60)), ((1, 40, 56), (40, 56))])
def test_a_scene_has_the_size_that_the_model_takes(root: Path, image: Any, size: tuple[int, int]):
    assert data.load(f"clutter:{root}", image=image).train.shape == (1, *size)


def test_another_size_than_the_model_takes_is_refused_and_not_resized(root: Path):
    for resize in (False, True):
        with pytest.raises(
            InputError, match=r"are 1x50x50, the model takes 1x60x60: build the model with image=1,50,50"
        ):
            data.load(f"clutter:{root}", size=50, image=(1, 60, 60), resize=resize)


def test_a_set_is_named_in_three_ways(root: Path):
    spelled = data.load(f"clutter:{root}", size=40).test.fingerprint()
    assert data.load({"name": "clutter", "root": str(root)}, size=40).test.fingerprint() == spelled
    config = data.open_source(f"clutter:{root}", {"size": 40}).config
    assert data.load(config).test.fingerprint() == spelled
    assert data.load(config, size=50).train.shape == (1, 50, 50)


@pytest.mark.parametrize(("image", "channels"), [(None, 3), ((1, 90, 90), 1), ((3, 90, 90), 3)])
def test_scenes_may_be_on_photographs(root: Path, image: Any, channels: int):
    train, test = data.load(f"clutter:{root}", image=image, size=90, ground="photographs")
    assert (train.shape, test.shape) == ((channels, 90, 90),) * 2
    assert train.images[:].float().std() > 20
    assert data.channels_of({"name": "clutter", "ground": "photographs"}) == 3
    assert data.channels_of("clutter") == 1


def test_photographs_to_learn_from_share_no_pixel_with_those_to_test_on():
    from sklearn.datasets import load_sample_images

    left, right = scikit_photographs()
    whole: Any = load_sample_images().images
    joined = torch.cat([left, right], dim=3).movedim(1, -1).numpy()
    assert all(np.array_equal(part, photograph) for part, photograph in zip(joined, whole, strict=True))


def test_photographs_may_come_from_a_data_set(root: Path, tmp_path: Path):
    for part in ("train", "test"):
        make_folder(tmp_path / part, {"a": 2}, size=(40, 40))
    ground = f"folder:{tmp_path}"
    assert data.load(f"clutter:{root}", size=32, ground=ground).train.shape == (3, 32, 32)
    with pytest.raises(InputError, match=r"photographs of folder:.* have 40x40 pixels, and scenes of 50x50 do not fit"):
        data.load(f"clutter:{root}", size=50, ground=ground)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": 20}, "things of 28 pixels do not fit into 20: raise size, or lower digit_size"),
        ({"digit_size": (14, 70), "size": 60}, "things of 70 pixels do not fit into 60"),
        ({"digits": 9, "target": "places", "size": 60}, "things of 28 pixels do not fit into 20"),
        ({"piece_size": 40}, "pieces of 40 pixels do not fit into scenes of 100 or images of 28"),
        ({"digits": 25, "target": "sum"}, "there must be more mnist to train on than a scene holds, 25"),
        ({"things": "folder"}, "each of one class"),
        ({"things": "clutter"}, "each of one class"),
    ],
)
def test_what_cannot_be_made_is_said(root: Path, tmp_path: Path, fields: dict[str, Any], words: str):
    place = root
    if fields.get("things") == "folder":
        make_folder(tmp_path, {"a": 6})
        place = tmp_path
    with pytest.raises(InputError, match=words):
        data.load(f"clutter:{place}", **fields)


def test_letters_cannot_be_added_up(tmp_path: Path):
    for part in ("train", "test"):
        make_idx(tmp_path / f"emnist-letters-{part}-images-idx3-ubyte", np.ones((30, 28, 28)))
        make_idx(tmp_path / f"emnist-letters-{part}-labels-idx1-ubyte", 1 + np.arange(30) % 26)
    assert len(data.load(f"clutter:{tmp_path}", things="emnist-letters").train.class_names) == 26
    with pytest.raises(InputError, match="Only digits can be added up, and emnist-letters has other classes"):
        data.load(f"clutter:{tmp_path}", things="emnist-letters", digits=2, target="sum")


def test_what_is_missing_is_what_the_things_miss(tmp_path: Path):
    with pytest.raises(InputError, match="'mnist' lacks its folder"):
        data.load("clutter")
    with pytest.raises(InputError, match="It is empty"):
        data.load(f"clutter:{tmp_path}")
    with pytest.raises(ConfigError, match=r"clutter has no field 'peices'\. Did you mean 'pieces'"):
        data.load("clutter", peices=3)


SMALL = {
    "memory_size": 8,
    "hidden_size": 8,
    "glimpses": 2,
    "image": (1, 24, 24),
    "recipe.epochs": 2,
    "recipe.batch": 32,
    "data.things": "digits",
    "data.curriculum": 1,
    "data.scenes": 96,
    "train_images": 60,
}


def test_a_run_on_scenes_goes_on_where_it_was_and_ends_as_one_that_was_not_broken_off(tmp_path: Path):
    def run(out: str, **more: Any) -> Any:
        return train("stawm-digits", data="clutter", out=tmp_path / out, cpu=True, quiet=True, **{**SMALL, **more})

    whole = run("whole")
    run("broken", **{"recipe.epochs": 1, "recipe.schedule": "steps"})
    other = r"holds another run: .*data_fields.curriculum is 1 there and 2 here"
    with pytest.raises(InputError, match=other):
        run("whole", **{"data.curriculum": 2})
    again = run("whole")
    assert not again.trained
    assert whole.history == again.history
    from stawm import inspect

    note = inspect(whole.checkpoint).provenance
    assert (note["data"], note["data_fields"]) == ("clutter", {"things": "digits", "curriculum": 1, "scenes": 96})


def test_fields_are_for_sets_by_name(tmp_path: Path):
    splits = data.load("digits")
    with pytest.raises(ConfigError, match=r"data\.size is for data sets by name"):
        train("stawm-digits", data=splits, out=tmp_path, **{"data.size": 30})
