"""How the page comes up, and what it says where something is missing, broken, or of another version."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.web.browser import Browser, served


@pytest.fixture
def copy(site: Path, tmp_path: Path) -> Path:
    """A site of the same files, which may be changed one by one."""
    shutil.copytree(site, tmp_path / "deep" / "down", copy_function=os.link)
    return tmp_path / "deep" / "down"


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file; the one that it was linked to stays as it is."""
    said = json.loads(path.read_text())
    changed = change(said)
    path.unlink()
    path.write_text(json.dumps(said if changed is None else changed))


def replace(path: Path, data: bytes | None) -> None:
    path.unlink()
    if data is not None:
        path.write_bytes(data)


def folder_of(site: Path) -> Path:
    return next((site / "models").iterdir())


def test_it_loads_with_progress_and_then_from_the_cache(browser: Browser, url: str) -> None:
    watch = """
        window.said = [];
        new MutationObserver(() => {
          const status = document.getElementById("status")?.textContent;
          if (status) window.said.push(status);
        }).observe(document, { subtree: true, childList: true, characterData: true });
    """
    script = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": watch})
    try:
        assert browser.open(url) == "done"
        assert any(said.startswith("Loading ") and said.endswith(" MB") for said in browser.run("return window.said"))
        names = "keys.map(({ url }) => new URL(url).pathname.split('/').pop())"
        held = f"const keys = await (await caches.open('stawm')).keys(); return {names}"
        wanted = {"init.onnx", "glimpse.onnx", "read.onnx", "ort-wasm-simd-threaded.bin", "selftest.json"}
        browser.until(lambda: wanted <= set(browser.wait(held)), True)  # written when there is time
        browser.asked_for()
        assert browser.open(url) == "done"
        again = browser.asked_for()
        assert again
        assert not [asked for asked in again if asked.endswith((".onnx", ".bin", "selftest.json"))]
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    browser.keep_picture("page")


def _no_graph(site: Path) -> None:
    replace(folder_of(site) / "glimpse.onnx", None)


def _cut_graph(site: Path) -> None:
    replace(folder_of(site) / "glimpse.onnx", (folder_of(site) / "glimpse.onnx").read_bytes()[:-100])


def _altered_runtime(site: Path) -> None:
    path = site / "runtime" / "ort-wasm-simd-threaded.bin"
    data = path.read_bytes()
    replace(path, data[:-1] + bytes([data[-1] ^ 1]))


def _no_onnx(site: Path) -> None:
    """A file that is what the site says, and no graph."""
    path = folder_of(site) / "init.onnx"
    replace(path, b"nonsense")
    facts = {"file": "init.onnx", "bytes": 8, "sha256": hashlib.sha256(b"nonsense").hexdigest()}
    rewrite(folder_of(site) / "model.json", lambda said: said["files"].update(init=facts))


def _other_format(site: Path) -> None:
    rewrite(folder_of(site) / "model.json", lambda said: said.update({"stawm.web": "2"}))


def _hollow(site: Path) -> None:
    rewrite(folder_of(site) / "model.json", lambda said: {"stawm.web": "1"})


def _torn(site: Path) -> None:
    replace(site / "site.json", b'{"stawm.web": "1", ')


def _of_nothing(site: Path) -> None:
    rewrite(site / "site.json", lambda said: {"stawm.web": "1"})


def _no_folder(site: Path) -> None:
    rewrite(site / "site.json", lambda said: said.update(models=["<b>gone"]))


def _of_another_model(site: Path) -> None:
    """A graph that is one, and does not belong to the others."""
    path = folder_of(site) / "glimpse.onnx"
    replace(path, (folder_of(site) / "read.onnx").read_bytes())
    facts = {"file": "glimpse.onnx", "bytes": path.stat().st_size}
    facts["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(folder_of(site) / "model.json", lambda said: said["files"].update(glimpse=facts))


BROKEN = {
    _no_graph: "glimpse.onnx cannot be fetched (404): it is missing",
    _cut_graph: "glimpse.onnx is damaged or of another version",
    _altered_runtime: "ort-wasm-simd-threaded.bin is damaged or of another version",
    _no_onnx: "The graph `init` of this model cannot be opened",
    _other_format: 'model.json is of the format "2", and this page reads "1"',
    _hollow: "model.json is damaged",
    _torn: "site.json is damaged: it is not JSON",
    _of_nothing: "site.json is damaged: it names no model",
    _no_folder: "model.json cannot be fetched (404): it is missing",
    _of_another_model: "The graph `glimpse` of this model",
}


@pytest.mark.parametrize(("harm", "sentence"), BROKEN.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_broken_is_a_sentence_on_the_page(
    browser: Browser, copy: Path, harm: Callable[[Path], None], sentence: str
) -> None:
    harm(copy)
    with served(copy.parent) as base:
        assert browser.open(f"{base}down/") == "broken"
    assert sentence in browser.text("status")
    assert browser.find("#status").is_displayed()
    assert not browser.find("#main").is_displayed()
    browser.complaints()


def test_a_self_test_that_fails_is_red(browser: Browser, copy: Path) -> None:
    """The file says that PyTorch gave other numbers: the page does not pretend."""
    folder = folder_of(copy)

    def widen(said: Any) -> None:
        said["cases"][0]["expected"]["logits"][0]["tolerance"] = 1e-12

    rewrite(folder / "selftest.json", widen)
    data = (folder / "selftest.json").read_bytes()
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    rewrite(folder / "model.json", lambda said: said["self_test"].update(facts))
    with served(copy.parent) as base:
        assert browser.open(f"{base}down/") == "done"
    assert browser.text("proof").startswith("self-test FAILED")
    assert "bad" in browser.find("#proof").get_attribute("class")
    assert "Do not trust" in browser.text("proof")


def _no_self_test(folder: Path) -> None:
    replace(folder / "selftest.json", None)


def _other_self_test(folder: Path) -> None:
    replace(folder / "selftest.json", (folder / "selftest.json").read_bytes() + b" ")


@pytest.mark.parametrize("harm", [_no_self_test, _other_self_test])
def test_a_self_test_that_cannot_be_run_is_red_too(browser: Browser, copy: Path, harm: Callable[[Path], None]) -> None:
    harm(folder_of(copy))
    with served(copy.parent) as base:
        assert browser.open(f"{base}down/") == "done"
    assert browser.text("proof").startswith("self-test FAILED to run: ")
    assert "selftest.json" in browser.text("proof")
    assert browser.run("return document.documentElement.dataset.proof") == "bad"
    browser.complaints()


@pytest.mark.parametrize("missing", ["WebAssembly", "DecompressionStream"])
def test_without_webassembly_the_page_says_so(browser: Browser, url: str, missing: str) -> None:
    given = {"source": f"delete globalThis.{missing};"}
    script = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", given)
    try:
        assert browser.open(url) == "broken"
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    assert "does not run WebAssembly with SIMD" in browser.text("status")


def test_as_a_file_the_page_says_why_it_does_not_run(browser: Browser, site: Path) -> None:
    browser.driver.get((site / "index.html").as_uri())
    assert "has to come from a" in browser.text("status")
    assert browser.find("#status").is_displayed()
    browser.complaints()
