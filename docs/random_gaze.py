"""Train a model that looks anywhere: what is lost where the gaze is not learned.

    python docs/random_gaze.py stawm-cluttered-100 clutter:ROOT runs/cluttered-100-random recipe.epochs=6

The model is the preset; only where it looks is drawn anew for each glimpse, in training and in testing, from where the
middle of a digit can be. The rest of the words are fields of model, recipe and data, as for ``stawm train``.
"""

import sys

import torch
from torch import Tensor

from stawm.cli.parser import parse_overrides
from stawm.nn.recurrent import Emitter
from stawm.training import train

REACH = 0.72
"""How far from the middle, of half a side of 100 pixels, the middle of a digit of 28 can be."""


def anywhere(self: Emitter, h: Tensor) -> Tensor:
    """Return a position drawn at random for each image, whatever the model would look at."""
    return (2 * torch.rand(len(h), len(self.identity), device=h.device) - 1) * REACH


def main() -> None:
    """Train, and print what was measured."""
    preset, source, out, *rest = sys.argv[1:]
    Emitter.forward = anywhere
    options = {"cpu": True, "precision": "bf16", "pictures": 0, "validation": 2000}
    print(train(preset, data=source, out=out, options=options, **parse_overrides(rest)).evaluation)


if __name__ == "__main__":
    main()
