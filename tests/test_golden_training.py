"""Training against the authors' own code in float64: one step's numbers, and five steps of Adam.

The cases are in training mode with every dropout at 0. A change of all parameters by a rounding error moves a one-step
case by up to 5e-10 of itself, a five-step case by up to 2e-11; another exact implementation came within 2e-10.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import stawm
from stawm.heads.output import Noise, Output
from stawm.models.model import Stawm
from stawm.storage.interop import authors_names, load_authors_state_dict
from stawm.training import Recipe
from stawm.training.run import Run
from tests.authors import authors_state_dict

FOLDER = Path(__file__).parent / "golden_training"
PRESETS = {
    "mnist_class_8": "stawm-mnist-8",
    "mnist_draw_6": "stawm-mnist-draw-6",
    "cifar_draw_16": "stawm-cifar-draw-16",
}
NEAR = 1e-8


class Case:
    """A golden case: its settings, its arrays, and the preset with the authors' weights."""

    def __init__(self, name: str) -> None:
        self.info = json.loads((FOLDER / f"{name}.json").read_text())
        self.arrays = dict(np.load(FOLDER / f"{name}.npz"))
        self.shapes = {key: tuple(shape) for key, shape in self.info["parameters"].items()}

    def model(self) -> Stawm:
        sizes = {key: self.info[key] for key in ("memory_size", "hidden_size", "glimpses")}
        plain = {"dropout": 0.0, "mean": (0.0,), "std": (1.0,)}
        model = stawm.build(PRESETS[self.info["case"]], **sizes, **plain).double().train()
        assert isinstance(model, Stawm)
        load_authors_state_dict(model, self.weights())
        return model

    def weights(self) -> dict[str, Tensor]:
        scale = self.info.get("emitter_weight_scale", 1.0)
        made = authors_state_dict(self.shapes)
        return {key: value * scale if key.endswith("emission.fc3.weight") else value for key, value in made.items()}

    def images(self, seed: int = 7) -> Tensor:
        form = self.info["input"]
        return torch.from_numpy(
            np.random.RandomState(seed).rand(form["batch"], form["channels"], form["size"], form["size"])
        )

    def noise(self) -> Noise:
        return Noise(torch.from_numpy(self.arrays["noise"]) if "noise" in self.arrays else None)

    @property
    def labels(self) -> Tensor:
        return torch.tensor(self.info["labels"])


def gap(got: Any, expected: Any) -> float:
    """The largest difference, relative to the largest number."""
    got, expected = (np.asarray(x.detach() if isinstance(x, Tensor) else x, dtype=np.float64) for x in (got, expected))
    largest = np.abs(expected).max()
    return float(np.abs(got.reshape(expected.shape) - expected).max() / (largest or 1.0))


def arrays_of(model: Stawm, output: Output) -> dict[str, Tensor | None]:
    """What a case records of a forward pass, by its names."""
    trace, latent = output.trace, output.latent
    assert trace is not None
    state = model.memory.init_state(len(trace.pose), dtype=trace.pose.dtype)
    for e in trace.memory_input.unbind(1):
        state = model.memory.write(state, e)
    return {
        "output": output.logits if output.canvas is None else output.canvas,
        "pose": trace.pose,
        "inverse_pose": trace.inverse_pose,
        "memory_final": model.memory.matrix(state),
        "mu": None if latent is None else latent.mu,
        "logvar": None if latent is None else latent.logvar,
        "sketch": output.sketches,
    }


@pytest.mark.parametrize("name", PRESETS)
def test_one_step(name: str) -> None:
    case = Case(name)
    model = case.model()
    output = model(case.images(), noise=case.noise())
    found = arrays_of(model, output)
    losses = model.loss(output, case.images(), case.labels)
    losses["total"].backward()
    gaps = {key: gap(found[key], array) for key, array in case.arrays.items() if key in found}
    gaps |= {f"loss {key}": gap(losses[key], value) for key, value in case.info["loss"].items()}
    ours = authors_names(model, case.shapes)
    own, parameters = model.state_dict(), dict(model.named_parameters())
    statistics = {key: array for key, array in case.arrays.items() if "running_" in key or key.endswith("tracked")}
    gaps |= {key: gap(own[ours[key]], array) for key, array in statistics.items()}
    gradients = {key: norm for key, norm in case.info["grad_norms"].items() if key in ours}
    assert {ours[key] for key in gradients} == set(parameters), "every parameter has a gradient to compare"
    for key, norm in gradients.items():
        gradient = parameters[ours[key]].grad
        gaps[f"gradient of {key}"] = gap(0.0 if gradient is None else gradient.norm(), norm)
    expected = set(case.arrays) - {"noise"}
    assert expected <= set(gaps), f"not compared: {expected - set(gaps)}"
    assert not {key: value for key, value in gaps.items() if value > NEAR}


@pytest.mark.parametrize("run", ["none", "value5"])
def test_five_steps_of_adam(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("mnist_class_8_five_steps")
    golden, model = case.info["runs"][run], case.model()
    recipe = Recipe(name="five steps", epochs=1, rate=case.info["learning_rate"], clip_by="value", clip=None)
    recipe = recipe.replace(clip=5.0) if run == "value5" else recipe
    monkeypatch.setattr("stawm.training.run.construct_seeded", lambda *_: model)
    trained = Run(model.config, recipe, cpu=True)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    gaps: dict[str, float] = {}
    for step, expected in enumerate(golden["steps"]):
        losses = trained.one_step(case.images(100 + step), case.labels, 5)
        assert trained.numbers is not None
        gaps[f"loss of step {step}"] = gap(losses["total"], expected["total"])
        gaps[f"gradient of step {step}"] = gap(trained.numbers.watched["gradient_norm"], expected["grad_norm_total"])
    ours, end = authors_names(model, case.shapes), dict(model.named_parameters())
    for name, norm in golden["parameter_norms"].items():
        if name in ours:
            gaps[f"norm of {name}"] = gap(end[ours[name]].norm(), norm)
            moved = (end[ours[name]] - start[ours[name]]).norm()
            gaps[f"change of {name}"] = gap(moved, golden["change_norms"][name])
    state = model.state_dict()
    recorded = {key.removeprefix(f"{run}."): value for key, value in case.arrays.items() if key.startswith(f"{run}.")}
    rates = torch.stack([state[f"memory.{name}"] for name in ("delta", "eta", "theta")])
    gaps["rates"] = gap(rates, recorded.pop("rates"))
    gaps |= {key: gap(state[ours[key]], array) for key, array in recorded.items()}
    assert not {key: value for key, value in gaps.items() if value > NEAR}
