"""What every memory must do whatever its rule."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from stawm import registry
from stawm.configuration.components import build_component
from stawm.errors import InputError
from stawm.nn.memories.base import Memory
from stawm.nn.testing.memory import one_by_one
from tests.strategies import assert_near, normal

EXACT = 1e-10
B, N, M = 2, 4, 5
READS = [4, 0, 2, 2, 3]

NAMES = registry.list_names("memory", origin="stawm")
FIELDS: dict[str, list[dict[str, Any]]] = {
    "hebb-rosenblatt": [{"orientation": "appendix", "form": "dense"}],
    "fast-weights": [{"learnable": True, "layer_norm": True}],
    "hopfield": [{"learnable": True}],
    "plasticity": [{"trace": "oja"}],
    "backpropamine": [{"retroactive": True}],
    "delta": [{"beta_max": 2.0, "normalise_query": False}],
    "oja": [{"normalise": False, "eta": 0.02}],
}
VARIANTS = [(name, fields) for name in NAMES for fields in [{}, *FIELDS.get(name, [])]]


def build(name: str, size: int = M, **fields: Any) -> Memory[Any]:
    """A memory by its name, in float64."""
    return build_component("memory", name, memory_size=size, **fields).double()


@pytest.fixture(params=VARIANTS, ids=lambda v: "-".join([v[0], *map(str, v[1].values())]))
def memory(request: pytest.FixtureRequest) -> Memory[Any]:
    name, fields = request.param
    return build(name, **fields)


def stack(seed: int = 1, n: int = N, b: int = B) -> tuple[Tensor, Tensor]:
    """Inputs and queries as a model gives them: nonnegative, some of them zero."""
    E, Q = normal(seed, (b, n, M), (b, len(READS), M))
    return E.clamp(0, 6), Q.clamp(0, 6)


def learned(memory: Memory[Any]) -> list[nn.Parameter]:
    return [p for p in memory.parameters() if p.requires_grad]


def derivatives(memory: Memory[Any], unroll: Callable[..., Any], *inputs: Tensor) -> list[Tensor]:
    """The gradients of what is read and of the matrix by the inputs and all parameters."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    Y, state = unroll(*leaves, READS)
    outputs = (Y, memory.matrix(state))
    total = torch.stack([(y * normal(7, y.shape)[0].to(y)).sum() for y in outputs]).sum()
    return list(torch.autograd.grad(total, [*leaves, *learned(memory)], allow_unused=True, materialize_grads=True))


def assert_same_memory(memory: Memory[Any], state: Any, other: Any) -> None:
    assert_near(memory.matrix(state), memory.matrix(other), EXACT)
    if [x.shape for x in state] == [x.shape for x in other]:
        for a, b in zip(state, other, strict=True):
            assert_near(a, b, EXACT)


def test_names_and_sizes(memory: Memory[Any]):
    assert registry.find("memory", memory.config.name).load() is type(memory)
    assert memory.memory_size == M
    assert memory.config == type(memory).Config(**memory.config.to_dict())
    assert type(memory)(memory_size=3).config == type(memory).Config()  # pyright: ignore[reportCallIssue]


def test_the_state_is_a_named_tuple_of_tensors(memory: Memory[Any]):
    state = memory.init_state(B)
    after = memory.write(state, stack()[0][:, 0])
    for one in (state, after, memory.unroll(*stack(), READS)[1]):
        assert isinstance(one, tuple)
        assert one._fields == after._fields  # pyright: ignore[reportAttributeAccessIssue]
        assert all(isinstance(x, Tensor) and len(x) == B and x.dtype == torch.float64 for x in one)
    assert memory.init_state(B, dtype=torch.float32)[0].dtype == torch.float32
    assert memory.init_state(B, device=torch.device("meta"))[0].device.type == "meta"


def test_unroll_is_the_loop_of_write_and_read(memory: Memory[Any]):
    E, Q = stack()
    Y, state = memory.unroll(E, Q, READS)
    looped, end = one_by_one(memory, E, Q, READS)
    assert_near(Y, looped, EXACT)
    assert_same_memory(memory, state, end)
    fast = derivatives(memory, memory.unroll, E, Q)
    slow = derivatives(memory, lambda *x: one_by_one(memory, *x), E, Q)
    for a, b in zip(fast, slow, strict=True):
        assert_near(a, b, 1e-8)


@pytest.mark.parametrize("cut", range(N + 1))
def test_a_stack_may_be_handed_over_anywhere(memory: Memory[Any], cut: int):
    E, Q = stack()
    Y, whole = memory.unroll(E, Q, READS)
    _, first = memory.unroll(E[:, :cut], Q[:, :0], [])
    later = [k for k, r in enumerate(READS) if r >= cut]
    Z, second = memory.unroll(E[:, cut:], Q[:, later], [READS[k] - cut for k in later], first)
    assert_near(Z, Y[:, later], EXACT)
    assert_same_memory(memory, second, whole)


def test_second_derivatives(memory: Memory[Any]):
    E, Q = normal(3, (1, 2, M), (1, 2, M))
    E, Q = (x.abs().clamp(0.05, 2).requires_grad_() for x in (E, Q))
    assert torch.autograd.gradgradcheck(lambda E, Q: memory.unroll(E, Q, [1, 2])[0], (E, Q))


def test_no_write_and_no_read(memory: Memory[Any]):
    E, Q = stack()
    nothing, state = memory.unroll(E, Q[:, :0], [])
    assert nothing.shape == (B, 0, M)
    Y, same = memory.unroll(E[:, :0], Q, [0] * len(READS), state)
    assert_near(Y, torch.stack([memory.read(state, Q[:, k]) for k in range(len(READS))], dim=1), EXACT)
    assert_same_memory(memory, same, state)


def test_an_empty_memory_reads_the_same_however_it_is_made(memory: Memory[Any]):
    E, Q = stack()
    Y, _ = memory.unroll(E, Q, [0] * len(READS))
    assert_near(Y[:, 1], memory.read(memory.init_state(B), Q[:, 1]), EXACT)


def test_slots_change_no_read_and_no_write(memory: Memory[Any]):
    E, Q = stack()
    plain, roomy = memory.init_state(B), memory.with_room(memory.init_state(B), 3)
    for t in range(N):
        assert_near(memory.read(roomy, Q[:, t]), memory.read(plain, Q[:, t]), EXACT)
        plain, roomy = memory.write(plain, E[:, t]), memory.write(roomy, E[:, t])
    assert_near(memory.matrix(roomy), memory.matrix(plain), EXACT)


def test_nothing_is_kept_on_the_module(memory: Memory[Any]):
    """Two images looked at in turns are as if each had the memory to itself."""
    E, Q = stack()
    before = {key: value for key, value in vars(memory).items() if not key.startswith("_")}
    parameters = {key: value.clone() for key, value in memory.state_dict().items()}
    turns = [memory.init_state(1), memory.init_state(1)]
    for t in range(N):
        turns = [memory.write(turns[i], E[i : i + 1, t]) for i in range(2)]
        for i in range(2):
            memory.read(turns[i], Q[i : i + 1, 0])
    together = memory.unroll(E, Q, READS)[1]
    for i in range(2):
        assert_near(memory.matrix(turns[i])[0], memory.matrix(together)[i], EXACT)
    assert {key: value for key, value in vars(memory).items() if not key.startswith("_")} == before
    assert all(torch.equal(value, parameters[key]) for key, value in memory.state_dict().items())


def test_a_write_leaves_the_state_it_was_given(memory: Memory[Any]):
    E, _ = stack()
    state = memory.write(memory.init_state(B), E[:, 0])
    kept = [x.clone() for x in state]
    memory.write(state, E[:, 1])
    memory.unroll(E, E, [0] * N, state)
    assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))


def test_images_do_not_see_each_other(memory: Memory[Any]):
    E, Q = (x.requires_grad_() for x in stack(b=3))
    Y, state = memory.unroll(E, Q, READS)
    for outputs in (Y[1], memory.matrix(state)[1]):
        reached = torch.autograd.grad(
            outputs.sum(), (E, Q), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        assert not any(gradient[[0, 2]].any() for gradient in reached)
    turned, other = memory.unroll(E.flip(0), Q.flip(0), READS)
    assert_near(turned.flip(0), Y, EXACT)
    assert_near(memory.matrix(other).flip(0), memory.matrix(state), EXACT)


@pytest.mark.parametrize("after", range(N))
def test_a_read_sees_only_what_was_written_before_it(memory: Memory[Any], after: int):
    E, Q = stack()
    Y, _ = memory.unroll(E.requires_grad_(), Q[:, :1], [after])
    (gradient,) = torch.autograd.grad(Y.sum() + 0 * E.sum(), E)
    assert not gradient[:, after:].any()


def test_what_was_written_can_be_read(memory: Memory[Any]):
    """After two writes what is read depends on the query and on the first input at least."""
    E, Q = stack(n=2)
    Y, _ = memory.unroll(E.requires_grad_(), Q.requires_grad_(), [2] * len(READS))
    by_E, by_Q = torch.autograd.grad(Y.square().sum(), (E, Q))
    assert by_E[:, 0].any()
    assert by_Q.any()


def test_every_parameter_learns_from_two_writes_and_a_read(memory: Memory[Any]):
    if not learned(memory):
        pytest.skip("learns nothing")
    E, Q = stack(n=2)
    memory.unroll(E, Q, [2] * len(READS))[0].square().sum().backward()
    for name, p in memory.named_parameters():
        if p.requires_grad:
            assert p.grad is not None, name
            rows = p.grad.reshape(len(p) if p.ndim else 1, -1)
            assert rows.any(dim=1).all(), f"{name}: a row of it is not used"


def test_the_matrix_is_the_derivative_of_reading_at_zero(memory: Memory[Any]):
    E, _ = stack()
    _, state = memory.unroll(E, E[:, :0], [])
    zero = torch.zeros(B, M, dtype=torch.float64)
    derivative: Any = jacobian(lambda q: memory.read(state, q), zero)
    assert_near(memory.matrix(state), derivative.diagonal(dim1=0, dim2=2).movedim(-1, 0), EXACT)


@pytest.mark.parametrize("n", [1, 36])
@pytest.mark.parametrize("largest", [0.0, 1.0, 6.0])
def test_derivatives_are_finite_for_all_legal_inputs(memory: Memory[Any], n: int, largest: float):
    """P25, in float32: anything that ReLU6 gives, for as many glimpses as any model takes."""
    if memory.config.name == "oja" and not memory.config.to_dict()["normalise"]:
        pytest.skip("diverges for |e| of this size, as its documentation says")
    memory = memory.float()
    E = (largest * torch.rand(B, n, M)).requires_grad_()
    Y, state = memory.unroll(E, E[:, :1], [n])
    Y.sum().backward()
    gradients = [x.grad for x in (E, *learned(memory)) if x.grad is not None]
    assert all(x.isfinite().all() for x in (Y, *state, *gradients))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_memories_stay_in_full_precision(memory: Memory[Any], dtype: torch.dtype):
    """P26: under autocast, and given half-precision inputs, parameters or both."""
    E, Q = (x.to(dtype) for x in stack())
    for module in (memory.float(), memory.to(dtype)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            Y, state = module.unroll(E, Q, READS)
            steps = module.write(module.init_state(B), E[:, 0])
            answer = module.read(steps, Q[:, 0])
            matrix = module.matrix(steps)
        assert all(x.dtype == torch.float32 and x.isfinite().all() for x in (Y, *state, *steps, answer, matrix))
    with torch.autocast("cpu", enabled=False):
        assert torch.equal(module.unroll(E, Q, READS)[0], Y)


def test_the_same_seed_gives_the_same_bits(memory: Memory[Any]):
    """P28."""
    torch.manual_seed(5)
    first = build(memory.config.name)
    torch.manual_seed(5)
    second = build(memory.config.name)
    E, Q = stack()
    assert torch.equal(first.unroll(E, Q, READS)[0], second.unroll(E, Q, READS)[0])


@pytest.mark.parametrize(
    ("width", "reads", "message"),
    [
        (M + 1, [1], rf"E is \(b, n, m\) with m = {M}, the width of the memory; got \(2, 2, {M + 1}\)"),
        (M, [3], "0 to n = 2 writes; got 3"),
        (M, [1, 2], "k = 1 queries"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_stacks_are_refused(memory: Memory[Any], width: int, reads: Sequence[int], message: str):
    E = torch.zeros(B, 2, width, dtype=torch.float64)
    with pytest.raises(InputError, match=message):
        memory.unroll(E, E[:, :1], reads)


def test_it_is_traced_without_shape_arithmetic(memory: Memory[Any]):
    """For export: no node asks for a size, and none makes a constant of one."""

    class Unrolled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = memory.float()

        def forward(self, E: Tensor, Q: Tensor) -> Tensor:
            return self.memory.unroll(E, Q, [0, 1, 3])[0]

    batch = torch.export.Dim("batch")
    E, Q = torch.rand(2, 3, M), torch.rand(2, 3, M)
    program = torch.export.export(Unrolled(), (E, Q), dynamic_shapes=({0: batch}, {0: batch}))
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    assert not [node for node in calls if "sym_size" in str(node.target)]
    made = [n for n in calls if any(word in str(n.target) for word in ("zeros", "ones", "full", "eye", "arange"))]
    assert all(isinstance(size, int) for node in made for size in node.meta["val"].shape)
    E, Q = torch.rand(5, 3, M), torch.rand(5, 3, M)
    assert torch.allclose(program.module()(E, Q), memory.unroll(E, Q, [0, 1, 3])[0], atol=1e-5)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_unrolled_memories_run_on_onnx_runtime(tmp_path: Path):
    """All in one graph: at any batch, with no node that asks for a size, and equal to rounding."""

    class All(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memories = nn.ModuleList(build(name, **fields) for name, fields in VARIANTS).float()

        def forward(self, E: Tensor, Q: Tensor) -> tuple[Tensor, ...]:
            return tuple(memory.unroll(E, Q, [1, 2, 3])[0] for memory in self.memories)  # pyright: ignore

    both, example = All().eval(), (torch.rand(2, 3, M), torch.rand(2, 3, M))
    batch = ({0: "batch"}, {0: "batch"})
    program: Any = torch.onnx.export(both, example, dynamo=True, opset_version=18, dynamic_shapes=batch, verbose=False)
    assert not {"Shape", "ConstantOfShape", "Loop", "If", "Scan"} & {node.op_type for node in program.model.graph}
    program.save(tmp_path / "memories.onnx", external_data=False)
    session = onnxruntime.InferenceSession(tmp_path / "memories.onnx", providers=["CPUExecutionProvider"])
    for b in (1, 3):
        E, Q = torch.rand(b, 3, M), torch.rand(b, 3, M)
        feeds = {node.name: x.numpy() for node, x in zip(session.get_inputs(), (E, Q), strict=True)}
        for got, expected in zip(session.run(None, feeds), both(E, Q), strict=True):
            assert torch.allclose(torch.as_tensor(got), expected, atol=1e-5)
