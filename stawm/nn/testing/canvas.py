"""What every canvas must do."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from stawm.configuration import Config
from stawm.nn.canvases.base import Canvas
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

Build: TypeAlias = Callable[[], Canvas]

BATCH, SKETCHES, CHANNELS, SIDE = 3, 4, 2, 5
ROUNDING = 1e-12


def check_canvas(
    cls: type, *, config: Config | None = None, seeds: Sequence[int] = (0, 1, 2), export: bool = True
) -> list[str]:
    """Check that a class keeps the contract of `stawm.nn.canvases.base.Canvas`, as `check_memory` does."""
    exporter = export_as("canvas", channels=CHANNELS, image=(8, 8), glimpse=4) if export else None
    return run_checks(cls, CANVAS_CHECKS, lambda chosen: cls(chosen, channels=CHANNELS), config, seeds, exporter)


def placed(canvas: Canvas, seed: int) -> Tensor:
    """Draw sketches as a decoder gives them, activated and placed with an empty seam."""
    raw = normal(seed, BATCH * SKETCHES, canvas.sketch_channels, SIDE, SIDE)
    seam = (uniform(seed + 1, 1, 1, SIDE, SIDE) > 0.3).double()
    return (canvas.activate(raw) * seam).unflatten(0, (BATCH, SKETCHES))


def mask_noise(canvas: Canvas, seed: int) -> Tensor | None:
    """Draw noise for a canvas that takes some."""
    if not canvas.takes_noise:
        return None
    return uniform(seed + 2, BATCH, SKETCHES, 1, SIDE, SIDE).clamp(1e-3, 1 - 1e-3)


def forms(build: Build, seed: int) -> None:
    """Pictures and masks have the shapes that are promised."""
    canvas = build()
    canvases, masks = canvas.unroll(placed(canvas, seed), mask_noise(canvas, seed))
    wanted = (BATCH, SKETCHES, CHANNELS, SIDE, SIDE)
    require(tuple(canvases.shape) == wanted, f"pictures have shape {tuple(canvases.shape)}, not {wanted}")
    wanted = (BATCH, SKETCHES, 1, SIDE, SIDE)
    require(masks is None or tuple(masks.shape) == wanted, f"masks are not of shape {wanted}")


def pixels_are_pixels(build: Build, seed: int) -> None:
    """Pictures and masks lie between 0 and 1, and are finite."""
    canvas = build()
    for noise in (None, mask_noise(canvas, seed)):
        for name, drawn in zip(("a picture", "a mask"), canvas.unroll(placed(canvas, seed), noise), strict=True):
            if drawn is not None:
                require_finite(name, drawn)
                require(bool(((drawn >= 0) & (drawn <= 1)).all()), f"{name} leaves [0, 1]")


def later_sketches_come_later(build: Build, seed: int) -> None:
    """The picture after some sketches does not depend on those that follow."""
    canvas = build()
    sketches, noise = placed(canvas, seed), mask_noise(canvas, seed)
    whole, _ = canvas.unroll(sketches, noise)
    for n in range(1, SKETCHES):
        part, _ = canvas.unroll(sketches[:, :n], None if noise is None else noise[:, :n])
        require_equal(f"the picture after {n} sketches", part[:, -1], whole[:, n - 1], ROUNDING)


def samples_are_apart(build: Build, seed: int) -> None:
    """What is drawn for one image reaches no other."""
    canvas = build()
    sketches, noise = placed(canvas, seed), mask_noise(canvas, seed)
    whole, _ = canvas.unroll(sketches, noise)
    for i in range(BATCH):
        alone, _ = canvas.unroll(sketches[i : i + 1], None if noise is None else noise[i : i + 1])
        require_equal(f"sample {i} alone", alone, whole[i : i + 1], ROUNDING)


def nothing_on_self(build: Build, seed: int) -> None:
    """Drawing leaves nothing behind, and does not change what it is given."""
    canvas = build()
    before = snapshot(canvas)
    sketches, noise = placed(canvas, seed), mask_noise(canvas, seed)
    kept = sketches.clone()
    first, _ = canvas.unroll(sketches, noise)
    require_equal("the sketches that were given", sketches, kept)
    require_unchanged(canvas, before)
    require_equal("the same pictures again", canvas.unroll(sketches, noise)[0], first)


def learns(build: Build, seed: int) -> None:
    """Gradients are finite and reach every sketch, also where it is empty."""
    canvas = build()
    sketches = placed(canvas, seed).requires_grad_()
    canvases, _ = canvas.unroll(sketches, mask_noise(canvas, seed))
    (canvases[:, -1] * normal(seed + 3, *canvases[:, -1].shape)).sum().backward()
    require_finite("the gradient of the sketches", sketches.grad)
    assert sketches.grad is not None
    reached = sketches.grad.flatten(2).abs().sum(dim=2)
    require(bool((reached > 0).all()), "some sketch has no influence on the last picture")
    require_gradients(canvas)


def keeps_type(build: Build, seed: int) -> None:
    """Pictures have the floating type of the sketches."""
    canvas = build()
    for dtype in (torch.float32, torch.float64):
        canvases, _ = canvas.to(dtype).unroll(placed(canvas, seed).to(dtype))
        require(canvases.dtype == dtype, f"pictures of {dtype} sketches are {canvases.dtype}")


CANVAS_CHECKS = by_name(
    forms, pixels_are_pixels, later_sketches_come_later, samples_are_apart, nothing_on_self, learns, keeps_type
)
