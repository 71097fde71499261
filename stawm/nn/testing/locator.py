"""What every locator must do."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from stawm.configuration import Config
from stawm.nn.locators.base import Locator
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

Build: TypeAlias = Callable[[], Locator]

BATCH, CHANNELS, GLIMPSE, IMAGE = 3, 2, 5, (9, 9)
ROUNDING = 1e-12
SINGLE = 1e-6
"""Of poses that are kept in single precision."""


def check_locator(
    cls: type, *, config: Config | None = None, seeds: Sequence[int] = (0, 1, 2), export: bool = True
) -> list[str]:
    """Check that a class keeps the contract of `stawm.nn.locators.base.Locator`, as `check_memory` does."""
    exporter = export_as("locator", channels=CHANNELS, image=IMAGE, glimpse=GLIMPSE) if export else None
    return run_checks(
        cls, LOCATOR_CHECKS, lambda chosen: cls(chosen, glimpse_size=GLIMPSE, image_size=IMAGE), config, seeds, exporter
    )


def poses(locator: Locator, seed: int) -> Tensor:
    """Draw poses around the one that sees the whole image."""
    return locator.identity_pose().double() + 0.2 * normal(seed + 1, BATCH, locator.pose_size)


def image(seed: int) -> Tensor:
    """Draw images."""
    return uniform(seed, BATCH, CHANNELS, *IMAGE)


def sketch(seed: int) -> Tensor:
    """Draw sketches."""
    return uniform(seed + 2, BATCH, CHANNELS, GLIMPSE, GLIMPSE)


def forms(build: Build, seed: int) -> None:
    """Poses, glimpses, placed sketches and frames have the shapes that are promised."""
    locator = build()
    pose = poses(locator, seed)
    found = {
        "the identity pose": (locator.identity_pose().shape, (locator.pose_size,)),
        "a glimpse": (locator.glimpse(image(seed), pose).shape, (BATCH, locator.views * CHANNELS, GLIMPSE, GLIMPSE)),
        "a placed sketch": (locator.place(sketch(seed), pose).shape, (BATCH, CHANNELS, *IMAGE)),
        "the pose to start with": (locator.start_pose().shape, (locator.pose_size,)),
        "the pose to place with": (locator.placing_pose().shape, (locator.pose_size,)),
        "a frame": (locator.frame(pose).shape, (BATCH, 4, 2)),
        "the frames of all views": (locator.frames(pose).shape, (BATCH, locator.views, 4, 2)),
        "a placed frame": (locator.placed_frame(pose).shape, (BATCH, 4, 2)),
    }
    for name, (got, wanted) in found.items():
        require(tuple(got) == wanted, f"{name} has shape {tuple(got)}, not {wanted}")


def identity_sees_everything(build: Build, seed: int) -> None:
    """The identity pose frames the whole image, and sees an even image evenly in its middle."""
    locator = build()
    pose = locator.identity_pose().double().expand(1, -1)
    corners = locator.frame(pose)[0]
    expected = corners.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    pixel = 2 / min(*IMAGE, GLIMPSE)
    require(bool(((corners - expected).abs() <= pixel).all()), f"the identity pose frames {corners.tolist()}")
    even = torch.full((1, CHANNELS, *IMAGE), 0.7, dtype=torch.float64)
    middle = locator.glimpse(even, pose)[..., GLIMPSE // 2, GLIMPSE // 2]
    require_equal("the middle of an even image", middle, torch.full_like(middle, 0.7), 1e-6)


def starts_with_the_whole_image(build: Build, seed: int) -> None:
    """The widest view of the pose to start with is the first view of the identity pose."""
    locator = build()
    start, whole = (pose.double()[None] for pose in (locator.start_pose(), locator.identity_pose()))
    require_equal("the widest view to start with", locator.frames(start)[:, -1], locator.frame(whole), SINGLE)


def is_prepared_once(build: Build, seed: int) -> None:
    """What was prepared of an image gives the glimpses of the image."""
    locator, pose = build(), poses(build(), seed)
    whole = locator.prepare(image(seed))
    require_equal("a glimpse of what is prepared", locator.glimpse(whole, pose), locator.glimpse(image(seed), pose))


def sees_images_of_other_sizes(build: Build, seed: int) -> None:
    """Where any size is promised, a larger image is seen whole by the identity pose too."""
    locator = build()
    if locator.any_size:
        even = torch.full((BATCH, CHANNELS, 2 * IMAGE[0], 3 * IMAGE[1]), 0.7, dtype=torch.float64)
        seen = locator.glimpse(even, locator.identity_pose().double().expand(BATCH, -1))
        middle = seen[:, :CHANNELS, GLIMPSE // 2, GLIMPSE // 2]
        require_equal("the middle of a larger even image", middle, torch.full_like(middle, 0.7), 1e-6)


def is_linear_in_the_image(build: Build, seed: int) -> None:
    """Seeing and placing are weighted sums of pixels."""
    locator = build()
    pose = poses(locator, seed)
    for name, act, x, y in (
        ("a glimpse", locator.glimpse, image(seed), image(seed + 5)),
        ("a placed sketch", locator.place, sketch(seed), sketch(seed + 5)),
    ):
        require_equal(f"{name} of a sum", act(x + 2 * y, pose), act(x, pose) + 2 * act(y, pose), ROUNDING)


def samples_are_apart(build: Build, seed: int) -> None:
    """Each image is seen by its own pose alone."""
    locator = build()
    pose, images = poses(locator, seed), image(seed)
    together = locator.glimpse(images, pose)
    for i in range(BATCH):
        alone = locator.glimpse(images[i : i + 1], pose[i : i + 1])
        require_equal(f"sample {i} alone", alone, together[i : i + 1], ROUNDING)


def nothing_on_self(build: Build, seed: int) -> None:
    """Looking leaves nothing behind, and does not change what it is given."""
    locator = build()
    before = snapshot(locator)
    pose, images = poses(locator, seed), image(seed)
    kept = images.clone()
    first = locator.glimpse(images, pose)
    locator.place(sketch(seed), pose)
    require_unchanged(locator, before)
    require_equal("the image that was given", images, kept)
    require_equal("the same glimpse again", locator.glimpse(images, pose), first)


def learns(build: Build, seed: int) -> None:
    """The pose gets a finite gradient from what is seen and from what is placed."""
    locator = build()
    for name, act, x in (("seen", locator.glimpse, image(seed)), ("placed", locator.place, sketch(seed))):
        pose = poses(locator, seed).requires_grad_()
        x.requires_grad_()
        out = act(x, pose)
        (out * normal(seed + 3, *out.shape)).sum().backward()
        require_finite(f"the gradient of what is {name}", x.grad, pose.grad)
        assert pose.grad is not None
        require(bool(pose.grad.any()), f"the pose gets no gradient from what is {name}")
    require_gradients(locator)


def keeps_type(build: Build, seed: int) -> None:
    """A glimpse of single precision is of single precision."""
    locator = build().float()
    seen = locator.glimpse(image(seed).float(), poses(locator, seed).float())
    require(seen.dtype == torch.float32, f"a glimpse of torch.float32 is {seen.dtype}")


LOCATOR_CHECKS = by_name(
    forms,
    identity_sees_everything,
    starts_with_the_whole_image,
    is_prepared_once,
    sees_images_of_other_sizes,
    is_linear_in_the_image,
    samples_are_apart,
    nothing_on_self,
    learns,
    keeps_type,
)
