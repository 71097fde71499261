"""What the conformance checks share: how they are run, and what they compare."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from stawm.configuration import Config, coerce, field_hints
from stawm.errors import StawmError

Check: TypeAlias = Callable[[Callable[[], Any], int], None]


class ContractError(StawmError, AssertionError):
    """A component breaks its contract; ``broken`` maps the name of a check to what it found."""

    def __init__(self, component: str, broken: Mapping[str, str]) -> None:
        self.broken = dict(broken)
        lines = [f"{component} breaks its contract in {len(broken)} of its checks:"]
        super().__init__("\n".join([*lines, *(f"  {name}: {found}" for name, found in broken.items())]))


def by_name(*checks: Check) -> Mapping[str, Check]:
    """Return checks by the names of their functions."""
    return {check.__name__: check for check in checks}


def run_checks(
    cls: type,
    checks: Mapping[str, Check],
    build: Callable[[Config], nn.Module],
    config: Config | None,
    seeds: Sequence[int],
    export: Callable[[nn.Module], None] | None,
) -> list[str]:
    """Run every check for every seed on what ``build`` makes of a configuration, and return the names of the checks.

    Args:
        cls: The component's class.
        checks: The checks by name.
        build: Makes the component of a configuration.
        config: The configuration; the default one where left out.
        seeds: What inputs are drawn from.
        export: Exports the component, in float32; run where all checks passed, and not where left out.

    Raises:
        ContractError: Some check failed.
    """
    broken: dict[str, str] = {}
    fault = _attempt(lambda: _check_config(cls, config))
    if fault:
        raise ContractError(cls.__name__, {"config": fault})
    chosen = config or cls.Config()

    def fresh() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(chosen).double()

    for name, check in checks.items():
        for seed in seeds:
            found = _attempt(lambda check=check, seed=seed: check(fresh, seed))
            if found:
                broken[name] = f"{found} (seed {seed})"
                break
    if export and not broken:
        fault = _attempt(lambda: export(fresh().float()))
        broken |= {"exports": fault} if fault else {}
    if broken:
        raise ContractError(cls.__name__, broken)
    return ["config", *checks, *(["exports"] if export else [])]


def _attempt(call: Callable[[], None]) -> str | None:
    try:
        call()
    except Exception as error:
        text = str(error) or "an assertion failed"
        return text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"
    return None


def _check_config(cls: type, given: Config | None) -> None:
    made: Any = getattr(cls, "Config", None)
    derived = isinstance(made, type) and issubclass(made, Config)
    require(derived, "the class has no Config derived from stawm.Config")
    config: Config = given or cls.Config()
    fields = json.loads(json.dumps(config.to_dict()))
    hints = field_hints(type(config))
    require(
        type(config)(**{key: coerce(value, hints[key]) for key, value in fields.items()}) == config,
        f"its configuration does not survive JSON: {fields}",
    )


def require(holds: bool, otherwise: str) -> None:
    """Fail with a sentence unless something holds."""
    if not holds:
        raise AssertionError(otherwise)


def require_equal(name: str, got: Tensor, expected: Tensor, tolerance: float = 0.0) -> None:
    """Fail unless two tensors agree to a fraction of the larger one's magnitude."""
    require(got.shape == expected.shape, f"{name} has shape {tuple(got.shape)}, not {tuple(expected.shape)}")
    if not expected.is_floating_point():
        got, expected = got.double(), expected.double()
    scale = max(expected.abs().max().item() if expected.numel() else 0.0, 1.0)
    gap = (got - expected).abs().max().item() if expected.numel() else 0.0
    require(gap <= tolerance * scale, f"{name} differs by {gap:.2e} at a magnitude of {scale:.2e}")


def require_finite(name: str, *tensors: Tensor | None) -> None:
    """Fail unless every tensor that is there is finite."""
    for tensor in tensors:
        require(tensor is None or bool(tensor.isfinite().all()), f"{name} is not finite")


def require_gradients(module: nn.Module) -> None:
    """Fail unless every parameter that learns has a finite gradient after a backward pass."""
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            require(parameter.grad is not None, f"parameter {name} gets no gradient: it is not used")
            require_finite(f"the gradient of {name}", parameter.grad)


def snapshot(module: nn.Module) -> dict[str, Any]:
    """Copy what a module holds, to see whether a call changes it."""
    held = {key: repr(value) for key, value in vars(module).items() if not key.startswith("_")}
    return held | {key: value.clone() for key, value in module.state_dict().items()}


def require_unchanged(module: nn.Module, before: Mapping[str, Any]) -> None:
    """Fail where a call left something behind on the module."""
    after = snapshot(module)
    added = sorted(set(after) - set(before))
    require(not added, f"a call leaves {', '.join(added)} behind on the module")
    for key, old in before.items():
        same = torch.equal(after[key], old) if isinstance(old, Tensor) else after[key] == old
        require(same, f"a call changes {key} on the module")


def uniform(seed: int, *size: int, high: float = 1.0) -> Tensor:
    """Draw numbers in [0, high) in float64."""
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * high


def normal(seed: int, *size: int) -> Tensor:
    """Draw standard normal numbers in float64."""
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
