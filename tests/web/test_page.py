"""What people do on the page, in a browser: the answers are PyTorch's, and nothing leaves the page."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import sklearn.datasets
import torch
from PIL import Image
from torch import Tensor

import stawm
from stawm.export.graphs import steering
from stawm.export.graphs.rollout import Rollout
from stawm.export.graphs.steering import Steering
from stawm.web.samples import samples
from tests.web.browser import Browser
from tests.web.conftest import COMMAND, NAMES, PROJECT

CLOSE = 5e-5
"""How far probabilities may be apart: the rounding of single precision, as the proof of this model allows it."""


@pytest.fixture(scope="module")
def loaded(browser: Browser, url: str) -> Browser:
    """The page, open."""
    browser.complaints(), browser.asked_for()
    assert browser.open(url) == "done", browser.text("status")
    return browser


@pytest.fixture
def page(loaded: Browser, url: str) -> Iterator[Browser]:
    """The page as it is in the beginning; in the end nothing has complained, and nothing has left the origin."""
    loaded.run("document.getElementById('hand').open = false")
    slide(loaded, "until", 1)
    take(loaded, 0)
    yield loaded
    assert loaded.complaints() == []
    assert {urlsplit(asked).netloc for asked in loaded.asked_for()} <= {urlsplit(url).netloc}


def take(page: Browser, sample: int) -> None:
    """Choose a test image, and wait."""
    page.run("document.querySelectorAll('#samples button')[arguments[0]].click()", sample)
    assert page.settled() == "done"


def slide(page: Browser, name: str, value: float) -> None:
    """Move a slider, and wait."""
    page.run(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))",
        *(name, value),
    )
    assert page.settled() == "done"


def probabilities(page: Browser) -> list[float]:
    """What the bars show."""
    return [
        float(p)
        for p in page.run("return [...document.querySelectorAll('#bars li')].map((b) => b.dataset.probability)")
    ]


def cards(page: Browser) -> int:
    return page.run("return document.querySelectorAll('#strip li').length")


def steered(model: Any, image: Tensor, **changes: Any) -> dict[str, Tensor]:
    """What the model gives where glimpses are placed or not written, by PyTorch, the slow way."""
    n = model.config.glimpses
    steer = steering.neutral(1, n, 6)
    for t, pose in changes.get("placed", {}).items():
        steer.pose[0, t], steer.placed[0, t] = torch.tensor(pose), 1
    for t in changes.get("unwritten", ()):
        steer.written[0, t] = 0
    with torch.no_grad():
        given = {"image": image, **Steering(*steer).named()}
        return Rollout(model, n, ("glimpse_logits", "pose"), steered=True).run(given)


def digit(model: Any, index: int) -> Tensor:
    """A test image of the page, normalised."""
    return model.normalise(samples(model.config, [])[1][index : index + 1].float() / 255)


def test_it_opens_proves_itself_and_answers(page: Browser, model: Any) -> None:
    assert page.text("proof").startswith("self-test passed: ")
    assert page.run("return document.documentElement.dataset.proof") == "good"
    assert page.text("made").endswith(COMMAND)
    assert page.find("#digits-said").is_displayed()
    assert page.find("#project a").get_attribute("href") == PROJECT
    assert cards(page) == model.config.glimpses, "it takes them all, so that its picture is finished"
    logits = steered(model, digit(model, 0))["glimpse_logits"][0, -1]
    np.testing.assert_allclose(probabilities(page), logits.exp(), atol=CLOSE)


def test_names_are_text_and_never_markup(page: Browser) -> None:
    shown = page.run("return [...document.querySelectorAll('#bars .name')].map((name) => name.textContent)")
    assert shown == list(NAMES)
    assert page.text("title") == page.driver.title == "A & <b>B"
    assert page.run("return document.querySelectorAll('main script, main b, h1 b').length") == 0
    assert NAMES[0] in page.text("said")


def test_a_hundred_digits_are_answered_as_by_pytorch(page: Browser, model: Any) -> None:
    """Digits of scikit-learn, as large as MNIST's: classes, logits, poses and canvases after every glimpse."""
    small = torch.tensor(sklearn.datasets.load_digits().images[:100] / 16, dtype=torch.float32)[:, None]
    large = torch.nn.functional.interpolate(small, size=(20, 20), mode="bilinear").clamp(0, 1)
    pixels = torch.nn.functional.pad(large, (4, 4, 4, 4))
    name = model.config.name
    found = page.wait(
        """
        const { load } = await import(new URL("assets/stawm.js", document.baseURI));
        const model = await load(`models/${given[0]}/`);
        const bytes = Uint8Array.from(atob(given[1]), (sign) => sign.charCodeAt(0));
        const pixels = new Float32Array(bytes.buffer);
        const found = { logits: [], poses: [], canvas: [] };
        for (let i = 0; i < pixels.length; i += 784) {
          const looking = await model.begin(pixels.slice(i, i + 784));
          const answers = [];
          while (looking.count < model.about.glimpses) {
            await looking.step();
            answers.push(await looking.ask());
          }
          found.logits.push(answers.map((answer) => [...answer.logits]));
          found.poses.push(looking.glimpses.map((glimpse) => [...glimpse.pose]));
          found.canvas.push([...answers.at(-1).canvas]);
        }
        return found;
        """,
        *(name, base64.b64encode(pixels.numpy().astype("<f4").tobytes()).decode()),
    )
    with torch.no_grad():
        expected = model(model.normalise(pixels), glimpse_logits=True)
    assert torch.equal(torch.tensor(found["logits"]).argmax(-1), expected.glimpse_logits.argmax(-1))
    torch.testing.assert_close(torch.tensor(found["logits"]), expected.glimpse_logits, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(torch.tensor(found["poses"]), expected.trace.pose, atol=5e-5, rtol=1e-4)
    torch.testing.assert_close(
        torch.tensor(found["canvas"]).view_as(expected.canvas), expected.canvas, atol=5e-5, rtol=0
    )


def test_strokes_are_answered_and_shared(page: Browser, model: Any, url: str) -> None:
    """A seven, drawn by a pointer; the link brings it back in another load, with PyTorch's answer."""
    from selenium.webdriver import ActionChains

    pad, side = page.find("#pad"), page.run("return document.getElementById('pad').clientWidth")
    page.run("arguments[0].scrollIntoView()", pad)
    points = [(-0.25, -0.3), (0.0, -0.3), (0.25, -0.3), (0.1, 0.0), (-0.1, 0.35)]
    moves = ActionChains(page.driver, duration=20)
    for i, (x, y) in enumerate(points):
        moves.move_to_element_with_offset(pad, int(x * side), int(y * side))
        moves.click_and_hold() if i == 0 else moves
    moves.release().perform()
    assert page.settled() == "done"
    drawn_here = probabilities(page)
    assert drawn_here[7] == max(drawn_here)
    link = page.driver.current_url
    assert parse_qs(urlsplit(link).fragment)["strokes"]
    assert page.open(link) == "done"
    pixels = page.wait(
        """
        const { drawn } = await import(new URL("assets/stawm.js", document.baseURI));
        const text = new URLSearchParams(location.hash.slice(1)).get("strokes");
        const bytes = [...atob(text.replace(/-/g, "+").replace(/_/g, "/"))].map((sign) => sign.charCodeAt(0));
        return [...drawn([bytes.slice(2).map((byte) => byte / 255)], 28, 28)];
        """
    )
    logits = steered(model, model.normalise(torch.tensor(pixels).view(1, 1, 28, 28)))["glimpse_logits"][0]
    np.testing.assert_allclose(probabilities(page), logits[cards(page) - 1].exp(), atol=CLOSE)
    page.find("#undo").click()
    assert page.settled() == "done"
    assert "strokes" not in page.driver.current_url


def test_the_keyboard_draws_too(page: Browser) -> None:
    pad = page.find("#pad")
    pad.send_keys(*(["\ue013"] * 5), " ", *(["\ue015"] * 10), " ")  # up, then a line downwards
    assert page.settled() == "done"
    assert parse_qs(urlsplit(page.driver.current_url).fragment)["strokes"]
    one = probabilities(page)
    assert one[1] == max(one)
    pad.send_keys("\ue003")
    assert page.settled() == "done"
    assert "strokes" not in page.driver.current_url


def test_the_slider_decides_when_it_stops(page: Browser, model: Any) -> None:
    confidence = steered(model, digit(model, 0))["glimpse_logits"][0].exp().amax(dim=1)
    for until in (0.96, 0.9, 0.99, 1.0, 0.98):
        slide(page, "until", until)
        sure = [t + 1 for t, value in enumerate(confidence.tolist()) if value >= until]
        assert cards(page) == (sure[0] if sure else model.config.glimpses), until
    slide(page, "at", 1)
    np.testing.assert_allclose(max(probabilities(page)), confidence[0], atol=CLOSE)


def test_without_a_write_the_answer_is_what_python_says(page: Browser, model: Any) -> None:
    before = probabilities(page)
    page.find("#strip li:nth-child(2) input").click()
    assert page.settled() == "done"
    logits = steered(model, digit(model, 0), unwritten=[1])["glimpse_logits"][0, -1]
    np.testing.assert_allclose(probabilities(page), logits.exp(), atol=CLOSE)
    assert np.abs(np.subtract(before, probabilities(page))).max() > 10 * CLOSE
    assert "1 of them not written" in page.text("said")
    page.find("#strip li:nth-child(2) input").click()
    assert page.settled() == "done"
    np.testing.assert_allclose(probabilities(page), before, atol=1e-7)


def test_the_evidence_is_that_of_python(page: Browser, model: Any) -> None:
    found = stawm.explain(model, samples(model.config, [])[1][:1])
    shares, _ = found.of(found.labels)
    shown = page.run("return [...document.querySelectorAll('#strip .share')].map((bar) => bar.dataset.share)")
    np.testing.assert_allclose([float(share) for share in shown], shares[0], atol=10 * CLOSE)
    said = page.run("return [...document.querySelectorAll('#strip .most')].map((one) => one.textContent)")
    assert said == [f"speaks for {NAMES[k]}" for k in found.shares[0].argmax(dim=1).tolist()]


def test_the_memory_is_that_of_python(page: Browser, model: Any) -> None:
    """Every entry of W after each glimpse, written or not."""
    n = model.config.glimpses
    found = page.wait(
        """
        const { load } = await import(new URL("assets/stawm.js", document.baseURI));
        const model = await load(`models/${given[0]}/`);
        const looking = await model.begin(model.about.samples[0].pixels);
        const found = [];
        for (const written of [true, false, true]) {
          await looking.step({ written });
          found.push([...(await looking.ask()).matrix]);
        }
        return found;
        """,
        model.config.name,
    )
    for t in range(1, n + 1):
        steer = steering.neutral(1, t, 6)
        steer.written[0, 1:2] = 0
        with torch.no_grad():
            run = Rollout(model, t, ("matrix",), steered=True).run(
                {"image": digit(model, 0), **Steering(*steer).named()}
            )
        torch.testing.assert_close(torch.tensor(found[t - 1]), run["matrix"].flatten(), atol=1e-6, rtol=1e-4)


def test_a_glimpse_is_placed_by_hand(page: Browser, model: Any) -> None:
    slide(page, "at", 1)
    page.run("document.getElementById('hand').open = true")
    stage = page.find("#stage")
    page.until(lambda: stage.get_attribute("tabindex"), "0")
    stage.send_keys("\ue014", "\ue014", "\ue013", "\ue007")  # twice to the right, once up, look
    assert page.settled() == "done"
    assert cards(page) == 2
    found = steered(model, digit(model, 0), placed={1: [0.4, 0.0, 0.1, 0.0, 0.4, -0.05]})
    np.testing.assert_allclose(probabilities(page), found["glimpse_logits"][0, 1].exp(), atol=CLOSE)
    page.find("#resume").click()
    assert page.settled() == "done"
    assert cards(page) == model.config.glimpses
    np.testing.assert_allclose(probabilities(page), found["glimpse_logits"][0, -1].exp(), atol=CLOSE)


def test_a_picture_is_taken_and_what_is_none_is_refused(page: Browser, tmp_path: Path) -> None:
    paper = np.full((300, 400), 220, dtype=np.uint8)
    paper[60:240, 250:268] = 30  # a one, in ink
    Image.fromarray(paper).save(tmp_path / "one.png")
    (tmp_path / "none.png").write_text("no picture")
    page.run("document.getElementById('fit').checked = true")
    page.find("#file").send_keys(str(tmp_path / "one.png"))
    page.until(lambda: probabilities(page)[1] == max(probabilities(page)), True)
    assert page.settled() == "done"
    page.find("#file").send_keys(str(tmp_path / "none.png"))
    page.until(lambda: "none.png is not a picture that this browser can read" in page.text("status"), True)
    assert page.find("#main").is_displayed()
    dropped = """
        const data = new DataTransfer();
        data.items.add(new File(["no picture"], "dropped.txt"));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
    """
    page.run(dropped)
    page.until(lambda: "dropped.txt is not a picture that this browser can read" in page.text("status"), True)
    take(page, 4)
    page.run("document.getElementById('status').textContent = ''")


def test_it_shows_what_is_drawn_and_remembered(page: Browser) -> None:
    shades = """
        const canvas = document.getElementById(arguments[0]);
        return new Set(canvas.getContext("2d").getImageData(0, 0, 512, 512).data).size;
    """
    assert min(page.run(shades, name) for name in ("canvas", "matrix", "stage")) > 10
    assert page.run("return document.querySelectorAll('#strip li:first-child canvas').length") == 2  # seen, sketched
    assert "256 by 256, after" in page.text("matrix-said")


def test_every_control_has_a_name(page: Browser) -> None:
    """What a screen reader would say: each control, canvas and bar says what it is."""
    nameless = page.run(
        """
        return [...document.querySelectorAll("button, input, select, canvas[tabindex], progress, summary")]
          .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim() || one.labels?.length))
          .map((one) => one.outerHTML);
        """
    )
    assert nameless == []
    assert page.run("return document.getElementById('said').getAttribute('aria-live')") == "polite"
    pressed = "return [...document.querySelectorAll('#samples button')].map((one) => one.ariaPressed)"
    assert page.run(pressed) == ["true", *["false"] * 9], "which test image is looked at"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_fits_a_telephone_in_dark_and_light(page: Browser, scheme: str) -> None:
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    size = {"width": 360, "height": 780, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.keep_picture(f"telephone-{scheme}")
        assert page.run("return document.documentElement.scrollWidth") <= 360
        ground, ink = page.run("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")
        brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (ground, ink)]
        assert (brightness[0] < brightness[1]) == (scheme == "dark")
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
