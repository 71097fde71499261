"""A site of one model that does everything, and a browser that has it open."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stawm
from stawm.web import write_site
from tests.shared import once
from tests.web.browser import Browser, browsing, require_browser, served

NAMES = ("<script>document.title='taken'</script>", "<b>one", "two & 2", *map(str, range(3, 10)))
COMMAND = "stawm web sketchpad.safetensors"


@pytest.fixture(scope="session")
def model() -> Any:
    """A trained model that classifies and draws, whose classes are named by somebody who means ill."""
    return stawm.build("stawm-mnist-sketchpad", pretrained=True, class_names=NAMES, glimpses=3).eval()


@pytest.fixture(scope="session")
def site(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its site: written once, for all processes that run tests."""

    def make(folder: Path) -> Path:
        write_site([model], folder / "site", title="A & <b>B", command=COMMAND, batches=(1, 3))
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
