"""What every policy must do."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from stawm.configuration import Config
from stawm.configuration.components import size_names
from stawm.nn.locators.affine import Affine
from stawm.nn.policies.base import Move, Policy
from stawm.nn.testing.contract import (
    by_name,
    normal,
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

Build: TypeAlias = Callable[[], Policy]

BATCH, POSE, HIDDEN, GLIMPSES = 3, 6, 5, 4
GLIMPSE, IMAGE, CHANNELS = 5, (9, 9), 2
ROUNDING = 1e-12


def check_policy(
    cls: type, *, config: Config | None = None, seeds: Sequence[int] = (0, 1, 2), export: bool = True
) -> list[str]:
    """Check that a class keeps the contract of `stawm.nn.policies.base.Policy`, as `check_memory` does."""
    offered = {
        "locator": Affine(glimpse_size=GLIMPSE, image_size=IMAGE),
        "hidden_size": HIDDEN,
        "glimpses": GLIMPSES,
        "pose_size": POSE,
    }
    wanted = [name for name in size_names(cls) if name in offered]
    exporter = export_as("policy", channels=CHANNELS, image=IMAGE, glimpse=GLIMPSE) if export else None

    def build(chosen: Config, **sizes: int) -> Policy:
        return cls(chosen, **({name: offered[name] for name in wanted} | sizes))

    if exporter is None:
        return run_checks(cls, POLICY_CHECKS, build, config, seeds, None)
    sized = {"hidden_size": 8} if "hidden_size" in wanted else {}  # that of the smallest model
    chosen = config or cls.Config()
    return run_checks(cls, POLICY_CHECKS, build, config, seeds, lambda _: exporter(build(chosen, **sized)))


def emitted(seed: int) -> tuple[Tensor, Tensor]:
    """Draw emissions, around the pose that sees the whole image, and recurrent states."""
    still = torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64)
    return still + 0.2 * normal(seed, BATCH, POSE), normal(seed + 1, BATCH, HIDDEN)


def noise(policy: Policy, seed: int) -> Tensor | None:
    """Draw the random numbers that a policy takes."""
    drawn = {"pose": lambda: normal(seed + 2, BATCH, POSE), "place": lambda: uniform(seed + 2, BATCH, 2), None: None}
    make = drawn[policy.noise]
    return None if make is None else make()


def forms(build: Build, seed: int) -> None:
    """Poses, densities and expected rewards have the shapes that are promised, with noise and without."""
    policy = build()
    for drawn in (None, noise(policy, seed)):
        for taken in (0, 1, 100):
            move = policy(*emitted(seed), drawn, taken)
            require(isinstance(move, Move), f"it gives a {type(move).__name__} and no Move")
            require(move.pose.shape == (BATCH, POSE), f"a pose has shape {tuple(move.pose.shape)}")
            require_finite("a move", *move)
            for name in ("log_prob", "baseline"):
                part = getattr(move, name)
                require(part is None or part.shape == (BATCH, 1), f"{name} is not (b, 1)")
    learns = policy.rewarded and noise(policy, seed) is not None
    move = policy(*emitted(seed), noise(policy, seed))
    require(
        (move.log_prob is not None) == learns, "log_prob is there where a policy that is rewarded draws, and else not"
    )


def follows_what_it_says(build: Build, seed: int) -> None:
    """Without noise the pose depends on the emission where the policy follows it, and else not."""
    policy = build()
    first, second = (policy(*emitted(s)).pose for s in (seed, seed + 7))
    same = bool((first == second).all())
    require(
        same != policy.follows, "follows is false and the pose follows" if policy.follows is False else "it does not"
    )


def noise_decides(build: Build, seed: int) -> None:
    """The same random numbers give the same pose, others another one; without any nothing is random."""
    policy, given = build(), emitted(seed)
    require_equal("the pose without noise", policy(*given).pose, policy(*given).pose)
    if policy.noise is not None:
        first, again, other = (policy(*given, noise(policy, s)).pose for s in (seed, seed, seed + 5))
        require_equal("the pose of the same noise", first, again)
        require(not bool((first == other).all()), "other noise gives the same pose")


def samples_are_apart(build: Build, seed: int) -> None:
    """Each image is looked at by its own numbers alone."""
    policy, given = build(), emitted(seed)
    drawn = noise(policy, seed)
    together = policy(*given, drawn, 1)
    for i in range(BATCH):
        rows = slice(i, i + 1)
        alone = policy(*(part[rows] for part in given), None if drawn is None else drawn[rows], 1)
        for name, one, all_of in zip(Move._fields, alone, together, strict=True):
            if one is not None:
                require_equal(f"{name} of sample {i} alone", one, all_of[rows], ROUNDING)


def nothing_on_self(build: Build, seed: int) -> None:
    """A move leaves nothing behind."""
    policy = build()
    before = snapshot(policy)
    policy(*emitted(seed), noise(policy, seed), 3)
    require_unchanged(policy, before)


def learns(build: Build, seed: int) -> None:
    """The gradient comes by the pose, or by a reward and then never by the pose."""
    policy, (emission, hidden) = build(), emitted(seed)
    emission.requires_grad_()
    hidden.requires_grad_()
    move = policy(emission, hidden, noise(policy, seed))
    if policy.follows and not policy.rewarded:
        (gradient,) = torch.autograd.grad(move.pose.sum(), emission)
        require(bool(gradient.any()), "the emission gets no gradient from the pose")
    else:
        require(not move.pose.requires_grad, "a gradient reaches the model through a pose that it does not choose")
    if move.log_prob is not None:
        reward = uniform(seed + 3, BATCH)
        parts = policy.losses(move.log_prob, move.baseline, reward)
        require(bool(parts), "a policy that is rewarded has no loss")
        torch.stack([*parts.values()]).sum().backward()
        require(emission.grad is not None and bool(emission.grad.any()), "the emission gets no gradient from a reward")
        require(hidden.grad is None, "what reward is expected teaches the recurrent state")
        require_gradients(policy)


def keeps_type(build: Build, seed: int) -> None:
    """A pose of single precision is of single precision."""
    policy = build().float()
    drawn = noise(policy, seed)
    move = policy(*(part.float() for part in emitted(seed)), None if drawn is None else drawn.float())
    require(move.pose.dtype == torch.float32, f"a pose of torch.float32 is {move.pose.dtype}")


POLICY_CHECKS = by_name(
    forms, follows_what_it_says, noise_decides, samples_are_apart, nothing_on_self, learns, keeps_type
)
