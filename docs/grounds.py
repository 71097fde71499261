"""Print two tables of docs/figure-ground.md. Each takes some minutes on one core.

    python docs/grounds.py best ROOT PATH
    python docs/grounds.py others ROOT PATH stawm-figure-ground

ROOT is MNIST's folder, PATH a folder of photographs.

`best`: what a ground and a figure of one colour show at best, where nothing but the canvas limits them. For each image
by itself: the best ground of s x s cells by the absolute or the squared error of the ground alone, then the colour and
the mask of 0 or 1 that leave the least squared error over it. Colours are improved from the digit's own and from those
of 4 pixels that the ground misses, as k-means does.

`others`: how well masks meet digits on other grounds than photographs.
"""

import math
import sys

import torch
from torch import Tensor

from stawm.core.canvas import coarse
from stawm.models.pixels import to_unit
from stawm.storage.pretrained import find_model
from stawm.training import data
from stawm.training.data.figure_ground import paste
from stawm.training.masks import iou, mask_iou

COUNT, SIZES, STEPS, COLOURS, ROUNDS = 300, (2, 4, 6, 8), 400, 4, 10
SIDE, SHOWN, FITTED = 32, 1000, 600
"""The side of images; how many are measured on each ground, and how many others thresholds are chosen on."""


def ground(images: Tensor, size: int, power: int) -> Tensor:
    """Return the best ground of that many cells a side, by the sum of errors to a power."""
    free = images.clone().requires_grad_()
    optimiser = torch.optim.Adam([free], 0.05)
    course = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        optimiser.zero_grad()
        (coarse(free, size) - images).abs().pow(power).sum().backward()
        optimiser.step()
        course.step()
    return coarse(free.detach(), size)


def figure(images: Tensor, missing: Tensor, colour: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared error of each image, and the mask: where one colour, improved in turns, beats the ground."""
    for _ in range(ROUNDS):
        mask = (images - colour).square().mean(dim=1, keepdim=True) < missing
        colour = (images * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp(min=1)
    over = (images - colour).square().mean(dim=1, keepdim=True)
    return torch.where(mask, over, missing).mean((1, 2, 3)), mask


def within(errors: Tensor, where: Tensor) -> float:
    """Return the mean over images of the mean error of the pixels that are meant."""
    return ((errors * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1)).mean().item()


def best(root: str, photographs: str) -> None:
    """Print a row for each size of the ground and each error."""
    source = f"figure-ground:{root},{photographs}"
    train = data.load(source, image=(3, SIDE, SIDE)).train.take(slice(0, COUNT))
    images, digit = to_unit(train.images[:]), train.masks[:]
    own = (images * digit).sum((2, 3), keepdim=True) / digit.sum((2, 3), keepdim=True).clamp(min=1)
    print("cells, error: ground in the digit, elsewhere; IoU from the digit's colour, of the least; digit is least")
    for size in SIZES:
        for power in (1, 2):
            missing = (ground(images, size, power) - images).square().mean(dim=1, keepdim=True)
            torch.manual_seed(0)
            pixels = torch.multinomial(missing.flatten(1), COLOURS)
            others = images.flatten(2).gather(2, pixels[:, None].expand(-1, 3, -1)).split(1, dim=2)
            found = [figure(images, missing, colour) for colour in (own, *(other[..., None] for other in others))]
            errors, masks = (torch.stack(each) for each in zip(*found, strict=True))
            least = errors.argmin(dim=0)
            kept = masks[least, torch.arange(len(images))]
            print(
                f"{size}x{size}, {'absolute' if power == 1 else 'squared'}: "
                f"{within(missing, digit):.3f}, {within(missing, ~digit):.3f}; "
                f"{iou(masks[0], digit).mean():.3f}, {iou(kept, digit).mean():.3f}; {(least == 0).float().mean():.0%}"
            )


def grounds(count: int) -> dict[str, Tensor]:
    """Return grounds that are no photographs, as pixels: of two colours each, in directions of their own."""
    generator = torch.Generator().manual_seed(0)
    first, second = 255 * torch.rand(2, count, 3, 1, 1, generator=generator)
    turn = math.tau * torch.rand(count, 1, 1, 1, generator=generator)
    line = torch.linspace(-0.5, 0.5, SIDE)
    along = turn.cos() * line[:, None] + turn.sin() * line
    width = 4 + 4 * torch.rand(count, 1, 1, 1, generator=generator)
    shares = {
        "one colour": torch.zeros_like(along),
        "a gradient of two colours": along * 0.7 + 0.5,
        "stripes of two colours": ((along * SIDE / width).floor() % 2),
    }
    return {name: first.lerp(second, share).round().to(torch.uint8) for name, share in shares.items()}


def others(root: str, photographs: str, model: str) -> None:
    """Print IoU and ARI of each way on each ground; figures are digits that MNIST trains on, the last ones."""
    digits = data.load(f"mnist:{root}").train
    digits = digits.take(slice(len(digits) - SHOWN - FITTED, len(digits)))
    real = data.load(f"folder:{photographs}", image=(3, SIDE, SIDE)).train.images[:]
    looks = find_model(model)
    for name, under in {"photographs": real, **grounds(4 * SHOWN)}.items():
        pixels, masks = paste(digits.images[:], under, (SIDE, SIDE), 1)
        scenes = data.ImageSet(pixels, digits.labels, digits.class_names, masks)
        found = mask_iou(looks, scenes.take(slice(0, SHOWN)), scenes.take(slice(SHOWN, None)))
        ways = ("learned", "constant", "brightness", "clusters")
        print(name, *(f"{getattr(found, way):.3f} ({found.ari[way]:.3f})" for way in ways), sep=" | ")


if __name__ == "__main__":
    which, *given = sys.argv[1:]
    {"best": best, "others": others}[which](*given)
