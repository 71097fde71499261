"""A set in one number: what tells it from another one that a run could be made on."""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from stawm.training.data.streamed import Streamed

CHUNK = 128
"""Images that are hashed together, few as some of them may be large; the hash does not depend on it."""


def fingerprint(
    images: Tensor | Streamed, labels: Tensor, class_names: Sequence[str], masks: Tensor | Streamed | None
) -> str:
    """Return the SHA-256 over everything of a set that decides what is learned from it; see `ImageSet.fingerprint`."""
    head = {
        "shape": list(images.shape),
        "dtype": "uint8" if isinstance(images, Streamed) else _name(images),
        "labels": [list(labels.shape), "float" if labels.is_floating_point() else "int"],
        "class_names": list(class_names),
        "masks": masks is not None,
    }
    found = hashlib.sha256(json.dumps(head, sort_keys=True).encode() + b"\n")
    for pixels in _parts(images):
        found.update(_bytes(pixels))
    found.update(_bytes(labels.double() if labels.is_floating_point() else labels.long()))
    if isinstance(masks, Tensor):  # others follow from the images
        found.update(_bytes(masks))
    return found.hexdigest()


def _parts(images: Tensor | Streamed) -> Iterator[Tensor]:
    if isinstance(images, Streamed):
        return images.content()
    return (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))


def _bytes(tensor: Tensor) -> bytes:
    """Return the numbers of a tensor, little-endian and without gaps."""
    held = tensor.detach().cpu().contiguous()
    if held.dtype == torch.bfloat16:
        held = held.float()
    numbers = held.numpy()
    return np.ascontiguousarray(numbers if sys.byteorder == "little" else numbers.byteswap()).tobytes()


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
