"""How each kind of random numbers is distributed, and whether drawn ones are."""

from torch import Tensor

NORMAL, UNIFORM = (0.0, 1.0, 3.0), (1 / 2, 1 / 12, 1 / 80)
MOMENTS = {"latent": NORMAL, "mask": UNIFORM, "pose": NORMAL, "place": UNIFORM}
"""Mean, variance and fourth central moment: of the standard normal, and of the uniform distribution in (0, 1)."""


def assert_distributed(kind: str, drawn: Tensor) -> None:
    """Mean and variance are within 6 of their standard errors, and the range is the kind's."""
    mean, variance, fourth = MOMENTS[kind]
    numbers, n = drawn.double().flatten(), drawn.numel()
    assert abs(numbers.mean().item() - mean) < 6 * (variance / n) ** 0.5
    assert abs(numbers.var().item() - variance) < 6 * ((fourth - variance**2) / n) ** 0.5
    if MOMENTS[kind] == UNIFORM:
        assert 0 < numbers.min() < 20 / n
        assert 1 - 20 / n < numbers.max() < 1
    else:
        assert numbers.min() < -2.5
        assert numbers.max() > 2.5
