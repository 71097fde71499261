"""State goes in and out: an image in several looks, a stream of images into one memory, queries of one's own."""

from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree

import stawm
from stawm.errors import InputError
from stawm.models.model import Stawm, activate
from stawm.models.states import State
from tests.small import inputs, shaken, tiny

MEMORIES = stawm.list_names("memory", origin="stawm")
ROUNDING = 1e-12
"""In float64: sums of a few dozen terms of the order of 10, in another order."""


def _model(memory: str, **fields: Any) -> tuple[Stawm, torch.Tensor]:
    model = shaken(tiny(memory=memory, **fields)).double().eval().requires_grad_(False)
    return model, inputs(model)[0]


def _near(found: torch.Tensor, expected: torch.Tensor) -> bool:
    scale = max(1.0, expected.abs().max().item())
    return bool((found - expected).abs().max() <= ROUNDING * scale)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("parts", [(3, 3), (1, 2, 3), (1, 1)])
def test_looks_in_parts_are_one_look(memory: str, parts: tuple[int, ...]):
    model, images = _model(memory)
    whole = model.look(images, sum(parts))
    expected = model.recall(whole, model.reads(sum(parts)))
    state, seen, recalled = model.start(images), [], {}
    for n in parts:
        seen.append(model.look(images, n, state=state))
        recalled, state = model.remember(seen[-1], model.reads(n), state)
    # Products of other numbers of rows are rounded otherwise, on some processors.
    assert _near(torch.cat([part.memory_input for part in seen], dim=1), whole.memory_input)
    assert _near(torch.cat([part.looks.pose for part in seen], dim=1), whole.looks.pose)
    assert _near(recalled["classification"], expected["classification"])
    assert _near(recalled["drawing"], expected["drawing"][:, -parts[-1] :])


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_stream_is_one_long_write(memory: str):
    """The memory after several images is that of all their writes one after the other."""
    model, first = _model(memory)
    frames = [first, first.flip(3), first.flip(2)]
    state, outputs = None, []
    for frame in frames:
        output, state = model.watch(frame, state, glimpses=2)
        outputs.append(output)
    seen = [model.look(frame, 2) for frame in frames]
    E = torch.cat([part.memory_input for part in seen], dim=1)
    query = model.heads["classification"].query(seen[-1].context)
    answers, memory_after = model.memory.unroll(E, query[:, None], [6])
    assert _near(outputs[-1].logits, model.heads["classification"].classifier(activate(answers[:, 0])))
    assert isinstance(state, State)
    assert _near(model.memory.matrix(state.memory), model.memory.matrix(memory_after))
    assert outputs[0] == model(first, glimpses=2)
    assert not _near(outputs[-1].logits, model(frames[-1], glimpses=2).logits), "what was seen before counts"


@pytest.mark.parametrize("memory", MEMORIES)
def test_an_empty_memory_is_no_memory(memory: str):
    model, images = _model(memory)
    for start in (model.start(images), model.start(2)):
        output, _ = model.watch(images, start)
        assert _near(output.logits, model(images).logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_streams_run_in_half_precision_and_learn(dtype: torch.dtype):
    model = shaken(tiny(memory="gated-delta", heads="classification")).to(dtype)
    images, labels = inputs(model)
    output, state = model.watch(images, model.start(images))
    output, state = model.watch(images, state)
    model.loss(output, images, labels)["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.loop.parameters())
    cut = pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, state)
    assert isinstance(cut, State)
    assert not any(x.requires_grad for x in pytree.tree_leaves(cut) if x is not None)


def test_queries_of_ones_own():
    model, images = _model("hebb-rosenblatt")
    seen, reads = model.look(images, 3), {"classification": (1, 3)}
    query = torch.rand(2, 8, dtype=torch.float64)
    found = model.recall(seen, reads, queries={"classification": query})["classification"]
    _, state = model.remember(seen, {"classification": (3,)})
    assert _near(found[:, 1], activate(model.memory.read(state.memory, query)))
    own = model.heads["classification"].query(seen.context)
    assert torch.equal(
        model.recall(seen, reads, queries={"classification": own})["classification"],
        model.recall(seen, reads)["classification"],
    )


def test_nothing_of_a_stream_stays_on_the_model():
    model, images = _model("fast-weights")
    first, _ = model.watch(images, model.start(images))
    model.watch(images.flip(2), model.start(images))
    again, _ = model.watch(images, model.start(images))
    assert first == again


@pytest.mark.usefixtures("unchecked")
def test_wrong_states_are_refused():
    model, images = _model("delta")
    _, state = model.watch(images)
    with pytest.raises(InputError, match="The state is of a batch of 2; got a batch of 1"):
        model.watch(images[:1], state)
    with pytest.raises(InputError, match="The state is of a batch of 2; got a batch of 1"):
        model.look(images[:1], 1, state=state)
    with pytest.raises(InputError, match="must be what start, remember or watch gave; got State"):
        model.recall(model.look(images, 1), model.reads(1), state.memory)
    with pytest.raises(InputError, match="must be what start, remember or watch gave; got int"):
        model.watch(images, 3)
    with pytest.raises(InputError, match="The state is of a batch of 3; got E of a batch of 2"):
        model.watch(images, model.start(3))
    with pytest.raises(InputError, match="at least 1"):
        model.start(0)
