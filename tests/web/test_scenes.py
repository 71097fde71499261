"""A model whose glimpses have several views, on scenes, that stops as it was tuned to: on the page as in PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from stawm.export.graphs import steering
from stawm.export.graphs.rollout import Rollout
from stawm.export.graphs.steering import Steering
from stawm.models.pixels import to_unit
from stawm.web.samples import samples
from tests.small import shaken, tiny
from tests.web.browser import Browser
from tests.web.conftest import showing, tuned
from tests.web.test_page import CLOSE, cards, probabilities, slide

VIEWS = 3


@pytest.fixture(scope="module")
def model(few_levels: None) -> Any:
    looks = {"image": (1, 60, 60), "locator": {"name": "retina", "scales": VIEWS}, "context_size": 12}
    made = shaken(tiny(**looks, heads="classification", class_names=tuple("0123456789")), scale=0.2).eval()
    made.stopping = tuned(made, (1.0, 0.01, 0.0), temperature=2.0)
    return made


@pytest.fixture(scope="module")
def page(model: Any, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with showing(browser, model, tmp_path_factory.mktemp("scenes")) as page:
        yield page


def expected(model: Any, *placed: tuple[int, list[float]]) -> torch.Tensor:
    """The probabilities after each glimpse at the page's first scene, by PyTorch."""
    steer = steering.neutral(1, 3, 2)
    for t, pose in placed:
        steer.pose[0, t], steer.placed[0, t] = torch.tensor(pose), 1
    image = model.normalise(to_unit(samples(model.config, [])[1][:1]))
    with torch.no_grad():
        run = Rollout(model, 3, ("glimpse_logits",), steered=True).run({"image": image, **Steering(*steer).named()})
    return run["glimpse_logits"][0].exp()


def test_it_stops_as_it_was_tuned_till_somebody_moves_the_slider(page: Browser, model: Any) -> None:
    assert page.run("return document.documentElement.dataset.proof") == "good", page.text("proof")
    assert page.text("until-said") == "as tuned: go on, 1 %, stop"
    assert cards(page) == 2
    np.testing.assert_allclose(probabilities(page), expected(model)[1], atol=CLOSE)
    slide(page, "until", 1)
    assert cards(page) == 3
    assert not page.find("#tuned").is_selected()
    page.find("#tuned").click()
    assert page.settled() == "done"
    assert cards(page) == 2


def test_every_view_is_shown(page: Browser) -> None:
    shown = "return [...document.querySelectorAll('#strip li')].map((one) => one.querySelectorAll('canvas').length)"
    assert set(page.run(shown)) == {VIEWS}
    page.keep_picture("scenes")


def test_of_a_retina_a_person_chooses_the_place_alone(page: Browser, model: Any) -> None:
    slide(page, "until", 1)
    slide(page, "at", 1)
    page.run("document.getElementById('hand').open = true")
    stage = page.find("#stage")
    page.until(lambda: stage.get_attribute("tabindex"), "0")
    assert not page.find("#hand-size").is_displayed()
    stage.send_keys("\ue014", "\ue013", "\ue007")  # to the right, up, look
    assert page.settled() == "done"
    np.testing.assert_allclose(probabilities(page), expected(model, (1, [0.05, -0.05]))[1], atol=CLOSE)
    page.run("document.getElementById('hand').open = false")


def test_strokes_stay_where_they_are_drawn(page: Browser) -> None:
    assert not page.find("#fit").is_selected()
    pad = page.find("#pad")
    pad.send_keys(*(["\ue012"] * 5), " ", *(["\ue015"] * 5), " ")  # to the left, then a line downwards
    assert page.settled() == "done"
    bright = """
        const { width, height } = document.getElementById("stage");
        const { data } = document.getElementById("stage").getContext("2d").getImageData(0, 0, width, height);
        let [sum, x] = [0, 0];
        for (let i = 0; i < data.length; i += 4) {
          if (data[i] === data[i + 2]) [sum, x] = [sum + data[i], x + data[i] * ((i / 4) % width)]; // grey: no frame
        }
        return x / sum / width;
    """
    slide(page, "at", 0)
    assert page.run(bright) == pytest.approx(0.5 - 5 * 0.04, abs=0.02)
