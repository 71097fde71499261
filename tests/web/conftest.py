"""A site of one model that does everything, and a browser that has it open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import stawm
from stawm.models.stopping import Stopping
from stawm.storage.hashing import weights_hash
from stawm.web import write_site
from tests.shared import once
from tests.web.browser import Browser, browsing, require_browser, served

NAMES = ("<script>document.title='taken'</script>", "<b>one", "two & 2", *map(str, range(3, 10)))
COMMAND = "stawm web sketchpad.safetensors"
PROJECT = "https://example.org/project"


def tuned(model: Any, thresholds: tuple[float, ...], temperature: float = 1.0) -> Stopping:
    """Thresholds for a model, as if they had been tuned."""
    figures = dict.fromkeys(("error", "error_of_all", "calibration_error", "uncalibrated"), 0.1)
    temperatures = (temperature,) * len(thresholds)
    of = {"weights": weights_hash(model), "data": "none", "images": 1, "mean_glimpses": 1.0}
    return Stopping(thresholds=thresholds, temperatures=temperatures, **of, **figures)


@contextmanager
def showing(browser: Browser, model: Any, folder: Path, **options: Any) -> Iterator[Browser]:
    """The browser with a site of one model open; in the end the page has not complained."""
    write_site([model], folder / "site", weights="fp32", batches=(1,), **options)
    with served(folder / "site") as url:
        assert browser.open(url) == "done", browser.text("status")
        yield browser
        assert browser.complaints() == []


@pytest.fixture(scope="session")
def model() -> Any:
    """A trained model that classifies and draws, whose classes are named by somebody who means ill.

    Its weights are rounded to fp16, as a site stores them, so that the page has to give what the model gives.
    """
    return stawm.build("stawm-mnist-sketchpad", pretrained=True, class_names=NAMES, glimpses=3).half().float().eval()


@pytest.fixture(scope="session")
def site(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its site: written once, for all processes that run tests."""

    def make(folder: Path) -> Path:
        said = {"title": "A & <b>B", "command": COMMAND, "project_url": PROJECT}
        write_site([model], folder / "site", **said, batches=(1, 3))
        return folder / "site"

    return once(tmp_path_factory, "site", make)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser, or a reason why there is none."""
    require_browser()
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="session")
def url(site: Path) -> Iterator[str]:
    """Where the site is served: in a folder, not at the top."""
    with served(site.parent) as base:
        yield f"{base}{site.name}/"
