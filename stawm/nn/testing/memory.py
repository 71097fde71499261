"""What every memory must do, whatever its rule."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from stawm.configuration import Config
from stawm.errors import InputError
from stawm.nn.memories.base import Memory
from stawm.nn.testing.contract import (
    by_name,
    require,
    require_equal,
    require_finite,
    require_gradients,
    require_unchanged,
    run_checks,
    snapshot,
    uniform,
)
from stawm.nn.testing.export import export_as

Build: TypeAlias = Callable[[], Memory[Any]]

BATCH, WRITES, SIZE = 3, 5, 6
HIGHEST = 6.0
ROUNDING = 1e-9


def check_memory(
    cls: type, *, config: Config | None = None, seeds: Sequence[int] = (0, 1, 2), export: bool = True
) -> list[str]:
    """Check that a class keeps the contract of `stawm.nn.memories.base.Memory`, and name the checks that were run.

    Args:
        cls: The memory's class.
        config: Its configuration; the default one where left out.
        seeds: What inputs are drawn from; more seeds look harder.
        export: Whether to export a small model with it too, as a rollout and by steps; that takes some seconds.

    Raises:
        ContractError: The class breaks one or more of them; the message names each.

    Examples:
        >>> from stawm.nn.memories.fast_weights import FastWeights
        >>> from stawm.nn.testing import check_memory
        >>> "unroll_is_the_loop" in check_memory(FastWeights, export=False)
        True
    """
    exporter = export_as("memory", channels=1, image=(8, 8), glimpse=4) if export else None
    return run_checks(cls, MEMORY_CHECKS, lambda chosen: cls(chosen, memory_size=SIZE), config, seeds, exporter)


def inputs(seed: int, writes: int = WRITES) -> tuple[Tensor, Tensor]:
    """Draw what is written, as ReLU6 gives it, and as many queries."""
    return uniform(seed, BATCH, writes, SIZE, high=HIGHEST), uniform(seed + 1, BATCH, writes, SIZE, high=HIGHEST)


def written(memory: Memory[Any], E: Tensor) -> tuple[Tensor, ...]:
    """Write a stack one by one."""
    state = memory.init_state(len(E), dtype=E.dtype)
    for e in E.unbind(1):
        state = memory.write(state, e)
    return state


def one_by_one(
    memory: Memory[Any], E: Tensor, Q: Tensor, reads: Sequence[int], state: Any = None
) -> tuple[Tensor, Any]:
    """Do what `unroll` means: write one entry after the other, and read in between."""
    state = memory.init_state(len(E), dtype=E.dtype) if state is None else state
    states = [state]
    for e in E.unbind(1):
        states.append(memory.write(states[-1], e))
    return torch.stack([memory.read(states[r], q) for r, q in zip(reads, Q.unbind(1), strict=True)], 1), states[-1]


def state_is_explicit(build: Build, seed: int) -> None:
    """The state is a named tuple of tensors with the batch first."""
    state: Any = written(build(), inputs(seed)[0])
    require(issubclass(type(state), tuple) and hasattr(state, "_asdict"), f"the state is a {type(state).__name__}")
    for name, part in state._asdict().items():
        require(isinstance(part, Tensor), f"{name} of the state is a {type(part).__name__}")
        require(part.shape[0] == BATCH, f"{name} of the state has shape {tuple(part.shape)}: the batch is not first")


def nothing_on_self(build: Build, seed: int) -> None:
    """Writing and reading leave nothing behind on the module."""
    memory = build()
    E, Q = inputs(seed)
    before = snapshot(memory)
    first = memory.read(written(memory, E), Q[:, 0])
    memory.read(written(memory, E.flip(1)), Q[:, 1])
    require_unchanged(memory, before)
    require_equal("the same read again", memory.read(written(memory, E), Q[:, 0]), first)


def states_are_values(build: Build, seed: int) -> None:
    """A write or a read changes no state that was handed out before."""
    memory = build()
    E, Q = inputs(seed)
    state = written(memory, E[:, :2])
    kept = [part.clone() for part in state]
    memory.read(memory.write(state, E[:, 2]), Q[:, 0])
    for part, old in zip(state, kept, strict=True):
        require_equal("an earlier state", part, old)


def starts_as_asked(build: Build, seed: int) -> None:
    """An empty state is of the batch, type and device that are asked for; of the parameters' where nothing is."""
    memory = build()
    for asked, dtype in ((None, torch.float64), (torch.float32, torch.float32)):
        for part in memory.init_state(BATCH, dtype=asked):
            require(len(part) == BATCH, f"an empty state for {BATCH} has shape {tuple(part.shape)}")
            require(
                part.dtype in (dtype, torch.int64, torch.bool), f"an empty state with dtype={asked} is {part.dtype}"
            )
    for part in memory.init_state(BATCH, device=torch.device("meta")):
        require(part.is_meta, f"an empty state with device='meta' is on {part.device}")


def keeps_type(build: Build, seed: int) -> None:
    """What is read has the width and the floating type of the query, and so has the state after a write."""
    E, Q = inputs(seed)
    for dtype in (torch.float32, torch.float64):
        memory = build().to(dtype)
        state = written(memory, E.to(dtype))
        floats = [part.dtype for part in state if part.is_floating_point()]
        require({*floats} <= {dtype}, f"a state after writes of {dtype} is {floats}")
        read = memory.read(state, Q[:, 0].to(dtype))
        require(read.shape == (BATCH, SIZE), f"a read has shape {tuple(read.shape)}, not {(BATCH, SIZE)}")
        require(read.dtype == dtype, f"a read of {dtype} is {read.dtype}")


def safe_under_autocast(build: Build, seed: int) -> None:
    """Autocast and input in half precision change nothing: all is computed in float32."""
    memory = build().float()
    E, Q = (x.bfloat16() for x in inputs(seed))

    def answers() -> list[Tensor]:
        state = memory.write(memory.init_state(BATCH), E[:, 0])
        Y, after = memory.unroll(E, Q, range(1, WRITES + 1))
        return [memory.read(state, Q[:, 0]), Y, *state, *after]

    plain = answers()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = answers()
    for got, expected in zip(found, plain, strict=True):
        require(got.dtype != torch.bfloat16, "a read or a state under autocast is in bfloat16")
        require_equal("a read or a state under autocast", got, expected)


def refuses_wrong_reads(build: Build, seed: int) -> None:
    """`unroll` refuses reads after more writes than there are, and another number of them than of queries."""
    E, Q = inputs(seed)
    for reads in ([WRITES + 1], [-1], [0, 0], []):
        try:
            build().unroll(E, Q[:, :1], reads)
        except InputError:
            continue
        require(False, f"unroll takes reads={reads} for one query and {WRITES} writes: see `check_stack`")


def reads_many_at_once(build: Build, seed: int) -> None:
    """Many queries in one call read what they read one by one, with the same gradients."""
    results = []
    for many in (False, True):
        memory = build()
        E, Q = (x.requires_grad_() for x in inputs(seed))
        state = written(memory, E)
        Y = memory.read(state, Q) if many else torch.stack([memory.read(state, q) for q in Q.unbind(1)], dim=1)
        (Y * uniform(seed + 2, *Y.shape)).sum().backward()
        results.append({"reads of many queries": Y, "dE of many reads": E.grad, "dQ of many reads": Q.grad})
    for name, expected in results[0].items():
        require_equal(name, results[1][name].detach(), expected.detach(), ROUNDING)


def samples_are_apart(build: Build, seed: int) -> None:
    """What one sample writes reaches no other, in value or gradient."""
    memory = build()
    E, Q = inputs(seed)
    E.requires_grad_()
    together = memory.read(written(memory, E), Q[:, 0])
    for i in range(BATCH):
        alone = memory.read(written(memory, E[i : i + 1]), Q[i : i + 1, 0])
        require_equal(f"sample {i} alone", alone, together[i : i + 1], ROUNDING)
    (gradient,) = torch.autograd.grad(together[0].sum(), E)
    require(not gradient[1:].any(), "the gradient of one sample's read reaches what other samples wrote")


def unroll_is_the_loop(build: Build, seed: int) -> None:
    """`unroll` gives what the loop of writes and reads gives, with the same gradients."""
    reads = (0, 2, WRITES, 2, WRITES)
    results = []
    for method in (one_by_one, Memory.unroll):
        memory = build()
        E, Q = (x.requires_grad_() for x in inputs(seed))
        Y, state = method(memory, E, Q, reads)
        probe = memory.read(state, Q[:, 0])
        ((Y * uniform(seed + 2, *Y.shape)).sum() + (probe * uniform(seed + 3, *probe.shape)).sum()).backward()
        gradients = {f"the gradient of {k}": p.grad for k, p in memory.named_parameters() if p.grad is not None}
        results.append({"a read": Y, "a read of the last state": probe, "dE": E.grad, "dQ": Q.grad, **gradients})
    loop, fast = results
    require(set(loop) == set(fast), f"gradients reach {sorted(fast)} and not {sorted(loop)}")
    for name, expected in loop.items():
        require_equal(f"unroll: {name}", fast[name].detach(), expected.detach(), ROUNDING)


def splits_anywhere(build: Build, seed: int) -> None:
    """A stack split anywhere, with the state handed over, is the stack at once."""
    memory = build()
    E, Q = inputs(seed)
    whole, _ = memory.unroll(E, Q, [WRITES] * WRITES)
    for cut in range(WRITES + 1):
        _, state = memory.unroll(E[:, :cut], Q[:, :0], [])
        parts, _ = memory.unroll(E[:, cut:], Q, [WRITES - cut] * WRITES, state)
        require_equal(f"reads after a split at {cut}", parts, whole, ROUNDING)


def grows_as_declared(build: Build, seed: int) -> None:
    """A write adds one row, the last along axis 1, to what the class says that it grows, and to nothing else."""
    memory = build()
    E, _ = inputs(seed)
    state: Any = memory.init_state(BATCH, dtype=E.dtype)
    for e in E.unbind(1):
        after: Any = memory.write(state, e)
        for name, part in after._asdict().items() if type(after) is type(state) else ():
            old, rows = getattr(state, name), int(name in memory.grows)
            expected = (old.shape[0], old.shape[1] + rows, *old.shape[2:])
            require(part.shape == expected, f"a write makes {name} {tuple(part.shape)}, not {expected}: see `grows`")
            if rows:
                require_equal(f"{name} before its newest row", part[:, :-1], old)
        state = after


def empty_slots_change_nothing(build: Build, seed: int) -> None:
    """A state with room reads and writes as one without, at the start and later."""
    memory = build()
    E, Q = inputs(seed)
    plain = memory.init_state(BATCH, dtype=E.dtype)
    roomy = memory.with_room(plain, 3)
    for e, q in zip((*E.unbind(1), E[:, 0]), (*Q.unbind(1), Q[:, 0]), strict=True):
        expected = memory.read(plain, q)
        require_equal("a read with empty slots", memory.read(roomy, q), expected, ROUNDING)
        require_equal("a read with room made late", memory.read(memory.with_room(plain, 2), q), expected, ROUNDING)
        plain, roomy = memory.write(plain, e), memory.write(roomy, e)


def contributions_sum_up(build: Build, seed: int) -> None:
    """Where it says what each write gives to a read, these add up to the read; else the call is an InputError."""
    memory = build()
    E, Q = inputs(seed)
    if not memory.sums_up:
        try:
            memory.contributions(E, Q[:, 0])
        except InputError:
            return
        require(False, "it has no contributions, and the call is no InputError")
    for writes in (0, 1, WRITES):
        found = memory.contributions(E[:, :writes], Q[:, 0])
        require(found.writes.shape == (BATCH, writes, SIZE), f"of {writes} writes it gives {tuple(found.writes.shape)}")
        read = memory.read(written(memory, E[:, :writes]), Q[:, 0])
        require_equal(f"the sum of {writes} contributions", found.writes.sum(dim=1) + found.rest, read, ROUNDING)
    alone = memory.contributions(E[:1], Q[:1, 0])
    for name, got, expected in zip(alone._fields, alone, memory.contributions(E, Q[:, 0]), strict=True):
        require_equal(f"{name} of the first sample alone", got, expected[:1], ROUNDING)


def matrix_is_the_read(build: Build, seed: int) -> None:
    """`matrix` is the derivative of `read` at the query zero."""
    memory = build()
    E, Q = inputs(seed)
    state = written(memory, E)
    q = Q[:, 0]
    along: Any
    _, along = torch.autograd.functional.jvp(lambda x: memory.read(state, x), torch.zeros_like(q), q)
    require_equal("matrix @ q", (memory.matrix(state) @ q.unsqueeze(2)).squeeze(2), along, ROUNDING)


def does_not_explode(build: Build, seed: int) -> None:
    """Twice as many writes of bounded input do not read more than a few times as much."""
    memory = build().float()
    E = uniform(seed, BATCH, 128, SIZE, high=HIGHEST).float()
    q = E[:, 0]
    with torch.no_grad():
        half, whole = memory.read(written(memory, E[:, :64]), q), memory.read(written(memory, E), q)
    require_finite("a read after 128 writes", half, whole)
    growth = whole.abs().max().item() / max(half.abs().max().item(), 1.0)
    require(growth <= 4, f"reads grow {growth:.1e} times between 64 and 128 writes of bounded input")


def learns(build: Build, seed: int) -> None:
    """Gradients are finite and reach every parameter and every write."""
    memory = build()
    E, Q = inputs(seed)
    E.requires_grad_()
    Y, _ = memory.unroll(E, Q, range(1, WRITES + 1))
    (Y * uniform(seed + 2, *Y.shape)).sum().backward()
    require_finite("the gradient of what is written", E.grad)
    require_gradients(memory)


def repeats(build: Build, seed: int) -> None:
    """The same calls give the same bits."""
    E, Q = inputs(seed)
    reads = [build().unroll(E, Q, range(1, WRITES + 1))[0] for _ in range(2)]
    require_equal("the same unroll again", reads[1], reads[0])


MEMORY_CHECKS = by_name(
    state_is_explicit,
    nothing_on_self,
    states_are_values,
    starts_as_asked,
    keeps_type,
    safe_under_autocast,
    reads_many_at_once,
    samples_are_apart,
    unroll_is_the_loop,
    splits_anywhere,
    refuses_wrong_reads,
    grows_as_declared,
    empty_slots_change_nothing,
    contributions_sum_up,
    matrix_is_the_read,
    does_not_explode,
    learns,
    repeats,
)
