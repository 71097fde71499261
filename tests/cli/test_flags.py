"""Every flag of every command arrives where it is meant, at a value that is not the usual one."""

import argparse
import json
import webbrowser
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accelerate
import pytest
import torch

import stawm
from stawm import cli, registry, training
from stawm.cli import demo as demos
from stawm.cli.parser import make_parser, option
from stawm.export import triton
from stawm.export.formats import bench as benching
from stawm.export.proof.behaviour import Bounds
from stawm.export.serve import folder, session
from stawm.export.write import exporting, verifying
from stawm.storage import pretrained
from stawm.training import data
from stawm.training.options import NAMES
from stawm.web import serving, site
from tests.training.test_options import OTHERS


class Said(SimpleNamespace):
    """What a command prints, whatever it is."""

    def as_dict(self) -> dict[str, Any]:
        return vars(self)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Replace a public function by one that notes what it is called with."""

    def listen(module: Any, name: str, gives: Any = None) -> dict[str, Any]:
        calls: dict[str, Any] = {}

        def noted(*args: Any, **kwargs: Any) -> Any:
            calls.update(kwargs, args=args)
            return gives(*args, **kwargs) if callable(gives) else gives if gives is not None else Said(done=True)

        monkeypatch.setattr(module, name, noted)
        return calls

    return listen


def run(*argv: Any) -> None:
    assert cli.main([*map(str, argv)]) == 0


def options_of(command: str) -> set[str]:
    """The options that a command has, but for those that all have: help, JSON, and scripts (see test_import.py)."""
    parser: Any = make_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    found = commands.choices[command]._option_string_actions
    return {name for name in found if name.startswith("--")} - {"--help", "--json", "--import"}


TRAIN: dict[str, list[str]] = {
    name: [option(name), *([] if value is True else [str(value)])] for name, value in OTHERS.items()
}


RULES = (([], False), (["--resize"], "crop"), (["--resize", "crop"], "crop"), (["--resize=squeeze"], "squeeze"))
"""How images are resized, by what is typed."""


PICTURES: list[tuple[str, str, list[str], dict[str, Any]]] = [
    ("--reconstructions", "reconstructions", ["--beside", "a", "--beside", "b"], {}),
    ("--canvases", "canvases", ["--beside", "a"], {}),
    ("--sketches", "sketches", [], {}),
    ("--segments", "segments", [], {}),
    ("--traverse", "traversals", ["--glimpse", "2"], {"glimpse": 2}),
    ("--generate", "generated", ["--seed", "3"], {"seed": 3}),
]
"""What asks for each picture of `stawm draw`, the function that makes it, further options, and how these arrive."""


def test_every_option_of_a_command_is_tried_here():
    tried = {
        "train": {"--data", "--out", "--recipe", "--seeds", *(flags[0] for flags in TRAIN.values())},
        "eval": {"--data", "--resize", "--download", "--held-out", "--validation", "--picture", "--looks"},
        "draw": {
            *("--data", "--resize", "--download", "--held-out", "--out", "--count", "--seed", "--beside", "--glimpse"),
            *(flag for flag, *_ in PICTURES),
        },
        "explain": {"--data", "--resize", "--download", "--held-out", "--out", "--count", "--seed"},
        "tune-stop": {
            *("--data", "--resize", "--download", "--held-out", "--error", "--glimpses", "--validation", "--augment"),
            "--out",
        },
        "diagnose": {"--data", "--resize", "--download", "--held-out", "--images", "--picture"},
        "export": {
            *("--graph", "--glimpses", "--precision", "--weights", "--opset", "--outputs", "--sidecar", "--data"),
            *("--sample", "--steered", "--triton", "--device", "--agreement", "--calibrate"),
        },
        "web": {"--out", "--weights", "--title", "--pictures", "--until", "--project-url", "--serve", "--port"},
        "verify": {"--device", "--data", "--agreement"},
        "run": {"--until", "--save", "--device", "--allow-fallback", "--threads"},
        "list": {"--exclude"},
        "describe": {"--kind"},
        "cite": set(),
        "env": set(),
        "inspect": set(),
        "demo": {"--data", "--out"},
    }
    assert {command: options_of(command) for command in tried} == tried


@pytest.mark.parametrize("name", NAMES)
def test_every_option_of_train_arrives_alone(heard: Any, name: str):
    calls = heard(training, "train", Said(evaluation=Said(error=0), verdict="saved m"))
    run("train", "stawm-digits", "--data", "digits", "--out", "x", *TRAIN[name])
    expected = str(OTHERS[name]) if name == "start" else OTHERS[name]
    assert calls["options"] == {"quiet": False, name: expected}


def test_everything_given_to_train_arrives(heard: Any):
    calls = heard(training, "train", Said(evaluation=Said(error=0), verdict="saved m"))
    flags = [flag for flags in TRAIN.values() for flag in flags]
    run("train", "stawm-digits", "--data", "mnist:x", "--out", "y", "--recipe", "paper", "memory.eta=1", *flags)
    assert calls.pop("options") == {name: str(value) if name == "start" else value for name, value in OTHERS.items()}
    assert calls == {
        "args": ("stawm-digits",),
        "data": "mnist:x",
        "out": Path("y"),
        "recipe": "paper",
        "memory.eta": 1,
    }


def test_train_prints_json_quietly(heard: Any, capsys: pytest.CaptureFixture[str]):
    calls = heard(training, "train", Said(evaluation=Said(error=0.5), verdict="saved m"))
    run("train", "stawm-digits", "--data", "digits", "--out", "x", "--json")
    assert calls["options"] == {"quiet": True}
    assert calls["recipe"] == "fast"
    assert json.loads(capsys.readouterr().out) == {"error": 0.5}


def test_of_several_processes_one_prints(
    heard: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    heard(training, "train", Said(evaluation=Said(error=0.5), verdict="saved m"))
    monkeypatch.setattr(accelerate, "PartialState", lambda: SimpleNamespace(is_main_process=False))
    run("train", "stawm-digits", "--data", "digits", "--out", "x")
    assert capsys.readouterr().out == ""


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small model, and a few images for it."""
    model = stawm.build("stawm-digits", seed=0, memory_size=8, hidden_size=16, glimpses=2).eval()
    monkeypatch.setattr(pretrained, "find_model", lambda given: model)
    return model


def test_everything_is_measured_and_fitted_on_what_is_not_measured(heard: Any, digits: Any):
    splits = data.load("digits")
    heard(data, "load", splits)
    calls = heard(training, "evaluate")
    run("eval", "m", "--data", "mnist:x")
    assert calls == {"args": (digits, splits.test), "by_glimpse": True, "by_class": True, "fit": splits.train}
    run("eval", "m", "--data", "mnist:x", "--validation", 10)
    assert (len(calls["fit"]), len(calls["args"][1])) == (len(splits.train) - 10, 10)


@pytest.mark.parametrize("command", ["eval", "diagnose"])
def test_the_data_of_a_command_arrive(heard: Any, digits: Any, command: str):
    splits = data.load("digits")
    calls = heard(data, "load", splits)
    run(command, "m", "--data", "mnist:x")
    assert (calls["args"], calls["resize"], calls["download"]) == (("mnist:x",), False, False)
    assert (calls["image"], calls["held_out"]) == ((1, 16, 16), 0.2)
    run(command, "m", "--data", "mnist:x", "--download", "--held-out", 1)
    assert (calls["resize"], calls["download"], calls["held_out"]) == (False, True, 1)
    for flags, rule in RULES:
        run(command, "--data", "mnist:x", *flags, "m")
        assert (calls["resize"], calls["download"]) == (rule, False)


def test_resize_alone_does_what_the_model_keeps(heard: Any, monkeypatch: pytest.MonkeyPatch):
    model = stawm.build("stawm-digits", resize="squeeze", memory_size=8, hidden_size=16, glimpses=2).eval()
    monkeypatch.setattr(pretrained, "find_model", lambda given: model)
    calls = heard(data, "load", data.load("digits"))
    for flags, rule in (([], False), (["--resize"], "squeeze"), (["--resize", "crop"], "crop")):
        run("diagnose", "m", "--data", "mnist:x", *flags)
        assert calls["resize"] == rule


def test_a_rule_of_resizing_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run("eval", "m", "--data", "digits", "--resize=stretch")
    assert "must be crop or squeeze, or nothing; got 'stretch'" in capsys.readouterr().err


def test_what_follows_resize_alone_stays_what_it_is(heard: Any):
    calls = heard(training, "train", Said(evaluation=Said(error=0), verdict="saved m"))
    run("train", "stawm-digits", "--data", "digits", "--out", "x", "--resize", "glimpses=3")
    assert (calls["options"]["resize"], calls["glimpses"]) == (True, 3)
    run("train", "--resize", "squeeze", "stawm-digits", "--data", "digits", "--out", "x")
    assert (calls["options"]["resize"], calls["args"]) == ("squeeze", ("stawm-digits",))


@pytest.mark.parametrize(("flag", "name", "more", "arrives"), PICTURES, ids=[row[0] for row in PICTURES])
def test_the_pictures_of_draw_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flag: str, name: str, more: list[str], arrives: dict[str, Any]
):
    sizes: dict[str, Any] = {"glimpses": 1, "memory_size": 8, "hidden_size": 16}
    model = stawm.build("stawm-digits", heads="drawing", class_names=[], canvas="bernoulli", **sizes).eval()
    asked: list[Any] = []
    monkeypatch.setattr(pretrained, "find_model", lambda given: asked.append(given) or model)
    calls: dict[str, Any] = {}

    def picture(models: Any, pixels: Any, **options: Any) -> Any:
        calls.update(models=models, pixels=pixels, options=options)
        return stawm.viz.health(stawm.diagnose(model, pixels))

    monkeypatch.setattr(stawm.viz, name, picture)
    run("draw", "m", "--data", "digits", "--count", 2, "--out", tmp_path / "p.png", flag, *more)
    several = more.count("--beside")
    assert calls["models"] == ([model] * (1 + several) if several else model)
    assert asked == ["m", *"ab"[:several]]
    assert calls["options"] == (arrives or ({"glimpse": None} if flag == "--traverse" else {}))
    assert len(calls["pixels"]) == 2
    assert (tmp_path / "p.png").is_file()


def test_the_options_of_draw_arrive(heard: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    model = stawm.build("stawm-digits", heads="drawing", class_names=[], glimpses=1, memory_size=8, hidden_size=16)
    monkeypatch.setattr(pretrained, "find_model", lambda given: model.eval())
    splits = data.load("digits")
    loaded, drawn = heard(data, "load", splits), heard(stawm.viz, "drawings", stawm.viz.drawings)
    out = tmp_path / "p.png"
    for flags, resize, download in (([], False, False), (["--resize"], "crop", False), (["--download"], False, True)):
        run("draw", "m", "--data", "mnist:x", "--out", out, *flags)
        assert (loaded["args"], loaded["resize"], loaded["download"]) == (("mnist:x",), resize, download)
        assert torch.equal(drawn["args"][1], splits.test.images[:4].float() / 255)
    run("draw", "m", "--data", "mnist:x", "--out", out, "--count", 2, "--seed", 5)
    order = torch.randperm(len(splits.test), generator=torch.Generator().manual_seed(5))
    assert torch.equal(drawn["args"][1], splits.test.images[order[:2]].float() / 255)
    assert out.is_file()


@pytest.mark.parametrize(("heads", "known"), [("drawing", False), (["classification", "drawing"], True)])
def test_classes_are_shown_where_they_are_told_apart(
    heard: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, heads: Any, known: bool
):
    names = {} if known else {"class_names": []}
    model = stawm.build("stawm-digits", heads=heads, glimpses=1, memory_size=8, hidden_size=16, **names)
    monkeypatch.setattr(pretrained, "find_model", lambda given: model.eval())
    calls = heard(stawm.viz, "animate", Said(save=lambda out: None))
    run("draw", "m", "--data", "digits", "--count", 3, "--out", tmp_path / "p.gif")
    _, _, labels = calls["args"]
    assert labels.tolist() == data.load("digits").test.labels[:3].tolist() if known else labels is None


EXPORT = {
    "graph": "rollout",
    "glimpses": None,
    "precision": "fp32",
    "weights": "fp32",
    "opset": 18,
    "outputs": None,
    "sample": False,
    "steered": False,
    "sidecar": False,
    "images": None,
    "labels": None,
    "calibration": None,
    "bounds": None,
    "device": "cpu",
}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], {}),
        (["--graph", "step"], {"graph": "step"}),
        (["--glimpses", 3], {"glimpses": 3}),
        (["--precision", "fp16"], {"precision": "fp16"}),
        (["--precision", "int8"], {"precision": "int8"}),
        (["--agreement", 0.9], {"bounds": Bounds(agreement=0.9)}),
        (["--weights", "fp16"], {"weights": "fp16"}),
        (["--sidecar"], {"sidecar": True}),
        (["--outputs", "all"], {"outputs": "all"}),
        (["--opset", 22], {"opset": 22}),
        (["--outputs", "logits, pose,"], {"outputs": ["logits", "pose"]}),
        (["--sample"], {"sample": True}),
        (["--graph", "step", "--steered"], {"graph": "step", "steered": True}),
        (["--device", "cuda"], {"device": "cuda"}),
    ],
)
def test_the_options_of_export_arrive(heard: Any, digits: Any, flags: list[Any], expected: dict[str, Any]):
    calls = heard(exporting, "to_onnx")
    run("export", "m", "x.onnx", *flags)
    assert calls == {"args": (digits, Path("x.onnx")), **EXPORT, **expected}


def test_triton_arrives(heard: Any, digits: Any, capsys: pytest.CaptureFixture[str]):
    heard(exporting, "to_onnx", Said(ok=True))
    served = heard(triton, "write_repository", Said(name="m"))
    run("export", "m", "x.onnx", "--triton", "models", "--json")
    assert served["args"] == (Path("x.onnx"), Path("models"))
    assert json.loads(capsys.readouterr().out) == {"ok": True, "triton": {"name": "m"}}
    run("export", "m", "x.onnx", "--triton", "models")
    assert capsys.readouterr().out.count("Said(") == 2


JUDGED = {"images": None, "labels": None, "bounds": None}


def test_what_is_verified_arrives(heard: Any, digits: Any):
    calls = heard(verifying, "verify")
    run("verify", "x.onnx", "m")
    assert calls == {"args": (Path("x.onnx"), digits), "device": "cpu", **JUDGED}
    run("verify", "x.onnx", "m", "--device", "tensorrt")
    assert calls["device"] == "tensorrt"


def test_the_options_of_bench_arrive(heard: Any, digits: Any):
    calls = heard(benching, "bench", benching.Bench(model="m", images=1, made=True, rows=()))
    run("bench", "m", "--formats", "pytorch, onnx int8", "--rounds", 2, "--threads", 1, "--agreement", 0.9)
    assert calls == {
        "args": (digits,),
        "formats": ["pytorch", "onnx int8"],
        "rounds": 2,
        "threads": 1,
        "calibration": None,
        **JUDGED,
        "bounds": Bounds(agreement=0.9),
    }
    run("bench", "m")
    assert (calls["formats"], calls["rounds"], calls["threads"], calls["bounds"]) == (None, 15, None, None)


def test_a_format_that_does_not_agree_ends_with_status_1(heard: Any, digits: Any, capsys: pytest.CaptureFixture[str]):
    rows = (benching.Row(format="PyTorch", ok=True), benching.Row(format="OpenVINO", ok=False))
    heard(benching, "bench", benching.Bench(model="m", images=1, made=True, rows=rows))
    assert cli.main(["bench", "m"]) == 1
    said = capsys.readouterr()
    assert "OpenVINO does not answer as PyTorch does" in said.err
    assert "FAILED" in said.out


@pytest.mark.parametrize(("command", "args"), [("export", ("m", "x.onnx")), ("verify", ("x.onnx", "m"))])
def test_a_graph_is_judged_on_test_images_as_the_model_takes_them(
    command: str, args: tuple[str, str], heard: Any, monkeypatch: pytest.MonkeyPatch
):
    model = stawm.build("stawm-digits", glimpses=1, memory_size=8, hidden_size=16)
    monkeypatch.setattr(pretrained, "find_model", lambda given: model)
    calls = heard(*{"export": (exporting, "to_onnx"), "verify": (verifying, "verify")}[command])
    run(command, *args, "--data", "digits")
    test = data.load("digits").test
    assert torch.equal(calls["images"], model.normalise(test.images.float() / 255))
    assert torch.equal(calls["labels"], test.labels)
    assert calls.get("calibration") is None


@pytest.mark.parametrize(
    ("flags", "of_model", "of_run"),
    [
        ([], {}, {}),
        (["--device", "cpu"], {"device": "cpu"}, {}),
        (["--allow-fallback"], {"allow_fallback": True}, {}),
        (["--threads", 3], {"threads": 3}, {}),
        (["--until", 0.9], {}, {"until": 0.9}),
        (["--save", "d"], {}, {"save": Path("d")}),
    ],
)
def test_the_options_of_run_arrive(heard: Any, flags: list[Any], of_model: dict[str, Any], of_run: dict[str, Any]):
    opened, ran = heard(session, "OnnxModel", Said(model=True)), heard(folder, "run_folder")
    run("run", "x.onnx", "images", "more", *flags)
    assert opened == {"args": ("x.onnx",), "device": "auto", "allow_fallback": False, "threads": None, **of_model}
    assert ran == {"args": (Said(model=True), [Path("images"), Path("more")]), "until": None, "save": None, **of_run}


def test_the_options_of_web_arrive(heard: Any, digits: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    calls = heard(site, "write_site")
    run("web", "a", "b", "--out", tmp_path / "s")
    assert calls == {
        "args": ([digits, digits], tmp_path / "s"),
        "weights": "fp16",
        "title": "",
        "pictures": [],
        "until": None,
        "command": "stawm web a b",
        "project_url": None,
    }
    flags = ["--weights", "fp32", "--title", "T", "--until", 0.8, "--pictures", "/x/p.png", "q.png"]
    run("web", "/x/a", "--out", tmp_path, *flags)
    assert (calls["weights"], calls["title"], calls["until"]) == ("fp32", "T", 0.8)
    assert calls["pictures"] == [Path("/x/p.png"), Path("q.png")]
    assert calls["command"] == "stawm web a --weights fp32 --title T --pictures p.png q.png --until 0.8"
    run("web", "a", "--out", tmp_path, "--project-url", "https://example.org/p")
    assert calls["project_url"] == "https://example.org/p"
    assert calls["command"] == "stawm web a --project-url https://example.org/p"


def test_web_serves_where_it_is_told(heard: Any, digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    heard(site, "write_site", Said(path=tmp_path))
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    calls = heard(serving, "open_server", serving.open_server)
    run("web", "m", "--out", tmp_path, "--serve", "--port", 0)
    assert calls["args"] == (tmp_path, 0)
    assert opened[0].startswith("http://127.0.0.1:")


def test_the_options_of_demo_arrive(heard: Any, capsys: pytest.CaptureFixture[str]):
    calls = heard(demos, "demo")
    run("demo")
    assert calls == {"args": ("digits", Path("demo")), "quiet": False}
    run("demo", "--data", "mnist:x", "--out", "y", "--json", "glimpses=2")
    assert calls == {"args": ("mnist:x", Path("y")), "quiet": True, "glimpses": 2}


def test_the_options_of_list_arrive(capsys: pytest.CaptureFixture[str]):
    run(
        "list",
        "preset",
        "stawm-mnist-[28]*",
        "bvae*",
        "--exclude",
        "*-28",
        "--exclude",
        "*draw*",
        "--exclude",
        "*selfsup",
    )
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["bvae-cifar", "stawm-mnist-8"]
    run("list", "preset", "stawm-mnist-8.*", "--json")
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == ["stawm-mnist-8.fast"]
    run("list", "memory")
    assert capsys.readouterr().out.splitlines()[0].startswith("  ")
    assert [line.split()[0] for line in _lines(capsys, "list", "memory")] == stawm.list_names("memory")


def _lines(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    run(*argv)
    return capsys.readouterr().out.splitlines()


def test_list_says_which_plugins_are_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    broken = registry.BrokenPlugin("memory", "mine", "theirs 1.0", "it is torn")
    monkeypatch.setattr(registry, "broken_plugins", lambda: (broken,))
    run("list", "memory")
    assert capsys.readouterr().err == f"cannot be used: {broken}\n"
