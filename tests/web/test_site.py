"""The folder that `stawm web` writes, and what it refuses."""

import base64
import hashlib
import json
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stawm
from stawm.errors import ExportError, InputError
from stawm.export import VerificationError
from stawm.export.proof.report import Check, Report
from stawm.web import write_site
from stawm.web.serving import open_server
from tests.small import tiny
from tests.web.browser import served
from tests.web.conftest import tuned
from tools import page as tool

PAGE = Path(stawm.__file__).parent / "web" / "page"


def test_the_built_page_is_that_of_the_sources() -> None:
    said = json.loads((PAGE / tool.BUILT).read_text())
    assert said["sources"] == tool.sources(), "web/ was changed since the page was built: make page"
    assert said["files"] == tool.files(), "stawm/web/page was changed by hand: make page"


def test_the_runtime_is_the_one_that_is_pinned() -> None:
    assert tool.runtime_faults() == []
    assert "MIT License" in (tool.RUNTIME / "LICENSE.txt").read_text()


def test_the_lock_names_no_host() -> None:
    lock = (tool.SOURCES / "package-lock.json").read_text()
    assert "://" not in lock
    versions = json.loads((tool.SOURCES / "package.json").read_text())["devDependencies"].values()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)


def test_the_page_allows_itself_alone() -> None:
    """No inline script or style, nothing from elsewhere; links lead elsewhere, and load nothing."""
    html = (PAGE / "index.html").read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    allowed = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert allowed.pop("script-src") == "'self' 'wasm-unsafe-eval'"
    assert set(allowed.values()) <= {"'self'", "'none'"}
    assert allowed["default-src"] == "'none'"
    loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]*)"', html)
    assert loaded
    assert all(path.startswith("./") for path in loaded)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src)", html)


def test_a_site_is_small_and_says_what_it_holds(site: Path, model: Any) -> None:
    files = [path for path in site.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25_000_000
    assert not [path for path in files if path.is_symlink()]
    (name,) = json.loads((site / "site.json").read_text())["models"]
    said = json.loads((site / "models" / name / "model.json").read_text())
    for facts in (*said["files"].values(), said["self_test"]):
        data = (site / "models" / name / facts["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (facts["bytes"], facts["sha256"])
    assert len(base64.b64decode(said["samples"][0]["pixels"])) == 784
    assert "steer.pose" in said["inputs"]["glimpse"]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"heads": "regression"}, "neither classifies nor draws nor is asked (its heads: regression)"),
        ("bvae-cifar", "takes no glimpses"),
        ("ram-mnist", "is of the family 'ram', and a page shows models of the family 'stawm' alone"),
        (
            {"canvas": "bernoulli", "heads": {"name": "drawing", "first_apart": True}},
            "whether it is the first; a page takes one glimpse after the other",
        ),
        (
            {"heads": {"name": "recall", "cues": None, "cue_size": 3}},
            "a page asks only a head 'recall'",
        ),
    ],
)
def test_models_that_show_nothing_are_refused(spec: Any, sentence: str, tmp_path: Path) -> None:
    model = tiny(**spec) if isinstance(spec, dict) else stawm.build(spec)
    with pytest.raises(InputError, match=re.escape(sentence)):
        write_site([model], tmp_path / "site")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "judged", "remedy"),
    [
        ("agreement", True, "Leave out --precision int8, or ask for less by --agreement."),
        ("error", True, "Leave out --precision int8."),
        ("agreement", False, "name images of its own kind by --data, which it is judged by and measured on."),
    ],
)
def test_a_model_that_does_otherwise_in_int8_is_refused_and_the_sentence_says_what_helps(
    name: str, judged: bool, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stawm.web import models

    said = {"graph": "step", "precision": "int8", "opset": 21, "nodes": {}, "size": 1, "comparisons": ()}
    report = Report(path=tmp_path, checks=(Check(name, False, "too much"),), **said)

    def prove(*_: Any, **__: Any) -> None:
        raise VerificationError(report)

    monkeypatch.setattr(models, "to_onnx", prove)
    trial = {"images": torch.zeros(1, 1, 16, 16)} if judged else {}
    with pytest.raises(ExportError, match=rf"so no page is written \({name}: too much\)\. .*{re.escape(remedy)}$"):
        write_site([tiny(heads="classification")], tmp_path / "site", precision="int8", trial=lambda _: trial)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    given: Any = ["m.safetensors"]
    with pytest.raises(InputError, match=r"models that stawm\.build or stawm\.load made; got str"):
        write_site(given, tmp_path / "site")
    with pytest.raises(InputError, match="at least one model"):
        write_site([], tmp_path / "site")


def test_nothing_else_is_replaced_and_nothing_half_written(tmp_path: Path) -> None:
    model = tiny(heads="classification")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    with pytest.raises(InputError, match="holds other files"):
        write_site([model], tmp_path / "mine")
    with pytest.raises(InputError, match="is not a folder"):
        write_site([model], tmp_path / "no" / "site")
    for url in ("example.org", "javascript:alert(1)", "https://", "https://a b"):
        with pytest.raises(InputError, match="must be one of the web"):
            write_site([model], tmp_path / "site", project_url=url)
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        write_site([model], tmp_path / "site", pictures=[tmp_path / "broken.png"])
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "broken.png"}
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch, site: Path) -> None:
    """Export nothing: each model is a copy of one that was exported."""
    from stawm.web import site as writing

    ready = next((site / "models").iterdir())
    monkeypatch.setattr(writing, "write_model", lambda model, place, *_, **__: shutil.copytree(ready, place))


@pytest.mark.usefixtures("exported")
def test_models_of_one_name_are_told_apart_and_a_site_replaces_a_site(tmp_path: Path) -> None:
    model = tiny(heads="classification")
    for count in (3, 1):
        found = write_site([model] * count, tmp_path / "site")
        names = ["stawm-digits", "stawm-digits-2", "stawm-digits-3"][:count]
        assert list(found.models) == names
        assert {path.name for path in (tmp_path / "site" / "models").iterdir()} == {*names}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert found.as_dict()["size"] == found.size
    assert "together" in str(found)


def test_pictures_of_ones_own_come_with_the_page(tmp_path: Path) -> None:
    from stawm.web.samples import are_digits, samples

    mine = tmp_path / "mine.png"
    Image.fromarray(np.full((40, 30, 3), 200, dtype=np.uint8)).save(mine)
    colour, grey = stawm.config("stawm-cifar-draw-16"), stawm.config("stawm-digits")
    names, pixels = samples(colour, [mine])
    assert (names, tuple(pixels.shape), int(pixels.float().mean())) == (["mine"], (1, 3, 32, 32), 200)
    assert samples(colour, [])[0] == []
    assert [are_digits(*given) for given in ((grey, []), (grey, [mine]), (colour, []))] == [True, False, False]
    names, pixels = samples(grey, [])
    assert (len(names), tuple(pixels.shape)) == (10, (10, 1, 16, 16))


@pytest.mark.parametrize("preset", ["stawm-cluttered-100", "stawm-pairs-100", "stawm-sum-100"])
def test_models_of_scenes_come_with_scenes_that_have_their_answers(preset: str) -> None:
    from stawm.web.samples import samples

    config = stawm.config(preset)
    names, pixels = samples(config, [])
    again = samples(config, [])[1]
    assert tuple(pixels.shape) == (10, *config.image)
    assert set(names) <= set(config.class_names)
    assert len({image.numpy().tobytes() for image in pixels}) == 10
    assert pixels.equal(again), "the same for everybody"
    digits = pixels.float().flatten(1).sum(dim=1) / 255
    assert bool((digits > 60).all()), "each has ink of a digit at least"


def test_the_slider_starts_where_it_was_tuned_to() -> None:
    from stawm.web.models import stopping_of

    model = tiny(heads="classification")
    assert stopping_of(model, None, "fp32") == {"until": 0.9}
    model.stopping = tuned(model, (0.4, 1.0, 0.8, 0.0))
    said = stopping_of(model, None, "fp32")
    assert (said["until"], said["stopping"]["thresholds"]) == (pytest.approx(0.6), (0.4, 1.0, 0.8, 0.0))
    assert stopping_of(model, None, "int8") == {"until": 0.9}, "it was tuned in full precision"
    assert stopping_of(model, 0.7, "fp32") == {"until": 0.7}, "what was asked for comes first"


def test_files_are_served_as_what_they_are_and_nothing_outside(site: Path) -> None:
    with served(site) as base:
        kinds = {"": "text/html", "assets/stawm.js": "text/javascript", "assets/index.css": "text/css"}
        for path, kind in kinds.items():
            with urllib.request.urlopen(base + path) as answer:
                assert answer.headers.get_content_type() == kind
        for path in ("../site.lock", "%2e%2e/site.lock", "no.txt"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(base + path)
        port = int(base.rsplit(":")[-1].strip("/"))
        with pytest.raises(InputError, match=f"Cannot serve on port {port}"):
            open_server(site, port)
    with pytest.raises(InputError, match="Choose another by --port"):
        open_server(site, 70_000)
