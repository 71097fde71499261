"""A model that is asked by pointing, and the same in int8: on the page as in PyTorch."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch

from stawm.models.pixels import to_unit
from stawm.web.samples import samples
from tests.small import shaken, tiny
from tests.web.browser import Browser
from tests.web.conftest import showing
from tests.web.test_page import CLOSE, probabilities

NAMES = ("top left", "top right", "bottom left", "bottom right")


@pytest.fixture(scope="module")
def model(few_levels: None) -> Any:
    head = {"name": "recall", "cues": 4, "cue_names": NAMES}
    looks = {"image": (1, 60, 60), "locator": "retina", "context_size": 12, "class_names": tuple("0123456789")}
    return shaken(tiny(**looks, heads=head), scale=0.2).eval()


@pytest.fixture(scope="module", params=[pytest.param("fp32", marks=pytest.mark.long), "int8"])
def page(request: Any, model: Any, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with showing(browser, model, tmp_path_factory.mktemp("recall"), precision=request.param) as page:
        page.precision = request.param  # type: ignore[attr-defined]
        yield page


def test_places_are_asked_by_pointing_and_from_the_list(page: Browser, model: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.ui import Select

    precision = page.precision  # type: ignore[attr-defined]
    assert page.run("return document.documentElement.dataset.proof") == "good", page.text("proof")
    assert ("in int8" in page.text("proof")) == (precision == "int8")
    with torch.no_grad():
        wanted = model.predict(to_unit(samples(model.config, [])[1][:1])).answers[0].exp()
    close = CLOSE if precision == "fp32" else 0.1
    stage, list_ = page.find("#stage"), Select(page.find("#question"))
    assert [option.text for option in list_.options] == list(NAMES)
    side = page.run("arguments[0].scrollIntoView(); return arguments[0].clientWidth", stage)
    for k, (x, y) in enumerate([(-0.3, -0.2), (0.2, -0.3), (-0.2, 0.2), (0.3, 0.3)]):
        ActionChains(page.driver, duration=0).move_to_element_with_offset(
            stage, int(x * side), int(y * side)
        ).click().perform()
        np.testing.assert_allclose(probabilities(page), wanted[k], atol=close)
        assert f"asked for “{NAMES[k]}”" in page.text("said")
    list_.select_by_index(2)
    np.testing.assert_allclose(probabilities(page), wanted[2], atol=close)
    assert page.open(page.driver.current_url) == "done"
    list_ = Select(page.find("#question"))
    assert list_.first_selected_option.text == NAMES[2], "a link holds what is asked"
    np.testing.assert_allclose(probabilities(page), wanted[2], atol=close)
    list_.select_by_index(0)
    assert "question" not in urlsplit(page.driver.current_url).fragment, "it begins with this one"


def test_a_page_of_ones_own_asks_one_question(page: Browser) -> None:
    found = page.wait(
        """
        const { load } = await import(new URL("assets/stawm.js", document.baseURI));
        const name = document.getElementById("models").value;
        const model = await load(`models/${name}/`);
        const looking = await model.begin(model.about.samples[0].pixels);
        await looking.step();
        const all = (await looking.ask()).recalled, some = (await looking.ask(1, [3, 0])).recalled;
        const near = (a, b) => a.logits.every((value, i) => Math.abs(value - b.logits[i]) < 0.05);
        const same = near(all[3], some[0]) && near(all[0], some[1]);
        const refused = await looking.ask(1, [4]).catch((error) => error.message);
        return [all.length, some.length, same, refused];
        """
    )
    assert found[:3] == [4, 2, True]
    assert found[3].endswith("is numbers from 0 to 3; got [4].")


def test_samples_have_a_digit_at_each_place(model: Any) -> None:
    names, pixels = samples(model.config, [])
    assert all(len(name.split()) == 4 for name in names)
    cells = pixels.unfold(2, 30, 30).unfold(3, 30, 30).float().sum(dim=(-1, -2)) / 255
    assert bool((cells > 20).all())
