"""Evidence: whether the glimpse with the greatest share is the one that the answer rests on.

``STAWM_DATA=ROOT python -m benchmarks.evidence`` erases from the memory of `stawm-mnist-8` the glimpse that has the
greatest share of the right class, and another one at random, and counts on MNIST's test images which of them lowers the
right class's probability more.
"""

import os

import torch
from torch import Tensor

import stawm
from benchmarks.measure import Row
from benchmarks.results import Benchmark, command, goal, table
from stawm.models.explaining import Explanation
from stawm.storage.pretrained import find_model
from stawm.training import data

PRESET, BATCH = "stawm-mnist-8", 500


def count(found: Explanation, labels: Tensor, generator: torch.Generator) -> tuple[int, int]:
    """Return in how many images either glimpse lowers the probability, and in how many the greatest share more.

    Args:
        found: What `stawm.explain` gave.
        labels: The right classes.
        generator: What the other glimpse is drawn from.
    """
    shares, changes = found.of(labels)
    rows, n = torch.arange(len(labels)), shares.shape[1]
    before = found.logits[rows, labels].double().exp()
    falls = before[:, None] * -changes.double().expm1()
    greatest = shares.argmax(dim=1)
    other = (greatest + 1 + torch.randint(n - 1, greatest.shape, generator=generator)) % n
    most, some = falls[rows, greatest], falls[rows, other]
    either = (most > 0) | (some > 0)
    return int(either.sum()), int((either & (most > some)).sum())


def measure(quick: bool) -> list[Row]:
    """Measure on all test images; told to be quick, an untrained model on noise."""
    generator = torch.Generator().manual_seed(0)
    if quick:
        model, images = stawm.build("stawm-digits", seed=0), torch.rand(20, 1, 16, 16)
        labels = torch.arange(20) % 10
    else:
        model = find_model(PRESET)
        test = data.load(f"mnist:{os.environ['STAWM_DATA']}", image=model.config.image).test
        images, labels = test.images[:], test.labels
    either = more = 0
    widest = 0.0
    for part, own in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        found = stawm.explain(model, part)
        counts = count(found, own, generator)
        either, more = either + counts[0], more + counts[1]
        widest = max(widest, (found.shares.sum(dim=1) + found.bias - found.logits).abs().max().item())
    return [{"model": PRESET, "images": len(images), "either": either, "more": more, "gap": widest}]


def show(rows: list[Row]) -> str:
    """Lay the rows out, and say whether the goal is reached."""
    cells = [
        (f"`{r['model']}`", f"{r['images']:,}", f"{r['either']:,}", f"{r['more']:,}", f"{r['gap']:.1e}") for r in rows
    ]
    heads = "model | images | either lowers it | the greatest share more | shares and bias off the logits by at most"
    share = 100 * rows[0]["more"] / max(rows[0]["either"], 1)
    what = "images in which the glimpse of the greatest share counts more than another"
    return table(heads, cells) + "\n\n" + goal(what, share, 95, unit=" %")


BENCHMARK = Benchmark("evidence", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
