"""The step graph carries any state that a memory may have, and each part takes only what it uses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import pytest
import torch
from torch import Tensor

import stawm
from stawm.configuration import Config as BaseConfig
from stawm.export import to_onnx
from stawm.export.graphs.plan import Plan, make_graphs
from stawm.export.run.walk import roll
from stawm.nn.memories.base import Memory
from stawm.nn.testing import check_memory
from tests.small import inputs, shaken, tiny

MEMORIES = stawm.list_names("memory", origin="stawm")
OPTIONS: list[dict[str, Any]] = [
    *({"name": name} for name in MEMORIES),
    {"name": "backpropamine", "retroactive": True},
    {"name": "hebb-rosenblatt", "form": "dense"},
    {"name": "hebb-rosenblatt", "form": "factored", "orientation": "appendix"},
    {"name": "hebb-rosenblatt", "constrained": True, "normalise": 0.9},
    {"name": "fast-weights", "form": "dense"},
    {"name": "plasticity", "trace": "oja"},
]


def parts(model: Any, *fields: str) -> Any:
    return make_graphs(model.eval(), Plan("step", 3, fields or ("logits",), False))


class Momentum(NamedTuple):
    """A matrix, its momentum, how often it was written, whether it was, and the last entry."""

    W: Tensor
    V: Tensor
    count: Tensor
    written: Tensor
    last: Tensor


class WithMomentum(Memory[Momentum]):
    """A memory of another package: no read uses V or the count, no write uses the flag or the last entry."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

        name: str = "with-momentum"

    def __init__(self, config: BaseConfig | None = None, *, memory_size: int) -> None:
        super().__init__(config or self.Config(), memory_size=memory_size)
        self.eta = torch.nn.Parameter(torch.tensor(0.3))

    def init_state(self, batch: int, *, device: Any = None, dtype: Any = None) -> Momentum:
        where = self._where(device, dtype)
        W = torch.zeros(batch, self.memory_size, self.memory_size, **where)
        count = torch.zeros(batch, 1, dtype=torch.int64, device=where["device"])
        return Momentum(W, W.clone(), count, count > 0, W[:, 0].clone())

    def matrix(self, state: Momentum) -> Tensor:
        return (state.W + 0.01 * torch.diag_embed(state.last)) * state.written[..., None]

    def _write(self, state: Momentum, e: Tensor) -> Momentum:
        energy = 1 + e.square().sum(dim=1, keepdim=True)
        V = 0.5 * state.V + self.eta * e[:, :, None] * (e / energy)[:, None] / (state.count[..., None] + 1)
        return Momentum(0.7 * state.W + V, V, state.count + 1, torch.ones_like(state.written), e)

    def _read(self, state: Momentum, q: Tensor) -> Tensor:
        read = (state.W @ q[:, :, None])[:, :, 0] + 0.01 * q * state.last
        return torch.where(state.written, read, torch.zeros_like(read))


def memory_inputs(folder: Path, part: str) -> set[str]:
    """What a part takes of the memory's state."""
    names = [value.name for value in onnx.load(folder / f"{part}.onnx").graph.input]
    return {name.removeprefix("state.memory.") for name in names if name.startswith("state.memory.")}


def carrying(memory: Memory[Any]) -> Any:
    """A small model with another memory in its place."""
    model = shaken(tiny(heads="classification"))
    model.memory = memory
    return model


def assert_steps_are_the_rollout(model: Any) -> None:
    """The parts, walked through by PyTorch, give what the model gives, glimpse by glimpse."""
    graphs = parts(model, "logits", "glimpse_logits", "pose")
    images, _ = inputs(model, batch=3)

    def run(part: str, given: Any) -> Any:
        assert set(given) == {*graphs[part].inputs}
        return graphs[part].run(given)

    with torch.no_grad():
        found = roll(run, {part: graph.inputs for part, graph in graphs.items()}, {"image": images}, 3, every=True)
        expected = model(images, glimpses=3, glimpse_logits=True)
    torch.testing.assert_close(found["glimpse_logits"], expected.glimpse_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["pose"], expected.trace.pose, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("memory", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_every_form_of_a_memory_goes_by_steps(memory: dict[str, Any]) -> None:
    assert_steps_are_the_rollout(shaken(tiny(memory=memory, heads="classification")).eval())


def test_momentum_that_no_read_uses_is_no_input_of_it(tmp_path: Path) -> None:
    model = shaken(tiny(memory={"name": "backpropamine", "retroactive": True}, heads="classification"))
    assert to_onnx(model, tmp_path / "m", graph="step", outputs=["glimpse_logits"], batches=(1, 3)).ok
    assert memory_inputs(tmp_path / "m", "read") == {"H"}
    assert memory_inputs(tmp_path / "m", "glimpse") == {"H", "E"}


def test_a_state_of_any_type_goes_by_steps(tmp_path: Path) -> None:
    model = carrying(WithMomentum(memory_size=8))
    assert to_onnx(model, tmp_path / "m", graph="step", outputs=["glimpse_logits"], batches=(1, 3)).ok
    assert memory_inputs(tmp_path / "m", "glimpse") == {"W", "V", "count"}
    assert memory_inputs(tmp_path / "m", "read") == {"W", "written", "last"}


def test_a_memory_with_such_a_state_keeps_the_contract() -> None:
    assert check_memory(WithMomentum, export=False)


def test_what_a_part_does_not_take_is_carried_on() -> None:
    """The state is whole after any number of glimpses."""
    model = carrying(WithMomentum(memory_size=8)).eval()
    assert_steps_are_the_rollout(model)
    graphs = parts(model)
    unused = {"state.memory.written", "state.memory.last"}  # of one of them only the shape is used
    assert not unused & {*graphs["glimpse"].inputs}
    gives = {name for name in graphs["glimpse"].outputs if name.startswith("next.memory.")}
    assert gives == {f"next.memory.{name}" for name in Momentum._fields}


@pytest.mark.parametrize("name", MEMORIES)
def test_parts_take_what_they_took_before(name: str) -> None:
    """Of memories whose reads use the whole state nothing is left out; an LSTM is read by its output, not its cell."""
    model = tiny(memory=name, heads="classification")
    whole = {f"state.memory.{field}" for field in model.memory.init_state(1)._fields} - {"state.memory.c"}
    assert {*parts(model)["read"].inputs} == {"state.query.classification"} | whole
