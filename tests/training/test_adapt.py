"""What the data says of itself wins over what a preset says of other data, unless it is given."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stawm
from stawm import cli
from stawm.errors import ConfigError, InputError
from stawm.training import adapt as adapting
from stawm.training import data, train
from stawm.training.adapt import FIELDS, PUBLISHED, adapt, given_fields, normalisation, said
from stawm.training.data import ImageSet, Splits, channels_of
from tests.training.tiny import TINY

DIGITS = stawm.config("stawm-digits")
SHORT: dict[str, Any] = {"recipe.epochs": 1, "quiet": True, "cpu": True, "pictures": 0}


def shapes(count: int = 12, channels: int = 3, names: tuple[str, ...] = ("circle", "square", "triangle")) -> ImageSet:
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 200, (count, channels, 16, 16), generator=generator, dtype=torch.uint8)
    return ImageSet(pixels, torch.arange(count) % 3, names)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OWN = Splits(shapes(), shapes(6))


def test_channels_classes_names_and_normalisation_follow_the_data():
    found = adapt(DIGITS, OWN, frozenset())
    mean, std = normalisation(OWN.train)
    assert found == stawm.config(
        "stawm-digits",
        image=(3, 16, 16),
        mean=mean,
        std=std,
        class_names=("circle", "square", "triangle"),
        **{"heads.classification.classes": 3},
    )
    assert said(DIGITS, found, OWN.train) == (
        "images: 3 channels (colour), from the data",
        "classes: 3 (circle, square, triangle), from the data",
        f"mean {', '.join(f'{m:.4g}' for m in mean)} and std {', '.join(f'{s:.4g}' for s in std)}, "
        "from 12 training images",
    )


@pytest.mark.parametrize(
    "preset",
    [
        name
        for name in stawm.list_names("preset", origin="stawm")
        if not any(word in name for word in ("celeba", "selfsup", "photo", "recall", "-60", "-100"))
    ],
)
def test_presets_on_their_own_data_stay_as_they_are(preset: str):
    source = "cifar10" if "cifar" in preset else "digits" if preset == "stawm-digits" else "mnist"
    config = stawm.config(preset)
    names = config.class_names or tuple("abcdefghij")
    if source != "cifar10" and config.class_names:
        names = tuple(f"{n} - {n}" for n in names)  # as torchvision may write them
    images = ImageSet(torch.zeros(10, *config.image, dtype=torch.uint8), torch.arange(10), names, source=source)
    assert adapt(config, Splits(images, images), frozenset()) == config
    assert said(config, config, images) == ()


def test_the_usual_numbers_of_sets_are_those_of_their_presets():
    for source, preset in (("digits", "stawm-digits"), ("mnist", "stawm-mnist-8"), ("cifar10", "stawm-cifar-mnv2")):
        config = stawm.config(preset)
        assert PUBLISHED[source] == (config.mean, config.std)
    assert {part.source for part in data.load("digits")} == {"digits"}


def test_a_model_that_does_not_normalise_still_does_not():
    drawing = stawm.config("stawm-cifar-draw-16", image=(3, 16, 16))
    found = adapt(drawing, OWN, frozenset())
    assert (found.mean, found.std, found.class_names) == ((0.0,), (1.0,), ())
    grey = adapt(stawm.config(drawing, mean=(0.0,) * 3, std=(1.0,) * 3), Splits(*[shapes(6, 1)] * 2), frozenset())
    assert (grey.image[0], grey.mean, grey.std) == (1, (0.0,), (1.0,))


def test_pretrained_weights_decide_mean_and_std():
    pretrained = {"backbone": {"name": "timm:resnet18", "pretrained": True}}
    config = stawm.config("stawm-cifar-mnv2", **pretrained)
    colour, grey = (Splits(*[shapes(6, channels)] * 2) for channels in (3, 1))
    found = adapt(config, colour, frozenset())
    assert (found.mean, found.std) == (config.mean, config.std) == IMAGENET
    found = adapt(config, grey, frozenset())
    assert (found.mean, found.std) == ((pytest.approx(0.449),), (pytest.approx(0.226),))
    assert said(config, found, grey.train)[-1].endswith("those that the pretrained weights were learned with")


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_what_is_given_stays(field: str):
    names = ("triangle", "circle", "square")  # in an order of their own
    given = {
        "image": {"image": (3, 16, 16)},
        "mean": {"mean": (0.25,)},
        "std": {"std": (0.125,)},
        "classes": {"heads.classification.classes": 4},
        "class_names": {"class_names": names, "heads": {"classification": {"classes": 3}}},
    }[field]
    config = stawm.config("stawm-digits", **given)
    found = adapt(config, OWN, given_fields("stawm-digits", given))
    kept = {"classes": ("classes",), "class_names": ("classes", "class_names")}.get(field, (field,))
    assert all(getattr(found, key) == getattr(config, key) for key in kept)
    assert found.image == (3, 16, 16)
    if field in ("image", "mean", "std"):
        assert found.class_names == OWN.train.class_names


def test_a_complete_configuration_decides_all():
    for whole in (DIGITS, DIGITS.to_dict()):
        assert given_fields(whole, {}) == FIELDS
        assert adapt(DIGITS, Splits(*[shapes(6, 1)] * 2), FIELDS) == DIGITS


def test_weights_to_start_from_decide_what_they_were_learned_with():
    drawing = stawm.config("stawm-mnist-draw-6")
    assert given_fields("stawm-mnist-selfsup", {}, drawing) == FIELDS - {"classes", "class_names"}
    three = {"heads.classification.classes": 3, "image": (3, 16, 16)}
    learned = stawm.config("stawm-digits", class_names=("square", "triangle", "circle"), **three)
    fixed = given_fields("stawm-digits", {}, learned)
    assert adapt(learned, OWN, fixed) == learned, "the names of classes that were learned stay"
    other = replace(shapes(), class_names=("a", "b", "c"))
    assert adapt(learned, Splits(other, other), fixed) == learned, "and other classes are refused where they meet"
    with pytest.raises(InputError, match="none of the model's: a, b, c"):
        adapting.meet(learned, Splits(other, other), other, fixed)
    changed = stawm.config(stawm.config("stawm-digits", image=(3, 16, 16)), **three)
    fixed = given_fields("stawm-digits", three, DIGITS)
    assert adapt(changed, OWN, fixed).class_names == OWN.train.class_names, "a head of another number is a new one"


@pytest.mark.parametrize(
    "heads",
    [
        {"heads.classification.classes": 3},
        {"heads": {"classification": {"classes": 3}}},
        {"heads": {"name": "classification", "classes": 3}},
        {"heads": ["drawing", {"name": "classification", "classes": 3}]},
        {"heads": stawm.config("stawm-digits").heads},
    ],
)
def test_the_number_of_classes_is_given_in_any_form(heads: dict[str, Any]):
    assert given_fields("stawm-digits", heads) == given_fields({"preset": "stawm-digits", **heads}, {}) == {"classes"}
    for other in ({"heads": ["classification", "drawing"]}, {"heads.classification.dropout": 0.1}, {"glimpses": 2}):
        assert given_fields("stawm-digits", other) == frozenset()


def test_classes_without_names_are_counted_and_numbered():
    nameless = Splits(*(replace(part, class_names=()) for part in OWN))
    found = adapt(DIGITS, nameless, frozenset())
    assert (found.classes, found.class_names) == (3, ())
    assert "classes: 3 (numbered), from the data" in said(DIGITS, found, nameless.train)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.tensor([1, 2, 3] * 4), "go up to 3 but there is no image of class 0"),
        (torch.tensor([0, 1, 255] * 4), "go up to 255 but there is no image of class 2"),
        (torch.tensor([0, 1, -100] * 4), "must be 0 or more; 4 of 12 are not, the first is -100, of image 2"),
        (torch.rand(12), "class numbers.*got float32"),
        (torch.rand(12) > 0.5, "class numbers.*got bool"),
    ],
)
def test_labels_that_say_no_number_of_classes(labels: torch.Tensor, words: str):
    wrong = replace(OWN.train, labels=labels, class_names=())
    with pytest.raises(InputError, match=words):
        adapt(DIGITS, Splits(wrong, OWN.test), frozenset())


def test_what_is_given_and_what_the_data_says_have_to_go_together():
    given = {"mean": [0.1, 0.2, 0.3], "image": (3, 16, 16)}
    with pytest.raises(ConfigError, match="mean has 1 number or one for each of 1 channels"):
        adapt(stawm.config("stawm-digits", **given), Splits(*[shapes(6, 1)] * 2), frozenset({"mean"}))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("floats", [False, True])
def test_mean_and_std_are_those_of_the_pixels(channels: int, floats: bool):
    images = shapes(20, channels)
    pixels = images.images.double() / 255
    images = replace(images, images=pixels.float()) if floats else images
    mean, std = normalisation(images)
    assert mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist(), abs=0.5e-4)
    assert std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist(), abs=0.5e-4)


def test_many_images_are_measured_by_some(monkeypatch: pytest.MonkeyPatch):
    images = shapes(40, 1)
    monkeypatch.setattr(adapting, "MEASURED", 15)
    assert normalisation(images) == normalisation(images.take(slice(0, None, 3)))
    assert "from 14 training images" in said(DIGITS, adapt(DIGITS, Splits(images, images), frozenset()), images)[-1]


def test_images_of_one_colour_have_a_std_all_the_same():
    plain = replace(shapes(6, 1), images=torch.full((6, 1, 16, 16), 51, dtype=torch.uint8))
    assert normalisation(plain) == ((0.2,), (1.0,))


# A folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour images of two classes, apples bright and pears dark, in a train and a test part."""
    root = tmp_path_factory.mktemp("fruit")
    for part, count in (("train", 8), ("test", 4)):
        for name, base in (("apple", 160), ("pear", 40)):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.full((16, 16, 3), (base, base + i, base), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


@pytest.mark.parametrize(
    ("modes", "channels"),
    [(["L"], 1), (["1", "L"], 1), (["LA"], 1), (["RGB"], 3), (["L", "L", "RGBA"], 3), (["P"], 3), (["I;16"], 1)],
)
def test_a_folder_says_its_channels(tmp_path: Path, modes: list[str], channels: int):
    for index, mode in enumerate(modes):
        (tmp_path / "a").mkdir(exist_ok=True)
        image = Image.new("RGB", (4, 4), (10 * index, 200, 30))
        image = Image.fromarray(np.zeros((4, 4), dtype=np.uint16)) if mode == "I;16" else image.convert(mode)
        image.save(tmp_path / "a" / f"{index}.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    assert channels_of(f"folder:{tmp_path}") == channels


def test_a_palette_of_greys_is_grey(tmp_path: Path):
    (tmp_path / "a").mkdir()
    Image.new("L", (4, 4), 30).convert("P").save(tmp_path / "a" / "0.png")
    assert channels_of(f"folder:{tmp_path}") == 1


def test_sets_by_name_say_their_channels():
    assert [channels_of(s) for s in ("digits", "cifar10:x", "figure-ground:a,b", "nothing")] == [1, 3, None, None]


def check_fruit(checkpoint: Path) -> None:
    config = stawm.load(checkpoint).config
    assert (config.class_names, config.classes, config.image) == (("apple", "pear"), 2, (3, 16, 16))
    assert config.mean != DIGITS.mean
    assert len(stawm.inspect(checkpoint).provenance["adapted"]) == 3


def test_a_folder_trains_in_python(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, logger="stawm"):
        found = train("stawm-digits", data=f"folder:{folder}", out=tmp_path, **TINY, **SHORT)
    check_fruit(found.checkpoint)
    assert found.adapted[1] == "classes: 2 (apple, pear), from the data"
    assert [record.message for record in caplog.records if record.name == "stawm.training"] == list(found.adapted)
    again = train("stawm-digits", data=f"folder:{folder}", out=tmp_path, **TINY, **SHORT)
    assert (again.history, again.adapted) == (found.history, found.adapted)


def test_a_folder_trains_on_the_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    fields = [f"{key}={value}" for key, value in TINY.items()]
    common = ["train", "stawm-digits", "--data", f"folder:{folder}", "--cpu", "--pictures", "0", "recipe.epochs=1"]
    assert cli.main([*common, "--out", str(tmp_path / "a"), *fields]) == 0
    check_fruit(tmp_path / "a" / "model.safetensors")
    said = capsys.readouterr().err
    for line in ("images: 3 channels (colour)", "classes: 2 (apple, pear)", "mean 0."):
        assert said.count(line) == 1
    for names in ([], ["class_names=pear,apple"]):
        more = ["heads.classification.classes=2", "image=1,16,16", "mean=[0.5]", "std=[0.5]", *names]
        assert cli.main([*common, "--out", str(tmp_path / f"b{len(names)}"), "--quiet", *fields, *more]) == 0
        config = stawm.load(tmp_path / f"b{len(names)}" / "model.safetensors").config
        assert (config.image, config.mean) == ((1, 16, 16), (0.5,))
        assert config.class_names == (("pear", "apple") if names else ("apple", "pear"))


@pytest.mark.parametrize("command", ["train", "eval", "start"])
def test_other_classes_are_refused_by_every_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
):
    small = {"image": (3, 16, 16), "memory_size": 8, "hidden_size": 16, "glimpses": 1}
    stawm.save(stawm.build("stawm-digits", **small), tmp_path / "digits.safetensors")
    source, out = f"folder:{folder}", str(tmp_path / "out")
    arguments = {
        "train": [
            "train",
            "stawm-digits",
            "--data",
            source,
            "--out",
            out,
            f"class_names={json.dumps(list(DIGITS.class_names))}",
        ],
        "eval": ["eval", str(tmp_path / "digits.safetensors"), "--data", source],
        "start": [
            "train",
            "stawm-digits",
            "--data",
            source,
            "--out",
            out,
            "--start",
            str(tmp_path / "digits.safetensors"),
        ],
    }[command]
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert "(apple, pear)" in said
    assert "(0, 1, 2, 3" in said
    assert not Path(out).exists()


# Wrong data


WRONG = {
    "too large": ({"labels": torch.tensor([0, 1, 3] * 4)}, r"must be in \[0, 2\], as there are 3 classes; 4 of 12"),
    "negative": ({"labels": torch.tensor([0, 1, -1] * 4)}, "the first is -1, of image 2"),
    "floats": ({"labels": torch.rand(12)}, "class numbers.*got float32"),
    "booleans": ({"labels": torch.rand(12) > 0.5}, "class numbers.*got bool"),
    "rows": ({"labels": torch.eye(3).repeat(4, 1)}, "class numbers.*got float32 of shape"),
    "NaN": (
        {"images": torch.full((12, 3, 16, 16), torch.nan)},
        "Image 0 of the t.* images has pixels that are no numbers",
    ),
    "bytes as floats": ({"images": torch.full((12, 3, 16, 16), 255.0)}, r"must be in \[0, 1\]; got values from 255"),
    "size": ({"images": torch.zeros(12, 3, 8, 8, dtype=torch.uint8)}, "takes images of 3x16x16; got 12 of 3x8x8"),
    "channels": ({"images": torch.zeros(12, 2, 16, 16, dtype=torch.uint8)}, "got 12 of [23]x16x16"),
    "classes": ({"class_names": ("circle", "square", "star")}, r"\(circle, square, .*none of the model's: star"),
    "none": ({"images": torch.zeros(0, 3, 16, 16), "labels": torch.zeros(0).long()}, "no images to train|got 0 of"),
}


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize("part", ["train", "test"])
def test_wrong_data_is_refused_before_anything_is_made(tmp_path: Path, part: str, fault: str):
    changes, words = WRONG[fault]
    given = Splits(shapes(), shapes())._replace(**{part: replace(shapes(), **changes)})
    if fault in ("classes", "channels") and part == "train":
        words = {"classes": "none of the model's: triangle", "channels": "takes images of 2x16x16; got 12 of 3"}[fault]
    with pytest.raises(InputError, match=words):
        train("stawm-digits", data=given, out=tmp_path / "out", **TINY, **SHORT)
    assert not (tmp_path / "out").exists()


def test_a_test_part_may_have_its_classes_in_another_order_or_lack_some(tmp_path: Path):
    train_part = shapes(12)
    turned = replace(shapes(6), labels=torch.tensor([0, 1, 0, 1, 0, 1]), class_names=("triangle", "circle"))
    straight = replace(shapes(6), labels=torch.tensor([2, 0, 2, 0, 2, 0]))
    found = [
        train("stawm-digits", data=Splits(train_part, part), out=tmp_path / str(i), **TINY, **SHORT)
        for i, part in enumerate((turned, straight))
    ]
    assert found[0].evaluation == found[1].evaluation


def test_floats_train_as_the_bytes_that_they_are(tmp_path: Path):
    """Within the rounding of a division by 255: pixels are scaled once, whatever their type."""
    bytes_ = Splits(shapes(), shapes(6))
    for dtype in (torch.float32, torch.float64):
        floats = Splits(*(replace(p, images=p.images.to(dtype) / 255) for p in bytes_))
        found = [
            train("stawm-digits", data=given, out=tmp_path / f"{dtype}{i}", seed=1, **TINY, **SHORT)
            for i, given in enumerate((bytes_, floats))
        ]
        assert found[0].model.config == found[1].model.config
        assert found[0].evaluation.nll == pytest.approx(found[1].evaluation.nll, rel=1e-4)
