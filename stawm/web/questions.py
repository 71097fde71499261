"""The questions that a page puts to a model's memory, and the place of the picture that each is about."""

from typing import Any

from stawm.heads.cued import cued
from stawm.models.model import Stawm

HEAD = "recall"
"""The head that a page asks."""
ACROSS = {"left": -0.5, "right": 0.5}
DOWN = {"top": -0.5, "upper": -0.5, "bottom": 0.5, "lower": 0.5}
MIDDLE = ("middle", "centre", "center")
"""Words for places."""


def is_asked(model: Stawm) -> bool:
    """Whether a page can ask a model: its questions are numbered."""
    head = model.config.head(HEAD)
    return head is not None and head.cues is not None


def unaskable(model: Stawm) -> list[str]:
    """Return the heads that need questions which a page does not have: vectors, or those of a second head."""
    return [name for name in cued(model.named_heads) if name != HEAD or not is_asked(model)]


def questions(model: Stawm) -> dict[str, Any] | None:
    """Return what a page has to know of the questions of a model; None where it has none.

    Returns:
        ``names`` of the questions, ``answers``, the names of what is answered, and ``places``: x and y of each
        question in an image that goes from -1 to 1, or None where their names are no places.
    """
    if not is_asked(model):
        return None
    head, config = model.config.head(HEAD), model.config
    names = [name or f"question {k}" for k, name in enumerate(head.cue_names or [""] * head.cues)]
    known = config.class_names if len(config.class_names) == head.classes else ()
    answers = [known[i] if known else f"answer {i}" for i in range(head.classes)]
    places = [place_of(name) for name in names]
    apart = None not in places and len({*places}) == len(places) > 1
    return {"names": names, "answers": answers, "places": places if apart else None}


def place_of(name: str) -> tuple[float, float] | None:
    """Return where the name of a place is, x and y in an image that goes from -1 to 1; None of any other name.

    Examples:
        >>> place_of("top left"), place_of("Bottom"), place_of("colour")
        ((-0.5, -0.5), (0.0, 0.5), None)
    """
    words = name.casefold().replace("-", " ").split()
    if not words or any(word not in (*ACROSS, *DOWN, *MIDDLE) for word in words):
        return None
    return sum(ACROSS.get(word, 0.0) for word in words), sum(DOWN.get(word, 0.0) for word in words)
