"""A model that only draws, in colour and with masks: the page proves and shows it, and speaks of no answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stawm.web import write_site
from tests.small import shaken, small
from tests.web.browser import Browser, served


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    site: Path = tmp_path_factory.mktemp("drawing") / "site"
    model = shaken(small("stawm-figure-ground"), scale=0.3)
    write_site([model.eval()], site, weights="fp32", batches=(1,))
    with served(site) as url:
        assert browser.open(url) == "done", browser.text("status")
        yield browser
        assert browser.complaints() == []


def test_its_pictures_are_pytorchs(page: Browser) -> None:
    assert page.run("return document.documentElement.dataset.proof") == "good", page.text("proof")
    assert "of canvas" in page.text("proof")
    assert not page.run("return document.getElementById('drawing').hidden")
    page.keep_picture("drawing")


@pytest.mark.parametrize("name", ["answer", "until-line", "tuned-line", "shares-said"])
def test_nothing_is_said_of_answers(page: Browser, name: str) -> None:
    assert page.run("return document.getElementById(arguments[0]).hidden", name)
