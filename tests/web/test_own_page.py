"""A page of one's own: the lines that the README shows, run as they stand beside a site."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from tests.web.browser import Browser, served
from tests.web.conftest import NAMES

README = Path(__file__).parents[2] / "README.md"


def test_the_lines_of_the_readme_run_as_they_stand(browser: Browser, site: Path, model: Any, tmp_path: Path) -> None:
    (lines,) = re.findall(r"```ts\n(.*?)```", README.read_text(), re.DOTALL)
    (named,) = re.findall(r'load\("\./site/models/(.*)/"\)', lines)
    shutil.copytree(site, tmp_path / "site", copy_function=os.link)
    next((tmp_path / "site" / "models").iterdir()).rename(tmp_path / "site" / "models" / named)
    (tmp_path / "own.js").write_text(lines)
    (tmp_path / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><script type="module" src="own.js"></script>'
    )
    plain = "said.map((one) => (typeof one === 'object' ? one.length : one))"
    watch = f"window.said = []; console.log = (...said) => window.said.push({plain});"
    script = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": watch})
    browser.complaints()
    try:
        with served(tmp_path) as url:
            browser.driver.get(url)
            browser.until(lambda: bool(browser.run("return window.said.at(-1)?.length === 2")), True)
            *glimpses, (answer, confidence) = browser.run("return window.said")
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    assert browser.complaints() == []
    assert 1 <= len(glimpses) <= model.config.glimpses
    assert all(one == [4, 28 * 28, 256**2] for one in glimpses), "corners, canvas and memory after each"
    assert answer == NAMES[7], "the stroke is a seven"
    assert 0.5 < confidence <= 1
