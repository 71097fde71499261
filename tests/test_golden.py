"""Every preset's numbers against the authors' own code, in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stawm.core.hebb_rosenblatt import respond
from stawm.heads.output import Noise, Output
from stawm.models.model import Stawm
from stawm.storage.interop import authors_names
from tests.authors import CASES, FOLDER, GoldenCase

VALUES, GRADIENTS = 1e-9, 1e-7


def run(case: GoldenCase, form: str) -> tuple[Stawm, Output]:
    model = case.model(memory={"form": form})
    return model, model(case.images(), noise=Noise(mask=case.mask_noise()))


def answer(output: Output) -> Tensor:
    found = output.logits if output.logits is not None else output.canvas
    assert found is not None
    return found


def assert_near(name: str, got: Tensor, expected: np.ndarray) -> None:
    scale = np.abs(expected).max()
    gap = np.abs(got.detach().numpy().reshape(expected.shape) - expected).max()
    assert gap <= VALUES * scale, f"{name}: off by {gap:.2e} at a magnitude of {scale:.2e}"


def test_the_cases_are_all_there() -> None:
    assert {case.name for case in CASES} == {path.stem for path in FOLDER.glob("*.json")}
    assert len(CASES) == 4


@pytest.mark.parametrize("form", ["dense", "factored"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outputs(case: GoldenCase, form: str) -> None:
    model, output = run(case, form)
    assert output.trace is not None
    expected = case.arrays
    got: dict[str, Any] = {
        "output": answer(output),
        "pose": output.trace.pose,
        "memory_input": output.trace.memory_input,
        "inverse_pose": output.trace.inverse_pose,
        **memory(model, output.trace.memory_input),
    }
    if output.latent is not None:
        got |= output.latent._asdict()
    assert set(expected) == {name for name, tensor in got.items() if tensor is not None}
    for name, array in expected.items():
        assert_near(name, got[name], array)


def memory(model: Any, E: Tensor) -> dict[str, Tensor]:
    """What the memory answered to each input, and what it was in the end, through its public steps."""
    responses = []
    state = model.memory.init_state(len(E), dtype=E.dtype)
    for e in E.unbind(1):
        responses.append(respond(state, e, model.memory.rates))
        state = model.memory.write(state, e)
    return {
        "memory_response": model.memory.eta * torch.stack(responses, dim=1),
        "memory_final": model.memory.matrix(state),
    }


@pytest.mark.parametrize("form", ["dense", "factored"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gradients(case: GoldenCase, form: str) -> None:
    model, output = run(case, form)
    weights = torch.from_numpy(np.random.RandomState(11).standard_normal(tuple(answer(output).shape)))
    (answer(output) * weights).sum().backward()
    parameters = dict(model.named_parameters())
    expected = case.info["grad_norms"]
    ours = authors_names(model, case.info["parameters"])
    compared = {ours[name] for name in expected if name in ours}
    assert compared == set(parameters), "every parameter of the model has a gradient to compare"
    for name, norm in expected.items():
        if name not in ours:
            assert norm == 0, f"{name} is left out, but has a gradient"
            continue
        gradient = parameters[ours[name]].grad
        got = 0.0 if gradient is None else gradient.norm().item()
        assert abs(got - norm) <= GRADIENTS * norm, f"{name}: {got} for {norm}"
