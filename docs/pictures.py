"""Make the pictures of the docs.

    stawm demo
    python docs/pictures.py memories demo/model.safetensors
    python docs/pictures.py seeing runs/sketchpad/model.safetensors mnist:ROOT
    python docs/pictures.py parts runs/draw/model.safetensors mnist:ROOT

The second takes a model that classifies and draws, such as one of ``stawm-mnist-sketchpad``; the third one that draws.
"""

import sys
from pathlib import Path

import torch

import stawm
from stawm import viz
from stawm.models.model import Model
from stawm.training import data, evaluate
from stawm.training.data.augment import to_unit
from stawm.viz import matrices, sheet
from stawm.viz.memories import show_matrix
from stawm.viz.seen import look

IMAGES = Path(__file__).parent / "images"
SEED = 3
"""Which of the test images are shown."""


def with_memory(model: Model, name: str) -> Model:
    """Return a model that looks as the given one does and writes into another memory, as it starts out."""
    other = stawm.build(model.config, seed=0, memory=name).eval()
    looking = {key: value for key, value in model.state_dict().items() if not key.startswith("memory.")}
    other.load_state_dict(looking, strict=False)
    return other


def memories(model: Model, source: str = "digits") -> None:
    """Draw W after each glimpse of one image, a row for each rule."""
    pixels = to_unit(data.load(source).test.images[3:4])
    names = stawm.list_names("memory", origin="stawm")
    glimpses = model.config.glimpses
    figure, axes = sheet.panels([1.3] * len(names), [1.0, *[1.2] * glimpses])
    for panels, name in zip(axes, names, strict=True):
        written = matrices(look(with_memory(model, name), pixels))[0]
        sheet.show(panels[0], pixels[0])
        sheet.under(panels[0], name, sheet.INK)
        for step in range(glimpses):
            reach = show_matrix(panels[1 + step], written[step])
            sheet.border(panels[1 + step], sheet.colour(step, glimpses), width=1.0)
            sheet.under(panels[1 + step], reach, sheet.FAINT)
    words = ["image", *[f"W after {step + 1}" for step in range(glimpses)]]
    inks = [sheet.INK, *[sheet.colour(step, glimpses) for step in range(glimpses)]]
    sheet.headings(figure, axes[0], words, inks, "the same glimpses, written by every rule")
    figure.savefig(IMAGES / "memories.png", dpi=110)


def shuffled_test(model: Model, source: str) -> data.ImageSet:
    """Return the test images of a set in an order of ours."""
    test = data.load(source, image=model.config.image).test
    return test.take(torch.randperm(len(test), generator=torch.Generator().manual_seed(SEED)))


def parts(model: Model, source: str) -> None:
    """Draw how a digit comes about on the canvas."""
    pixels = to_unit(shuffled_test(model, source).images[:3])
    sheet.save(viz.drawings(model, pixels), IMAGES / "parts.png")


def seeing(model: Model, source: str) -> None:
    """Draw what `docs/seeing.md` shows."""
    test = shuffled_test(model, source)
    pixels, labels = to_unit(test.images[:2000]), test.labels[:2000]
    sheet.save(viz.drawings(model, pixels[:2]), IMAGES / "drawings.png")
    viz.animate(model, pixels[:3], labels[:3]).save(IMAGES / "glimpses.gif")
    sheet.save(viz.mistakes(model, pixels, labels, count=8), IMAGES / "mistakes.png")
    measured = evaluate(model, test, by_glimpse=True, by_class=True)
    sheet.save(viz.evaluation(measured), IMAGES / "evaluation.png")


if __name__ == "__main__":
    what, checkpoint, *rest = sys.argv[1:]
    {"memories": memories, "seeing": seeing, "parts": parts}[what](stawm.load(checkpoint), *rest)
