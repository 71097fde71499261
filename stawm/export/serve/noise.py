"""The random numbers of a graph that takes some, as arrays of NumPy."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stawm.errors import InputError

SMALLEST = float(np.finfo(np.float32).eps)


def _normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_normal(shape, np.float32)


def _uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.uniform(SMALLEST, 1 - SMALLEST, shape).astype(np.float32)


KINDS: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "latent": _normal,
    "mask": _uniform,
    "pose": _normal,
    "place": _uniform,
}
"""How each field of `stawm.heads.output.Noise` is drawn, as `stawm.heads.noise` draws it."""


def settle(given: Any, shapes: Mapping[str, tuple[int, ...]], batch: int, generator: Any) -> dict[str, np.ndarray]:
    """Return the random numbers of one run, by the names that a model has for them.

    Args:
        given: What the caller brought, by name; what is not among it is drawn.
        shapes: What the graph takes, without the batch.
        batch: How many images there are.
        generator: An `numpy.random.Generator` for what is drawn; a fresh one where left out.

    Raises:
        InputError: What is given is not of the graph's form.
    """
    if not (generator is None or isinstance(generator, np.random.Generator)):
        raise InputError(f"generator must be a numpy.random.Generator; got {type(generator).__name__}.")
    if not (given is None or isinstance(given, Mapping)):
        raise InputError(f"noise must be arrays by name; got {type(given).__name__}.")
    for name, value in (given or {}).items():
        if name not in shapes:
            raise InputError(f"The graph takes no noise named {name!r}; it takes {', '.join(shapes) or 'none'}.")
        if not isinstance(value, np.ndarray) or value.shape != (batch, *shapes[name]):
            form, got = (batch, *shapes[name]), getattr(value, "shape", type(value).__name__)
            raise InputError(f"The {name} noise must be an array of shape {form}; got {got}.")
    drawn = np.random.default_rng() if generator is None else generator
    brought = {name: np.asarray(value, np.float32) for name, value in (given or {}).items()}
    return {n: brought[n] if n in brought else KINDS[n](drawn, (batch, *shape)) for n, shape in shapes.items()}
