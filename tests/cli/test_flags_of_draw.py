"""The flags of `stawm draw` arrive at the pictures that they ask for."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.storage import pretrained
from stawm.training import data
from tests.cli.hearing import Said, run

PICTURES: list[tuple[str, str, list[str], dict[str, Any]]] = [
    ("--reconstructions", "reconstructions", ["--beside", "a", "--beside", "b"], {}),
    ("--canvases", "canvases", ["--beside", "a"], {}),
    ("--sketches", "sketches", [], {}),
    ("--segments", "segments", [], {}),
    ("--traverse", "traversals", ["--glimpse", "2"], {"glimpse": 2}),
    ("--generate", "generated", ["--seed", "3"], {"seed": 3}),
]
"""What asks for each picture of `stawm draw`, the function that makes it, further options, and how these arrive."""


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
