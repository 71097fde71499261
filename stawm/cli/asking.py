"""The command ``stawm ask``: what a model answers to questions about images, put after looking."""

import argparse
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.cli import graphs
from stawm.cli.drawing import images_of
from stawm.cli.printing import show
from stawm.errors import InputError, shown
from stawm.text import Readable


@dataclass(frozen=True)
class Replies(Readable):
    """What was answered.

    Attributes:
        model: Whom it was asked.
        questions: What was asked, by names where questions have some.
        answers: For each image the answer to each question.
        probabilities: How probable the model holds each of them.
    """

    model: str
    questions: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    probabilities: tuple[tuple[float, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        rows = zip(self.answers, self.probabilities, strict=True)
        images = [
            [
                {"question": question, "answer": answer, "probability": probability}
                for question, answer, probability in zip(self.questions, *row, strict=True)
            ]
            for row in rows
        ]
        return {"model": self.model, "images": images}

    def __str__(self) -> str:
        wide = max(map(len, self.questions))
        lines = []
        for number, row in enumerate(zip(self.answers, self.probabilities, strict=True), 1):
            lines.append(f"image {number}")
            lines += [f"  {q:<{wide}}  {a}  ({p:.1%})" for q, a, p in zip(self.questions, *row, strict=True)]
        return "\n".join(lines)


def ask(args: Namespace) -> None:
    """Ask a model, or its graph, about images."""
    if bool(args.data) == bool(args.images):
        raise InputError("Give images to ask about: either files, or a set with --data; not both.")
    opened, reply = _opened(args.model)
    head = opened.config.head("recall")
    if head is None:
        raise InputError(f"{opened.config.name} has no head 'recall', so it cannot be asked.")
    if head.cues is None:
        raise InputError(f"{opened.config.name} is asked by vectors: ask it from Python, model(images, cue=vectors).")
    cue = numbers_of(args.cue, head.cue_names, head.cues)
    answers = reply(images_of(args, opened)[0], cue).answers
    best = answers.max(dim=-1)
    names = opened.config.class_names or tuple(map(str, range(answers.shape[-1])))
    questions = tuple(head.cue_names[k] if head.cue_names else str(k) for k in cue)
    said = tuple(tuple(names[answer] for answer in row) for row in best.indices.tolist())
    show(args, Replies(opened.config.name, questions, said, tuple(map(tuple, best.values.exp().tolist()))))


def numbers_of(given: Sequence[str], names: Sequence[str], count: int) -> list[int]:
    """Return the numbers of questions, which are given by name or by number; all of them where none is given.

    Raises:
        InputError: There is no such question.
    """
    places = {name.casefold(): number for number, name in enumerate(names)} | {str(k): k for k in range(count)}
    found = [places.get(word.casefold()) for word in given]
    lost = [word for word, number in zip(given, found, strict=True) if number is None]
    if lost:
        known = ", ".join(names) or f"0 to {count - 1}"
        hint = did_you_mean(nearest(lost[0], list(names)))
        raise InputError(f"There is no question {shown(lost[0])}.{hint} There are {known}.")
    return [number for number in found if number is not None] or list(range(count))


def _opened(given: str) -> tuple[Any, Callable[[Any, list[int]], Any]]:
    """Return a model, or what stands for one where a graph is given, and how pixels are asked about."""
    if graphs.is_graph(given):
        from stawm.export.serve.measured import MeasuredGraph
        from stawm.export.serve.session import OnnxModel

        graph = OnnxModel(given)
        return MeasuredGraph(graph), lambda pixels, cue: graph(pixels, cue=cue)
    from stawm.storage.pretrained import find_model

    model: Any = find_model(given)
    return model, lambda pixels, cue: model.predict(pixels, cue=cue)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes beside a model and images."""
    words = "a question, by its name or its number; may be given several times (default: all questions)"
    parser.add_argument("--cue", action="append", default=[], metavar="QUESTION", help=words)
