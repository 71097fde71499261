"""Asking: one look and a hundred questions, against a look for each question.

``python -m benchmarks.asking`` takes `stawm-recall` and one image. It answers a hundred questions after one look; after
one look, of which the memory is then asked a hundred times; and by a hundred looks, one for each question. What counts
is the ratio, as machines differ.
"""

from typing import Any

import torch

import stawm
from benchmarks.measure import Row, as_dict, interleaved, milliseconds
from benchmarks.results import Benchmark, command, goal, table

PRESET, QUESTIONS, ROUNDS = "stawm-recall", 100, 15
WAYS = {
    "at once": "one look, all questions in one pass of the memory",
    "one by one": "one look, the memory asked for each question",
    "look again": "a look for each question",
}


def measure(quick: bool) -> list[Row]:
    """Measure one image; told to be quick, once and with few questions."""
    count = 5 if quick else QUESTIONS
    model: Any = stawm.build(PRESET, seed=0).eval()
    image = model.normalise(torch.rand(1, *model.config.image, generator=torch.Generator().manual_seed(0)))
    cue = torch.arange(count) % model.config.heads[0].cues
    with torch.no_grad():
        _, state = model.watch(image)
        found = torch.cat([model.ask(state, cue[k : k + 1]).answers for k in range(count)], dim=1)
        gap = (model(image, cue=cue).answers - found).abs().max().item()

        def one_by_one() -> None:
            _, seen = model.watch(image, cue=cue[:1])
            for k in range(1, count):
                model.ask(seen, cue[k : k + 1])

        variants = {
            "at once": lambda: model(image, cue=cue),
            "one by one": one_by_one,
            "look again": lambda: [model(image, cue=cue[k : k + 1]) for k in range(count)],
        }
        taken = interleaved(variants, 1 if quick else ROUNDS)
    return [{"way": way, "questions": count, "gap": gap, **as_dict(timing)} for way, timing in taken.items()]


def show(rows: list[Row]) -> str:
    """Lay the rows out, and say how many times faster one look is."""
    first = rows[0]["median"]
    cells = [(WAYS[r["way"]], milliseconds(r), f"{r['median'] / first:.1f}") for r in rows]
    heads = f"{rows[0]['questions']} questions about one image | ms | times the first"
    ratio = rows[-1]["median"] / first
    return f"{table(heads, cells)}\n\n{goal('how many times faster one look is', ratio, 10, unit='')}"


BENCHMARK = Benchmark("asking", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
