"""The command line: what it prints, and how it fails."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import stawm
from stawm import cli
from stawm.cli import commands
from stawm.cli.parser import parse_value
from stawm.training import data, evaluate

TINY = ["memory_size=8", "hidden_size=16", "glimpses=2"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert cli.main(argv) == 0
    return capsys.readouterr().out


def fail(capsys: pytest.CaptureFixture[str], *argv: str, lines: int = 1) -> str:
    """Run a command that is wrong, and return what it says: in one line, or in a line a fault."""
    try:
        status = cli.main(argv)
    except SystemExit as stopped:
        status = stopped.code
    said = capsys.readouterr()
    assert status == 1
    assert said.out == ""
    assert len(said.err.splitlines()) == lines
    return said.err


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "m.safetensors"
    stawm.save(stawm.build("stawm-digits", seed=0, memory_size=8, hidden_size=16, glimpses=2), path)
    return path


def test_list_shows_every_name_of_every_kind(capsys: pytest.CaptureFixture[str]):
    out = run(capsys, "list")
    for kind in ("memory", "backbone", "canvas", "locator", "head", "preset"):
        assert f"{kind}:" in out
        assert all(f"  {name} " in out for name in stawm.list_names(kind))


def test_list_as_json_and_by_pattern(capsys: pytest.CaptureFixture[str]):
    found = json.loads(run(capsys, "list", "preset", "stawm-mnist-*", "--exclude", "*draw*", "--json"))
    names = stawm.list_names("preset", "stawm-mnist-*", exclude="*draw*")
    assert [entry["name"] for entry in found] == names
    assert set(found[0]) == {"kind", "name", "summary", "origin"}


def test_listing_needs_no_torch():
    code = "import sys; from stawm import cli; cli.main(['list']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_describe_and_cite(capsys: pytest.CaptureFixture[str]):
    assert json.loads(run(capsys, "describe", "crop", "--json")) == stawm.describe("crop").as_dict()
    memory = json.loads(run(capsys, "describe", "fast-weights", "--kind", "memory", "--json"))
    assert memory["kind"] == "memory"
    assert "'fast-weights' is a memory, not a canvas" in fail(capsys, "describe", "fast-weights", "--kind", "canvas")
    assert run(capsys, "describe", "crop").strip() == str(stawm.describe("crop"))
    assert run(capsys, "cite", "stawm-mnist-8", "memory=delta").strip() == stawm.cite(
        stawm.config("stawm-mnist-8", memory="delta")
    )


def test_train_then_eval(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    options = ["--data", "digits", "--out", str(tmp_path), "--cpu", "--json", "recipe.epochs=1"]
    trained = json.loads(run(capsys, "train", "stawm-digits", *TINY, *options))
    saved = str(tmp_path / "model.safetensors")
    measured = json.loads(run(capsys, "eval", saved, "--data", "digits", "--json"))
    assert {name: measured[name] for name in trained} == trained
    assert sum(map(sum, measured["confusion"])) == sum(b["count"] for b in measured["calibration"]) == 360
    pictures = [tmp_path / "p.png", tmp_path / "l.png"]
    options = ["--picture", str(pictures[0]), "--looks", str(pictures[1])]
    said = run(capsys, "eval", saved, "--data", "digits", *options)
    assert f"error {trained['error']:.2%}" in said
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert stawm.load(saved).config.to_dict()["glimpses"] == 2


def test_eval_of_a_preset_whose_weights_ship(capsys: pytest.CaptureFixture[str]):
    said = json.loads(run(capsys, "eval", "stawm-mnist-8", "--data", "digits", "--resize", "--json"))
    assert said["error"] < 0.2  # digits of another set
    said = fail(capsys, "eval", "stawm-cluttered-60", "--data", "digits")
    assert "they come for: " in said
    assert "stawm-mnist-8.fast" in said


def test_the_file_of_a_graph_is_measured(capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path):
    graph, seen = str(tmp_path / "m.onnx"), ("--data", "digits")
    run(
        capsys,
        "export",
        str(checkpoint),
        graph,
        "--precision",
        "int8",
        "--calibrate",
        "40",
        "--agreement",
        "0.1",
        *("--glimpses", "1"),
        *seen,
    )
    measured = json.loads(run(capsys, "eval", graph, *seen, "--json"))
    assert measured["images"] == 360
    assert 0.5 < measured["error"] <= 1  # it has learned nothing
    assert "pictured of its checkpoint" in fail(capsys, "eval", graph, *seen, "--looks", str(tmp_path / "x.png"))


def test_ranges_need_images_and_int8(capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path):
    place = str(tmp_path / "m.onnx")
    said = fail(capsys, "export", str(checkpoint), place, "--precision", "int8", "--calibrate", "9")
    assert said == "stawm: --calibrate measures ranges on images: name them by --data.\n"
    said = fail(capsys, "export", str(checkpoint), place, "--calibrate", "9", "--data", "digits")
    assert said == "stawm: --calibrate measures ranges for int8: add --precision int8.\n"
    assert not Path(place).exists()


def test_eval_on_the_last_training_images(capsys: pytest.CaptureFixture[str], checkpoint: Path):
    held = data.hold_out_last(data.load("digits").train, 50).test
    said = json.loads(run(capsys, "eval", str(checkpoint), "--data", "digits", "--validation", "50", "--json"))
    assert (said["images"], said["error"]) == (50, evaluate(stawm.load(checkpoint), held).error)
    said = fail(capsys, "eval", str(checkpoint), "--data", "digits", "--validation", "1437")
    assert "1 to 1,436 can be held out" in said


def test_eval_of_a_model_that_draws_pictures_its_drawings(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    saved, picture = tmp_path / "m.safetensors", tmp_path / "p.png"
    stawm.save(stawm.build("stawm-digits", heads="drawing", class_names=[], glimpses=2), saved)
    said = run(capsys, "eval", str(saved), "--data", "digits", "--picture", str(picture))
    assert "mse" in said
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_export_inspect_verify_and_run(capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path):
    graph, once = str(tmp_path / "m.onnx"), ("--glimpses", "1")
    report = json.loads(run(capsys, "export", str(checkpoint), graph, "--outputs", "logits,pose", *once, "--json"))
    assert report["ok"]
    assert "logits" in run(capsys, "inspect", graph)
    assert json.loads(run(capsys, "inspect", str(checkpoint), "--json"))["preset"] == "stawm-digits"
    assert "preset: stawm-digits" in run(capsys, "inspect", str(checkpoint))
    assert json.loads(run(capsys, "verify", graph, str(checkpoint), "--json"))["ok"]
    (tmp_path / "images").mkdir()
    pixels = data.load("digits").test.images[:3, 0]
    for i in range(3):
        Image.fromarray(pixels[i].numpy()).save(tmp_path / "images" / f"{i}.png")
    said = json.loads(run(capsys, "run", graph, str(tmp_path / "images"), "--device", "cpu", "--json"))["answers"]
    model = stawm.load(checkpoint)
    expected = model(model.normalise(pixels[:, None].float() / 255), glimpses=1).logits.exp().max(dim=1)
    assert [row["label"] for row in said] == expected.indices.tolist()
    assert [row["confidence"] for row in said] == pytest.approx(expected.values.tolist(), rel=1e-4)
    assert "2.png" in run(capsys, "run", graph, str(tmp_path / "images" / "2.png"), "--device", "cpu")


def test_diagnose(capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path):
    found = json.loads(run(capsys, "diagnose", str(checkpoint), "--data", "digits", "--images", "20", "--json"))
    assert found["images"] == 20
    assert len(found["glimpses"]) == 2
    picture = str(tmp_path / "p.png")
    said = run(capsys, "diagnose", str(checkpoint), "--data", "digits", "--images", "20", "--picture", picture)
    assert "20 images" in said
    assert Path(picture).read_bytes().startswith(b"\x89PNG")
    assert json.loads(run(capsys, "diagnose", str(checkpoint), "--data", "digits", "--json"))["images"] == 256


def test_a_run_says_which_variant_it_trains_and_shows_its_progress_apart(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    """The result alone is on the standard output, so that it can be kept in a file."""
    options = ["--data", "digits", "--resize", "--train-images", "32", "--cpu", "--pictures", "0", "recipe.epochs=1"]
    assert cli.main(["train", "stawm-mnist-8", "--out", str(tmp_path / "a"), *TINY, *options]) == 0
    said = capsys.readouterr()
    assert "The recipe 'fast' trains stawm-mnist-8.fast, a variant of stawm-mnist-8.\n" in said.err
    assert "epoch 1/1" in said.err
    assert said.out.splitlines()[0] == "360 images"
    assert f"saved {tmp_path / 'a' / 'model.safetensors'}" in said.out
    assert "epoch 1" not in said.out
    assert stawm.inspect(tmp_path / "a" / "model.safetensors").config.name == "stawm-mnist-8.fast"
    for more in (["--quiet"], ["--json"]):
        assert cli.main(["train", "stawm-mnist-8", "--out", str(tmp_path / "a"), *TINY, *options, *more]) == 0
        assert capsys.readouterr().err == ""
    assert cli.main(["train", "stawm-mnist-8.fast", "--out", str(tmp_path / "a"), *TINY, *options]) == 0
    assert "variant" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["frobnicate"], ["frobnicate", "--help"]),
        (["describe", "stawm-mnst-8"], ["'stawm-mnist-8'"]),
        (["list", "memories"], ["memory"]),
        (["cite", "stawm-mnist-8", "memory.dexta=1"], ["'delta'"]),
        (
            ["train", "stawm-digits", "--out", "x", "--data", "digits", "--see", "3"],
            ["does not know '--see'", "Did you mean '--seed'"],
        ),
        (["train", "stawm-digits", "--see=3", "--out", "x", "--data", "digits"], ["'--see=3'", "'--seed'"]),
        (["eval", "m", "--data", "digits", "--pic", "x"], ["'--pic'", "'--picture'"]),
        (["list", "--exclud", "x"], ["'--exclud'", "'--exclude'"]),
        (["train", "stawm-digits", "--out", "x", "--data", "digits", "out=y"], ["'out' is an argument or option"]),
        (["train", "stawm-digits", "--out", "x", "--data", "d", "--seed", "1", "seed=2"], ["'seed' is an argument"]),
        (["cite", "stawm-mnist-8", "memory"], ["'memory'", "key=value"]),
        (["inspect", "nowhere.safetensors"], ["nowhere.safetensors"]),
        (["inspect", "nowhere.onnx"], ["nowhere.onnx"]),
        (["inspect", "a", "b=c"], ["b=c"]),
        (
            ["train", "stawm-digits", "--out", "x", "--data", "digits", "--seed", "-1"],
            ["seed must be an integer in [0"],
        ),
        (
            ["train", "stawm-digits", "--out", "x", "--data", "digits", "--save-every", "nan"],
            ["save_every must be a number"],
        ),
        (["train", "stawm-digits", "--out", "x", "--data", "digits", "sed=1"], ["Did you mean 'seed'"]),
        (["train", "stawm-digits", "--out", "x", "--data", "digits", "epochs=1"], ["Did you mean 'recipe.epochs'"]),
        (["eval", "stawm-mnist-8.fst", "--data", "digits"], ["'stawm-mnist-8.fast'"]),
        (["train", "stawm-digits", "--out", "x"], ["--data"]),
        (["train", "stawm-digits", "--out", "{tmp}", "--data", "digit"], ["'digits'"]),
        (["train", "stawm-digits", "--out", "{tmp}", "--data", "digits", "--recipe", "paper"], ["does not train"]),
        (["train", "stawm-digits", "--out", "{tmp}", "--data", "digits", "recipe.epoch=1"], ["'epochs'"]),
    ],
)
def test_bad_input_is_one_clear_line_and_status_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: list[str], words: list[str]
):
    said = fail(capsys, *(arg.replace("{tmp}", str(tmp_path)) for arg in argv))
    assert said.startswith("stawm")
    assert all(word in said for word in words)


def test_faults_are_a_line_each(capsys: pytest.CaptureFixture[str]):
    said = fail(capsys, "cite", "stawm-mnist-8", "glimpses=0", "hidden_size=none", "memory.dexta=1", lines=4)
    first, *others = said.splitlines()
    assert first == "stawm: 3 things are wrong:"
    assert all(line.startswith("  ") for line in others)
    assert [next(word for word in ("glimpses", "hidden_size", "dexta") if word in line) for line in others] == [
        *("dexta", "glimpses", "hidden_size")
    ]


def test_a_package_that_is_not_there_is_named_with_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def without(args: Any) -> None:
        raise ModuleNotFoundError("No module named 'accelerate'", name="accelerate.utils")

    monkeypatch.setattr(commands, "cite", without)
    assert "pip install 'stawm[train]'" in fail(capsys, "cite", "stawm-mnist-8")


def test_interrupting_is_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def interrupted(args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "cite", interrupted)
    assert cli.main(["cite", "stawm-mnist-8"]) == 130


TYPED = [
    (".001", 0.001),
    ("1e-3", 0.001),
    ("-.5", -0.5),
    ("None", None),
    ("False", False),
    ("[cat,dog]", ["cat", "dog"]),
    ("[cat]", ["cat"]),
    ("[3, x]", [3, "x"]),
    ("{a", "{a"),
    ("nano", "nano"),
    ("1.2.3", "1.2.3"),
    ("[" * 5000, "[" * 5000),
]
"""What people type, and mean."""


@given(values)
def test_values_are_json_where_they_can_be(value: Any):
    assert parse_value(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("3,32,32", [3, 32, 32]), ("timm:resnet18", "timm:resnet18"), ("a,b", ["a", "b"]), ("", ""), *TYPED],
)
def test_other_values_are_lists_or_texts(text: str, value: Any):
    assert parse_value(text) == value


def test_measuring_needs_no_training_extra():
    code = "import sys; sys.modules['accelerate'] = None; from stawm.training import data, evaluate"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
