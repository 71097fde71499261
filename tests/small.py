"""Models small enough for tests, and inputs for them."""

from typing import Any

import torch
from torch import Tensor

import stawm
from stawm.heads.output import Output
from stawm.models.model import Model

PRESETS = stawm.list_names("preset", origin="stawm")
BASELINES = [name for name in PRESETS if getattr(stawm.config(name), "family", "") == "baseline"]
SCENES = {
    f"{kind}-{n}"
    for kind in ("stawm", "cnn")
    for n in ("translated-60", "cluttered-60", "cluttered-100", "pairs-100", "sum-100")
}
DRAWS = {"draw-mnist", "draw-mnist-no-attention", "draw-cluttered-100"}
RAMS = [name for name in PRESETS if getattr(stawm.config(name), "family", "") == "ram"]
SLOTS = [name for name in PRESETS if getattr(stawm.config(name), "family", "") == "slots"]
PEERS = {
    *DRAWS,
    *RAMS,
    *SLOTS,
    "stn-cluttered-60",
    *(f"ram-cnn-{task}" for task in ("translated-60", "cluttered-60", "cluttered-100")),
}
"""The models of other papers."""
STAWMS = [name for name in PRESETS if getattr(stawm.config(name), "family", "") == "stawm"]
OURS = {"stawm-digits", "stawm-figure-ground", "stawm-photo", "stawm-recall", *SCENES, *PEERS}
"""The presets that are not of the paper."""
SIZES = {"memory_size": 8, "hidden_size": 12, "glimpses": 3}
RAM_SIZES = {"feature_size": 8, "hidden_size": 12, "glimpses": 3}
PHOTO = {"image": (3, 48, 48), "context_size": 24, "glimpse_size": 24, "backbone": "conv", "context": {"layers": None}}
"""Of the preset for photographs, whose images are large."""
TINY = {
    "image": (1, 12, 12),
    "glimpse_size": 6,
    "context": {"layers": "4@3/2"},
    "backbone": {"layers": "3@3/1 4@3/2"},
    "heads": ("classification", "drawing"),
    "memory": "hebb-rosenblatt",
    "dropout": 0.0,
    **SIZES,
}


def small(preset: str, **overrides: Any) -> Model:
    """A preset of the catalogue with its own networks, but a small memory and few glimpses."""
    sizes = {} if preset in BASELINES else RAM_SIZES if preset in RAMS else SIZES
    sizes = sizes | (PHOTO if preset == "stawm-photo" else {})
    if preset in SLOTS:
        sizes = {"hidden_size": 12}
    if preset in DRAWS:
        sizes = {key: value for key, value in SIZES.items() if key != "memory_size"}
    return stawm.build(preset, seed=0, **{**sizes, **overrides})


def tiny(**overrides: Any) -> Any:
    """A model with both heads for images of 12x12."""
    return stawm.build("stawm-digits", seed=0, **{**TINY, **overrides})


def shaken(model: Any, scale: float = 0.1) -> Any:
    """The model with noise on every parameter but the rates, so that its emitters see what was seen."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim():
                parameter += scale * torch.randn(parameter.shape, generator=generator).to(parameter)
    return model


def inputs(model: Model, batch: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images and labels; of a model that is asked, one for each question; of one that learns places, boxes too."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next(model.parameters()).dtype
    images = torch.rand(batch, *model.config.image, generator=generator, dtype=torch.float64).to(dtype)
    asked = model.config.head("recall")
    shape = (batch,) if asked is None else (batch, asked.cues)
    labels: Any = torch.randint(0, 10, shape, generator=generator)
    if model.learns_places:
        labels = {"classification": labels, "places": torch.tensor([[[2, 3, 8, 10]]]).expand(batch, -1, -1)}
    return images, labels


def tensors(output: Output) -> dict[str, Tensor]:
    """Every tensor of an output by name."""
    return output.named()
