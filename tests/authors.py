"""The golden cases: what the authors' own code computes, and how its weights and inputs are made.

Each case is a JSON file with parameter names, shapes and gradient norms, and an npz file with arrays
in float64. Weights are not stored: they follow from their names.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

import stawm
from stawm.models.model import Stawm

FOLDER = Path(__file__).parent / "golden"
UNTOUCHED = ("memory.A", "memory.p", "memory.h", "memory.c0_in", "memory.c1_in", "onehots")
RATES = {"memory.decay": 0.2, "memory.learn": 0.4, "memory.learn2": 0.5}


@dataclass(frozen=True)
class GoldenCase:
    """One case: the preset it is of, the sizes it was run at, and what came out."""

    name: str
    preset: str
    overrides: dict[str, Any]

    @property
    def info(self) -> dict[str, Any]:
        return json.loads((FOLDER / f"{self.name}.json").read_text())

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return dict(np.load(FOLDER / f"{self.name}.npz"))

    def images(self) -> Tensor:
        form = self.info["input"]
        shape = (form["batch"], form["channels"], form["size"], form["size"])
        return torch.from_numpy(np.random.RandomState(7).rand(*shape))

    def mask_noise(self) -> Tensor | None:
        """The uniform numbers of each Concrete draw, for the case that draws with masks."""
        if self.name != "celeba_draw_32":
            return None
        glimpses, size = self.overrides["glimpses"], self.info["input"]["size"]
        draws = [np.random.RandomState(100 + k).uniform(0.01, 0.99, (3, 1, size, size)) for k in range(glimpses)]
        return torch.from_numpy(np.stack(draws, axis=1))

    def state_dict(self) -> dict[str, Tensor]:
        return authors_state_dict({name: tuple(shape) for name, shape in self.info["parameters"].items()})

    def model(self, **overrides: Any) -> Stawm:
        """The preset at the case's sizes, in float64, with the authors' weights."""
        model = stawm.build(self.preset, **self.overrides, **overrides).double().eval()
        assert isinstance(model, Stawm)
        stawm.storage.interop.load_authors_state_dict(model, self.state_dict())
        return model


CASES = (
    GoldenCase("mnist_class_8", "stawm-mnist-8", {"memory_size": 32, "hidden_size": 64}),
    GoldenCase("mnist_draw_6", "stawm-mnist-draw-6", {"memory_size": 32, "hidden_size": 512}),
    GoldenCase("cifar_draw_16", "stawm-cifar-draw-16", {"memory_size": 32, "hidden_size": 32}),
    GoldenCase("celeba_draw_32", "stawm-celeba-draw-32", {"memory_size": 32, "hidden_size": 32, "glimpses": 4}),
)


def authors_state_dict(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Make every weight from its name; a module under two names has the weights of its ``memory.`` name."""
    return {name: torch.from_numpy(_weight(_in_force(name, shapes), shape)) for name, shape in shapes.items()}


def _in_force(name: str, shapes: dict[str, tuple[int, ...]]) -> str:
    for short, long in (("context.", "memory.context_cnn."), ("encoder.", "memory.glimpse_cnn.")):
        if name.startswith(short) and name.replace(short, long, 1) in shapes:
            return name.replace(short, long, 1)
    return name


def _weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name in RATES:
        return np.full(shape, RATES[name])
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    if name in UNTOUCHED:
        return np.eye(shape[0]) if name == "onehots" else np.zeros(shape)
    z = np.random.RandomState(crc32(name.encode()) & 0xFFFFFFFF).standard_normal(shape)
    part = name.rpartition(".")[2]
    if part == "running_var":
        return np.exp(0.1 * z)
    if part in ("bias", "running_mean"):
        identity = np.array([1, 0, 0, 0, 1, 0]) if name.endswith("fc3.bias") else 0.0
        return 0.1 * z + identity
    if ".bn." in name:
        return 1 + 0.1 * z
    transposed = name.startswith("decoder.")
    fan_in = shape[0] * shape[2] * shape[3] if transposed else int(np.prod(shape[1:]))
    return z * np.sqrt(2 / fan_in)
