"""The flags of the commands that write graphs, judge, run and serve them arrive."""

import json
import webbrowser
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm import cli
from stawm.export import triton
from stawm.export.formats import bench as benching
from stawm.export.proof.behaviour import Bounds
from stawm.export.serve import folder, session
from stawm.export.write import exporting, verifying
from stawm.storage import pretrained
from stawm.training import data
from stawm.web import serving, site
from tests.cli.hearing import Said, run

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
    assert calls.pop("trial")(digits)["calibration"] is None
    assert calls == {
        "args": ([digits, digits], tmp_path / "s"),
        "weights": "fp16",
        "precision": "fp32",
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
