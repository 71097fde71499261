"""PyTorch knows what is inside outputs and states, and every weight gets a gradient at any number of glimpses."""

import copy
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree

import stawm
from stawm.errors import PixelsWarning
from stawm.export import OnnxOutput
from stawm.heads.output import Latent, Noise, Output, Trace
from tests.models import ranks
from tests.small import inputs, shaken, tensors, tiny

CASES = [
    {"static_graph": static, "glimpses": glimpses, "heads": heads}
    for static in (False, True)
    for glimpses, heads in [(1, ["classification"]), (2, ["classification", "drawing"]), (3, ["classification"])]
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[list[torch.Tensor]]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    processes = [ranks.SERVER.Process(target=ranks.train, args=(rank, folder, CASES)) for rank in range(ranks.WORLD)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in range(ranks.WORLD)]


@pytest.mark.parametrize("case", range(len(CASES)), ids=[str([*case.values()]) for case in CASES])
def test_two_processes_end_with_the_same_weights(weights: list[list[torch.Tensor]], case: int):
    first, second = (each[case] for each in weights)
    assert torch.equal(first, second)
    overrides: dict[str, Any] = {k: v for k, v in CASES[case].items() if k != "static_graph"}
    start = torch.nn.utils.parameters_to_vector(tiny(**overrides).parameters())
    assert not torch.equal(first, start)


@pytest.mark.parametrize("memory", stawm.list_names("memory", origin="stawm"))
@pytest.mark.parametrize("glimpses", [1, 2, 3])
def test_every_weight_that_learns_gets_a_gradient(memory: str, glimpses: int):
    model = tiny(memory=memory, glimpses=glimpses)
    images, labels = inputs(model)
    model.loss(model(images), images, labels)["total"].backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_gradients_of_zero_move_no_other(monkeypatch: pytest.MonkeyPatch):
    def gradients() -> dict[str, torch.Tensor]:
        model = shaken(tiny(glimpses=2))
        images, labels = inputs(model)
        model.loss(model(images, sample=False), images, labels)["total"].backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    found = gradients()
    monkeypatch.setattr("stawm.models.model.reach", lambda x, _: x)
    plain = gradients()
    assert found.keys() - plain.keys() == {"loop.aggregator_rnn.weight_hh"}
    assert all(torch.equal(found[name], gradient) for name, gradient in plain.items())
    assert not found["loop.aggregator_rnn.weight_hh"].any()


def _output(cls: type[Output] = Output, **more: Any) -> Output:
    latent = Latent(torch.zeros(2, 3, 4), torch.ones(2, 3, 4))
    trace = Trace(torch.zeros(2, 3, 6), None, torch.zeros(2, 3, 1, 4, 4), torch.zeros(2, 3, 8))
    return cls.of({"logits": torch.zeros(2, 5), "latent": latent, "trace": trace, "values": torch.ones(2, 1), **more})


@pytest.mark.parametrize("output", [_output(), _output(OnnxOutput, confidence=torch.ones(2, 3)), Output()])
def test_an_output_is_a_tree(output: Output):
    leaves, structure = pytree.tree_flatten(output)
    assert {id(leaf) for leaf in leaves if leaf is not None} == {id(tensor) for tensor in tensors(output).values()}
    again = pytree.tree_unflatten(leaves, structure)
    assert type(again) is type(output)
    assert again == output
    moved = pytree.tree_map_only(torch.Tensor, lambda x: x + 1, output)
    assert tensors(moved).keys() == tensors(output).keys()
    assert all(torch.equal(tensors(moved)[name], x + 1) for name, x in tensors(output).items())
    assert copy.deepcopy(output) == pickle.loads(pickle.dumps(output)) == output


def test_outputs_are_equal_where_all_fields_are():
    assert _output() == _output()
    assert _output() != _output(values=torch.zeros(2, 1))
    assert _output() != _output(scores=torch.zeros(2, 1))
    assert _output() != _output(OnnxOutput)
    assert _output() != 3


def test_an_output_shows_what_is_there():
    latent = "latent=Latent(mu=float32[2, 3, 4], logvar=float32[2, 3, 4])"
    trace = "trace=Trace(pose=float32[2, 3, 6], glimpses=float32[2, 3, 1, 4, 4], memory_input=float32[2, 3, 8])"
    assert repr(_output()) == f"Output(logits=float32[2, 5], {latent}, {trace}, values=float32[2, 1])"
    assert repr(OnnxOutput()) == "OnnxOutput()"
    assert _output().values.shape == (2, 1)
    with pytest.raises(AttributeError, match="Output has no field 'value'; it has logits, latent, trace, values"):
        _ = _output().value


@pytest.mark.parametrize("memory", stawm.list_names("memory", origin="stawm"))
def test_every_state_is_a_tree(memory: str):
    model = tiny(memory=memory)
    images, _ = inputs(model)
    seen = model.look(images, 3)
    _, written = model.memory.unroll(seen.memory_input, seen.memory_input[:, :0], [])
    for state in (seen, written, model.loop.init(images)[1], Noise(torch.zeros(2, 3, 4))):
        leaves, structure = pytree.tree_flatten(state)
        assert all(leaf is None or isinstance(leaf, torch.Tensor) for leaf in leaves)
        assert type(pytree.tree_unflatten(leaves, structure)) is type(state)


def test_a_model_is_exported_by_torch_itself():
    model = shaken(tiny()).eval()
    images, _ = inputs(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PixelsWarning)
        program, file = torch.export.export(model, (images,)), io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    with torch.no_grad():
        found, expected = torch.export.load(file).module()(images), model(images)
    assert isinstance(found, Output)
    assert tensors(found).keys() == tensors(expected).keys()
    unit = torch.finfo(torch.float32).eps
    for name, tensor in tensors(expected).items():
        assert (tensors(found)[name] - tensor).abs().max() <= 64 * unit * max(1.0, tensor.abs().max().item())


def test_gradients_of_each_image_by_torch_func():
    model = shaken(tiny(glimpses=2, memory="delta")).eval()
    images, labels = inputs(model)
    weights = dict(model.named_parameters())

    def loss(weights: dict[str, Any], image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        output = torch.func.functional_call(model, weights, (image[None],))
        return model.loss(output, image[None], label[None])["total"]

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(weights, images, labels)
    alone = torch.func.grad(loss)(weights, images[1], labels[1])
    for name, gradient in alone.items():
        assert (each[name][1] - gradient).abs().max() <= 1e-4 * max(1.0, gradient.abs().max().item())
