"""Names in pictures: spelled as they are, in letters that there are, within their place, and told from each other.

Every picture is made of models whose classes have hostile names, and of models that give no numbers.
"""

import logging
import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

import stawm
from stawm import viz
from stawm.training import Evaluation
from stawm.training.evaluation import Bin
from stawm.viz import sheet, writing
from tests.small import tiny

LONG = "great white shark of the southern seas, number "
SETS = {
    "mathematics and steering": [
        "$x_^$",
        "$5-$10",
        "\\frac{",
        "^_%&#",
        "\x1b[31ma",
        "a\tb\x0e",
        "\u202eabc",
        "\x00",
        "[red]",
        "\u200b",
    ],
    "strange letters": ["猫", "犬", "🐈", "ไทย", "кот", "größer", "ⵣ", "\ue000", "𓀀", "ΑΒΓ"],
    "long": [*(f"{LONG}{k}" for k in range(5)), *(f"{k} {LONG}" for k in range(5))],
    "alike in their ends": [f"aaaaaaaaaaaaaaaaaaaaaa{k}bbbbbbbbbbbbbbbbbbbbbb" for k in range(10)],
    "plain": ["triangle", "square", "circle", *"0123456"],
}
PICTURES: dict[str, Callable[[Any, torch.Tensor, torch.Tensor], Any]] = {
    "looks": lambda model, pixels, labels: viz.looks(model, pixels, labels, title="$x_^$" + "猫" * 99),
    "animate": lambda model, pixels, labels: viz.animate(model, pixels, labels, title="$x_^$" + "猫" * 99),
    "drawings": lambda model, pixels, labels: viz.drawings(model, pixels),
    "memories": lambda model, pixels, labels: viz.memories(model, pixels),
    "mistakes": lambda model, pixels, labels: viz.mistakes(model, pixels, labels),
    "evaluation": lambda model, pixels, labels: viz.evaluation(measured(model.config.class_names)),
    "evidence": lambda model, pixels, labels: viz.evidence(stawm.explain(model, pixels)),
    "canvases": lambda model, pixels, labels: viz.canvases(model, pixels),
    "reconstructions": lambda model, pixels, labels: viz.reconstructions(model, pixels),
    "sketches": lambda model, pixels, labels: viz.sketches(model, pixels),
    "traversals": lambda model, pixels, labels: viz.traversals(model, pixels),
    "generated": lambda model, pixels, labels: viz.generated(model, pixels),
    "health": lambda model, pixels, labels: viz.health(stawm.diagnose(model, pixels)),
}


def measured(names: Any, number: float = 0.5) -> Evaluation:
    confusion = tuple(tuple(int(row == column) for column in range(10)) for row in range(10))
    bins = (Bin(number, number, 5), Bin(0.9, 1.0, 0))
    known: dict[str, Any] = {"confusion": confusion, "class_names": tuple(names), "calibration": bins}
    return Evaluation(images=10, error=number, error_by_glimpse=(number, 0.1), calibration_error=number, **known)


def hostile(names: list[str]) -> Any:
    return tiny(class_names=tuple(names), glimpses=2).eval()


def images() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 2])


def drawn(picture: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Set every letter, without a word of a letter that lacks."""
    with caplog.at_level(logging.WARNING):
        if isinstance(picture, Figure):
            FigureCanvasAgg(picture).draw()
    assert not caplog.records


def test_every_picture_is_tried_here():
    others = {"Animation", "look", "matrices", "save", "segments", "exploration"}  # those of models of another kind
    assert {name for name in vars(viz) if not name.startswith("_")} >= {*PICTURES, *others}
    functions = {name for name, value in vars(viz).items() if callable(value) and name[0] != "_"}
    assert functions - {"explained", "find_spec"} == {*PICTURES, *others}


@pytest.mark.parametrize("names", ["mathematics and steering", "strange letters"])
@pytest.mark.parametrize("name", PICTURES)
def test_names_are_text_whatever_they_are(name: str, names: str, caplog: pytest.LogCaptureFixture):
    """Warnings are errors here, so that a letter without a glyph is one."""
    drawn(PICTURES[name](hostile(SETS[names]), *images()), caplog)


def shown_texts(figure: Figure) -> list[Text]:
    FigureCanvasAgg(figure).draw()
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [text for text in found if not re.fullmatch(r"[\d.%]+", text.get_text())]  # ticks beyond an axis, not drawn


@pytest.mark.parametrize("names", ["plain", "long", "alike in their ends"])
@pytest.mark.parametrize("name", ["looks", "mistakes", "evaluation"])
def test_no_text_is_cut_off_at_the_edge_nor_runs_into_the_next(name: str, names: str):
    figure = PICTURES[name](hostile(SETS[names]), *images())
    texts = shown_texts(figure)
    whole = figure.bbox
    boxes = [text.get_window_extent() for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        inside = box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1 and box.y0 >= whole.y0 - 1 and box.y1 <= whole.y1 + 1
        assert inside, text.get_text()
    lines = sorted((round(box.y0), box.x0, box.x1, text.get_text()) for text, box in zip(texts, boxes, strict=True))
    for (y, _, end, said), (below, start, _, following) in pairwise(lines):
        assert y != below or end <= start + 1, (said, following)


def test_names_are_told_apart_however_long_they_are():
    for names in SETS.values():
        for inches in (0.5, 1.0):
            written = writing.fitting(tuple(names), inches, 7)
            assert len(set(written)) == 10
            assert all(writing.width(name, 7) <= inches + 1e-6 for name in written)
    assert writing.fitting(tuple(SETS["plain"]), 1.0, 7) == tuple(SETS["plain"])


@given(st.text(max_size=30), st.floats(0.3, 2))
def test_a_shortened_text_keeps_its_ends_and_fits(said: str, inches: float):
    said = writing.spelled(said)
    short = writing.shortened(said, inches, 8)
    assert writing.width(short, 8) <= inches or short == "…"
    if short != said:
        head, _, tail = short.partition("…")
        assert said.startswith(head)
        assert said.endswith(tail)
        assert 0 <= len(head) - len(tail) <= 1


def test_letters_that_no_font_has_are_written_as_their_code_points(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing, "_family", lambda sign: None)
    assert writing.spelled("a猫b") == "aU+732Bb"
    assert writing.spelled("größer η") == "größer η"


def test_no_letter_is_a_box():
    for names in SETS.values():
        for name in map(writing.spelled, names):
            fonts = [writing._path(family) for family in writing.style(name)["fontfamily"]]
            assert not any(re.search("last", font, re.IGNORECASE) for font in fonts)
            assert {*map(ord, name)} <= set().union(*map(writing._signs, fonts))


def test_letters_are_set_in_an_installed_font_that_has_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing, "_family", lambda sign: "Noto Sans CJK" if sign == "猫" else None)
    writing._families.cache_clear()
    try:
        assert writing.spelled("猫犬") == "猫U+72AC"
        assert writing.style("猫")["fontfamily"] == [writing.FONT, "Noto Sans CJK"]
    finally:
        writing._families.cache_clear()


def test_lines_are_wrapped_within_their_width():
    said = "Up to 40% of writes are no contractions: gradients can grow with every glimpse."
    lines = writing.wrapped(said, 1.5, 7).split("\n")
    assert len(lines) > 1
    assert all(writing.width(line, 7) <= 1.5 for line in lines)
    assert " ".join(lines) == said


def broken(how: str, value: float) -> Any:
    """A model that gives no numbers, all of them or of some kind only."""
    model = tiny(class_names=tuple("abcdefghij"), glimpses=2).eval()
    with torch.no_grad():
        parts = {
            "all": model.parameters(),
            "poses": model.loop.emitter.parameters(),
            "answers": model.heads["classification"].parameters(),
            "drawing": model.heads["drawing"].parameters(),
            "memory": model.loop.what.parameters(),
        }
        for parameter in parts[how]:
            parameter.fill_(value)
    return model


BROKEN = {"poses": math.nan, "answers": math.inf, "drawing": math.nan, "memory": math.inf, "all": math.nan}


OF_MODELS = sorted(PICTURES.keys() - {"evaluation"})
SHOWN = {
    "answers": ["looks", "animate", "mistakes"],
    "drawing": ["drawings", "animate"],
    "memory": ["memories", "health"],
}
"""Which pictures show what may be no number; poses, and a model of nothing but NaNs, are in all."""


@pytest.mark.parametrize(("how", "name"), [(how, name) for how in BROKEN for name in SHOWN.get(how, OF_MODELS)])
def test_what_is_no_number_is_drawn_as_no_data(how: str, name: str, caplog: pytest.LogCaptureFixture):
    drawn(PICTURES[name](broken(how, BROKEN[how]), *images()), caplog)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_evaluation_without_numbers_is_drawn_and_says_so(value: float, caplog: pytest.LogCaptureFixture):
    figure = viz.evaluation(measured("abcdefghij", value))
    drawn(figure, caplog)
    assert figure.get_suptitle() == "10 images: the answers are not finite"
    assert any(sheet.NO_DATA in text.get_text() for text in shown_texts(figure))


def test_a_picture_says_where_there_is_nothing():
    figure = viz.looks(broken("all", float("nan")), images()[0])
    said = [text.get_text() for text in shown_texts(figure)]
    assert "no answer" in said
    assert sheet.NO_DATA in said
    assert "not finite" in [t.get_text() for t in shown_texts(viz.memories(broken("all", float("nan")), images()[0]))]


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_images_of_other_channels_are_shown_as_their_mean(channels: int):
    model = stawm.build("stawm-digits", image=[channels, 16, 16], memory_size=8, hidden_size=8, seed=0)
    pixels = torch.rand(1, channels, 16, 16)
    shown = viz.looks(model, pixels).axes[0].images[0].get_array()
    torch.testing.assert_close(torch.as_tensor(shown), pixels[0].mean(dim=0))


def test_pictures_show_themselves_in_a_notebook():
    model, (pixels, _) = tiny().eval(), images()
    for figure in (viz.looks(model, pixels), viz.evaluation(measured("abcdefghij")), viz.memories(model, pixels)):
        assert figure._repr_png_().startswith(b"\x89PNG")
    animation = viz.animate(model, pixels)
    assert b"acTL" in animation._repr_png_(), "an animated PNG"
    assert repr(animation).startswith("<Animation of 3 frames of ")
    assert len(repr(animation)) < 60
