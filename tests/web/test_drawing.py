"""A model that only draws, in colour and with masks: the page proves and shows it, and speaks of no answer."""

from collections.abc import Iterator

import pytest

from tests.small import shaken, small
from tests.web.browser import Browser
from tests.web.conftest import showing


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    model = shaken(small("stawm-figure-ground"), scale=0.3).eval()
    with showing(browser, model, tmp_path_factory.mktemp("drawing")) as page:
        yield page


def test_its_pictures_are_pytorchs(page: Browser) -> None:
    assert page.run("return document.documentElement.dataset.proof") == "good", page.text("proof")
    assert "of canvas" in page.text("proof")
    assert not page.run("return document.getElementById('drawing').hidden")
    page.keep_picture("drawing")


@pytest.mark.parametrize("name", ["answer", "until-line", "tuned-line", "shares-said", "digits-said"])
def test_nothing_is_said_of_answers_nor_of_digits(page: Browser, name: str) -> None:
    assert page.run("return document.getElementById(arguments[0]).hidden", name)
