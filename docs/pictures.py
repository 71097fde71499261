"""Make the pictures of the docs: ``stawm demo``, then ``python docs/pictures.py demo/model.safetensors``."""

import sys
from pathlib import Path

import torch

import stawm
from stawm.heads.model import Model
from stawm.training import data
from stawm.training.augment import to_unit
from stawm.viz import matrices, paper

IMAGES = Path(__file__).parent / "images"


def with_memory(model: Model, name: str) -> Model:
    """Return a model that looks as the given one does and writes into another memory, as it starts out."""
    other = stawm.build(model.config, seed=0, memory=name).eval()
    looking = {key: value for key, value in model.state_dict().items() if not key.startswith("memory.")}
    other.load_state_dict(looking, strict=False)
    return other


def memories(model: Model, pixels: torch.Tensor) -> None:
    """Draw W after each glimpse of one image, a row for each rule."""
    names = stawm.list_names("memory")
    glimpses = model.config.glimpses
    figure, axes = paper.sheet(len(names), [1.0, *[1.2] * glimpses], height=1.3)
    for panels, name in zip(axes, names, strict=True):
        written = matrices(paper.look(with_memory(model, name), pixels))[0]
        paper.show(panels[0], pixels[0])
        paper.under(panels[0], name, paper.INK)
        for step in range(glimpses):
            reach = max(float(written[step].abs().max()), 1e-12)
            panels[1 + step].imshow(
                written[step].numpy(), cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest"
            )
            paper.border(panels[1 + step], paper.colour(step, glimpses), width=1.0)
            paper.under(panels[1 + step], f"± {reach:.2g}", paper.FAINT)
    words = ["image", *[f"W after {step + 1}" for step in range(glimpses)]]
    inks = [paper.INK, *[paper.colour(step, glimpses) for step in range(glimpses)]]
    paper.headings(figure, axes[0], words, inks, "the same glimpses, written by every rule")
    figure.savefig(IMAGES / "memories.png", dpi=110)


if __name__ == "__main__":
    trained = stawm.load(sys.argv[1])
    memories(trained, to_unit(data.load("digits").test.images[3:4]))
