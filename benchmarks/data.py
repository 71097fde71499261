"""Augmentation: whole batches as tensors against image by image, as data sets with transforms do it.

``python -m benchmarks.data`` measures. Both start from the same uint8 images in memory and end with
normalised float batches; the image-by-image way goes through PIL, as torchvision's MNIST and CIFAR10 do.
"""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import stawm
from benchmarks.measure import Row, as_dict, interleaved
from benchmarks.results import Benchmark, command, goal, table
from stawm.catalog.recipes import CROP_JITTER, TURN
from stawm.models.config import SharedConfig
from stawm.models.pixels import to_unit
from stawm.training.data.augment import Augmentation, augment

BATCH, WORKERS = 128, 2
WANTED = 10.0
ALONE, TOGETHER = "image by image", "whole batches"
CASES: dict[str, tuple[str, Augmentation]] = {
    "turn": ("stawm-mnist-8", Augmentation(**TURN)),
    "turn, shift, scale and shear": ("stawm-mnist-8", Augmentation(rotation=15, shift=0.08, scale=0.12, shear=10)),
    "crop, mirror and jitter": ("stawm-cifar-mnv2", Augmentation(**CROP_JITTER)),
}


def per_image(recipe: Augmentation, config: SharedConfig) -> Callable[[Any], Tensor]:
    """Return torchvision's transforms that do what a recipe does."""
    size, steps = config.image[1:], []
    if recipe.crop:
        steps.append(transforms.RandomCrop(size, padding=recipe.crop))
    if recipe.flip:
        steps.append(transforms.RandomHorizontalFlip())
    if recipe.shift or recipe.scale or recipe.shear:
        moved, grown = (recipe.shift, recipe.shift), (1 - recipe.scale, 1 + recipe.scale)
        bilinear = transforms.InterpolationMode.BILINEAR
        steps.append(transforms.RandomAffine(recipe.rotation, moved, grown, recipe.shear, interpolation=bilinear))
    elif recipe.rotation:
        steps.append(transforms.RandomRotation(recipe.rotation, transforms.InterpolationMode.BILINEAR))
    if recipe.jitter:
        steps.append(transforms.ColorJitter(recipe.jitter, recipe.jitter, recipe.jitter))
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(config.mean, config.std)])


class Pictures(Dataset[Tensor]):
    """Images in memory, each opened and transformed when it is asked for."""

    def __init__(self, raw: Tensor, transform: Callable[[Any], Tensor]) -> None:
        """Keep the images with their channels last, as PIL takes them."""
        self.arrays = raw.permute(0, 2, 3, 1).squeeze(-1).numpy()
        self.transform = transform

    def __len__(self) -> int:
        """Count the images."""
        return len(self.arrays)

    def __getitem__(self, index: int) -> Tensor:
        """Return an image, changed at random."""
        return self.transform(Image.fromarray(self.arrays[index]))


def image_by_image(raw: Tensor, recipe: Augmentation, config: SharedConfig, workers: int) -> Callable[[], int]:
    """Make a pass through a data set with transforms."""
    pictures = Pictures(raw, per_image(recipe, config))
    loader = DataLoader(pictures, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    return lambda: sum(len(batch) for batch in loader)


def whole_batches(raw: Tensor, recipe: Augmentation, config: SharedConfig) -> Callable[[], int]:
    """Make a pass as `stawm.training` makes it."""
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (config.mean, config.std))

    def run() -> int:
        order = torch.randperm(len(raw))
        return sum(len((augment(to_unit(raw[part]), recipe) - mean) / std) for part in order.split(BATCH))

    return run


def measure(quick: bool) -> list[Row]:
    """Measure a pass through the images, each way."""
    rows = []
    for name, (preset, recipe) in CASES.items():
        config = stawm.config(preset)
        count = 64 if quick else 1024
        generator = torch.Generator().manual_seed(0)
        raw = torch.randint(0, 256, (count, *config.image), generator=generator, dtype=torch.uint8)
        made = {ALONE: image_by_image(raw, recipe, config, 0), TOGETHER: whole_batches(raw, recipe, config)}
        if not quick:
            made[f"{ALONE}, {WORKERS} workers"] = image_by_image(raw, recipe, config, WORKERS)
        timings = interleaved(made, 1 if quick else 5)
        rows.append(
            {
                "case": name,
                "image": list(config.image),
                "count": count,
                "variants": {n: as_dict(t) for n, t in timings.items()},
            }
        )
        print(name, {n: f"{count / t.median:,.0f} images/s" for n, t in timings.items()}, flush=True)
    return rows


def show(rows: list[Row]) -> str:
    """Lay the rows out."""
    cells, goals = [], []
    for row in rows:
        alone = row["variants"][ALONE]["median"]
        for name, found in row["variants"].items():
            speeds = [f"{row['count'] / found[key]:,.0f}" for key in ("median", "highest", "lowest")]
            image = "x".join(map(str, row["image"]))
            spread = f"{speeds[0]} ({speeds[1]} to {speeds[2]})"
            cells.append((row["case"], image, name, spread, f"{alone / found['median']:.1f}"))
        goals.append(goal(f"{row['case']}, times as fast", alone / row["variants"][TOGETHER]["median"], WANTED))
    heads = "augmentation | image | way | images/s, median (slowest to fastest) | times as fast"
    return table(heads, cells) + "\n\n" + "\n".join(goals)


BENCHMARK = Benchmark("data", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
