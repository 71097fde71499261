"""What every memory must do whatever its rule, and what each module adds to its rule."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from stawm import registry
from stawm.configuration.components import build_component
from stawm.core import delta as delta_rule
from stawm.core import gated_delta as gated_delta_rule
from stawm.core import oja as oja_rule
from stawm.core import plasticity as plasticity_rule
from stawm.errors import ConfigError, InputError
from stawm.nn.memories.backpropamine import Backpropamine
from stawm.nn.memories.base import Memory
from stawm.nn.memories.delta import Delta
from stawm.nn.memories.gated_delta import GatedDelta
from stawm.nn.memories.oja import Oja
from stawm.nn.memories.plasticity import Plasticity
from stawm.nn.testing.memory import one_by_one
from tests.strategies import assert_near, normal, seeds

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


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("plasticity", {"eta": 1.5}, r"eta must be a number in \[0, 1\]; got 1.5"),
        ("plasticity", {"eta": -0.1}, r"eta must be a number in \[0, 1\]; got -0.1"),
        ("plasticity", {"trace": "hebbian"}, r"trace must be one of 'hebb', 'oja'; got 'hebbian'"),
        ("backpropamine", {"clip": 0.0}, r"clip must be a number in \(0, inf\); got 0.0"),
        ("backpropamine", {"eta": 2.0}, r"eta must be a number in \[0, 1\]; got 2.0"),
        ("delta", {"beta_max": 2.5}, r"beta_max must be a number in \(0, 2\]; got 2.5"),
        ("delta", {"beta_max": 0.0}, r"beta_max must be a number in \(0, 2\]; got 0.0"),
        ("gated-delta", {"decay": 1.0}, r"decay must be a number in \(0, 1\); got 1.0"),
        ("gated-delta", {"decay": 0.0, "beta_max": 3.0}, r"(?s)beta_max .* got 3.0.*decay .* got 0.0"),
        ("oja", {"eta": 0.0}, r"eta must be a number in \(0, 1\]; got 0.0"),
        ("oja", {"eta": float("nan")}, r"eta must be a number in \(0, 1\]; got nan"),
    ],
)
def test_rates_out_of_their_range_are_refused(name: str, fields: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        build(name, **fields)


@pytest.mark.parametrize("name", ["plasticity", "backpropamine", "oja"])
@pytest.mark.parametrize("raw", [-1e4, -3.0, 0.0, 2.0, 1e4])
def test_a_rate_cannot_be_trained_out_of_its_range(name: str, raw: float):
    """P23 for the rates that are learned."""
    memory = build(name, **({"retroactive": True} if name == "backpropamine" else {}))
    eta: Any = memory.raw_eta
    nn.init.constant_(eta, raw)
    assert 0 <= rate(memory) <= 1


@pytest.mark.parametrize("name", ["plasticity", "backpropamine", "oja"])
def test_a_rate_that_is_not_learnable_stays(name: str):
    memory = build(name, learnable=False, eta=0.3, **({"retroactive": True} if name == "backpropamine" else {}))
    assert "raw_eta" not in [key for key, p in memory.named_parameters() if p.requires_grad]
    assert rate(memory) == pytest.approx(0.3, abs=1e-7)
    assert any(p.requires_grad for p in memory.parameters())


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("plasticity", {"trace": "hebb", "eta": 0.1, "learnable": True}),
        ("backpropamine", {"retroactive": False, "clip": 1.0, "eta": 0.5, "learnable": True}),
        ("delta", {"beta_max": 1.0, "normalise_query": True}),
        ("gated-delta", {"beta_max": 1.0, "normalise_query": True, "decay": 0.95}),
        ("oja", {"eta": 0.5, "learnable": True, "normalise": True}),
    ],
)
def test_the_documented_defaults(name: str, fields: dict[str, Any]):
    assert build(name).config.to_dict() == {"name": name, **fields}


@pytest.mark.parametrize("eta", [0.0, 0.25, 1.0])
def test_the_rate_starts_where_the_configuration_says(eta: float):
    for name, fields in (("plasticity", {}), ("backpropamine", {"retroactive": True}), ("backpropamine", {})):
        assert rate(build(name, eta=eta, **fields)) == pytest.approx(eta, abs=1e-7)
    assert rate(build("oja", eta=eta or 0.5)) == pytest.approx(eta or 0.5, abs=1e-7)


def rate(memory: Memory[Any]) -> float:
    assert isinstance(memory, (Plasticity, Backpropamine, Oja))
    return torch.as_tensor(memory.rates.eta).item()


@given(seeds, st.floats(0.1, 2), st.booleans())
def test_delta_makes_unit_keys_values_and_strengths(seed: int, beta_max: float, normalise: bool):
    memory = build("delta", beta_max=beta_max, normalise_query=normalise)
    assert isinstance(memory, Delta)
    e, q = (x.abs() for x in normal(seed, (B, M), (B, M)))
    key, value, query = (linear.weight for linear in (memory.key, memory.value, memory.query))
    k, asked = e @ key.T, q @ query.T
    k = k / (k.norm(dim=-1, keepdim=True) ** 2 + 1e-6) ** 0.5
    asked = asked / (asked.norm(dim=-1, keepdim=True) ** 2 + 1e-6) ** 0.5 if normalise else asked
    beta = beta_max / (1 + (-(e @ memory.strength.weight[0] + memory.strength.bias)).exp())
    assert ((beta > 0) & (beta < beta_max)).all()
    state = memory.write(memory.init_state(B), e)
    assert_near(state.S, beta[:, None, None] * (e @ value.T)[:, :, None] * k[:, None, :], EXACT)
    assert_near(memory.read(state, q), delta_rule.read(state, asked), EXACT)


@given(seeds, st.floats(0.05, 0.95))
def test_gated_delta_forgets_by_its_own_gate(seed: int, decay: float):
    memory = build("gated-delta", decay=decay)
    assert isinstance(memory, GatedDelta)
    nothing = torch.zeros(B, M, dtype=torch.float64)
    e, S = normal(seed, (B, M), (B, M, M))
    state = gated_delta_rule.State(S)
    assert_near(memory.write(state, nothing).S, decay * S, 1e-6)
    alpha = 1 / (1 + (-(e @ memory.keep.weight[0] + memory.keep.bias)).exp())
    plain = Delta(memory_size=M).double()
    plain.load_state_dict({key: x for key, x in memory.state_dict().items() if not key.startswith("keep")})
    assert_near(memory.write(state, e).S, plain.write(delta_rule.State(alpha[:, None, None] * S), e).S, EXACT)


@pytest.mark.parametrize("name", ["delta", "gated-delta"])
def test_delta_memories_read_zeros_before_any_write_and_write_nothing_for_nothing(name: str):
    memory, (E, Q) = build(name), stack()
    assert not memory.unroll(E, Q, [0] * len(READS))[0].any()
    assert not memory.unroll(0 * E, Q, READS)[0].any()


@pytest.mark.parametrize("name", ["delta", "gated-delta"])
@given(seeds, st.floats(0.01, 100))
def test_delta_memories_are_bounded_whatever_the_input(name: str, seed: int, size: float):
    """|S|² ≤ n |v|² from keys of length 1 and β < 1: no matter how large e is, only values grow with it."""
    memory = build(name)
    assert isinstance(memory, Delta)
    E = size * normal(seed, (B, 6, M))[0]
    _, state = memory.unroll(E, E[:, :0], [])
    largest = (E @ memory.value.weight.T).norm(dim=-1).max().item()
    assert torch.linalg.matrix_norm(state.S).max() <= delta_rule.bound(6, largest, 1.0) * (1 + 1e-12)


@pytest.mark.parametrize("trace", ["hebb", "oja"])
def test_plasticity_uses_its_own_weights_and_rate(trace: Any):
    memory = build("plasticity", trace=trace)
    assert isinstance(memory, Plasticity)
    E, Q = stack()
    weights, rates = plasticity_rule.Weights(memory.w, memory.alpha), plasticity_rule.Rates(memory.raw_eta.sigmoid())
    Y, state = plasticity_rule.unroll(E, Q, READS, weights, rates, trace=trace)
    ours, after = memory.unroll(E, Q, READS)
    assert torch.equal(ours, Y)
    assert torch.equal(after.H, state.H)
    assert_near(memory.read(memory.init_state(B), Q[:, 0]), Q[:, 0] @ memory.w.T, EXACT)


def test_backpropamine_is_modulated_by_its_input():
    memory = build("backpropamine", clip=50.0)
    assert isinstance(memory, Backpropamine)
    x = stack()[0][:, 0]
    M_ = (x @ memory.modulator.weight[0] + memory.modulator.bias).tanh()
    y = (x @ memory.w.T).tanh()
    after = memory.write(memory.init_state(B), x)
    assert_near(after.H, M_[:, None, None] * y[:, :, None] * x[:, None, :], EXACT)
    clipped = build("backpropamine", clip=1e-3)
    for state in (clipped.write(clipped.init_state(B), x), clipped.unroll(x[:, None], x[:, None], [1])[1]):
        assert state.H.abs().max() == 1e-3


@given(seeds, st.floats(0.01, 1), st.floats(0.01, 100))
def test_oja_is_bounded_whatever_the_input(seed: int, eta: float, size: float):
    memory = build("oja", eta=eta)
    assert isinstance(memory, Oja)
    E = size * normal(seed, (B, 6, M))[0]
    _, state = memory.unroll(E, E[:, :0], [])
    begin = torch.linalg.matrix_norm(memory.start, ord=2).item()
    assert torch.linalg.matrix_norm(state.S, ord=2).max() <= oja_rule.bound(eta, begin) * (1 + 1e-6)


def test_oja_sees_directions_only_unless_told_otherwise():
    x, memory = 1 + stack()[0][:, 0], build("oja")
    assert isinstance(memory, Oja)
    begun = memory.init_state(B)
    assert torch.equal(begun.S, memory.start.expand(B, M, M))
    along = x / (x.square().sum(dim=-1, keepdim=True) + 1e-6) ** 0.5
    assert_near(memory.write(begun, x).S, oja_rule.write(begun, along, memory.rates).S, EXACT)
    free = build("oja", normalise=False)
    assert isinstance(free, Oja)
    assert torch.equal(free.write(begun, x).S, oja_rule.write(begun, x, free.rates).S)


@pytest.mark.parametrize(
    ("name", "parameter", "variance"),
    [
        ("plasticity", "w", 1.0),
        ("plasticity", "alpha", 1.0),
        ("backpropamine", "w", 1.0),
        ("backpropamine", "alpha", 1.0),
        ("oja", "start", 0.25),
    ],
)
def test_weights_start_at_the_documented_scale(name: str, parameter: str, variance: float):
    """The variance of 128² draws is within 6 of its own standard deviations, √2 / 128, of what it should be."""
    drawn = getattr(build(name, size=128), parameter)
    assert 128 * drawn.square().mean().item() == pytest.approx(variance, rel=6 * 2**0.5 / 128)
