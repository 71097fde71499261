"""The options of a run: everything that can be chosen beside the model, the data and the recipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from stawm.configuration import AT_LEAST_ONE, NON_NEGATIVE, Config, Interval, field_hints
from stawm.models.resizing import Resize


@dataclass(frozen=True, kw_only=True)
class RunOptions(Config):
    """How a run is made.

    The command line's options, the note that tells a run from another one in its folder, and the table in
    docs/training.md are made from these fields.

    Attributes:
        without_effect: The fields that are not noted: a run may go on with other values of these. ``cpu`` is among
            them, since what counts is the device that a run is on, which is noted by itself, and ``capture``, since a
            recorded step does what it does anyhow.
    """

    without_effect: ClassVar[frozenset[str]] = frozenset(
        {"name", "save_every", "pictures", "download", "cpu", "capture", "inexact", "quiet"}
    )

    name: str = "options"
    seed: Annotated[int, Interval(0, 2**32 - 1)] = 0
    """Decides the weights, the order of the images, augmentation, dropout and sampling."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """The precision of convolutions and products; pose, sampling and memory always stay in fp32."""
    validation: Annotated[int, NON_NEGATIVE] = 0
    """How many of the last training images are held out, and measured on while training instead of the test images."""
    train_images: Annotated[int, AT_LEAST_ONE] | None = None
    """How many of the first training images are learned from; all that are not held out if left out."""
    start: str | Path | None = None
    """Weights to begin with instead of random ones: a preset whose weights ship, a file, a run's folder, or user/name
    on the Hugging Face hub; a self-supervised model needs those of the drawing model on whose glimpses it stands."""
    partial: bool = False
    """Take what fits of the weights to begin with, for other classes or another head: the rest is random, and said."""
    transfer_passes: Annotated[int, NON_NEGATIVE] | None = None
    """Of a self-supervised model, how often the frozen glimpses of each image are computed before training starts: 1 as
    it is, more with augmentations, 0 anew in each step; if left out, as the recipe says (recipe.frozen_passes)."""
    save_every: Annotated[float, NON_NEGATIVE] = 5.0
    """Minutes from one saved state to the next; after an epoch it is saved anyhow."""
    pictures: Annotated[int, NON_NEGATIVE] = 5
    """Every how many epochs pictures of glimpses and drawings are made; 0 for never."""
    compile: bool = False
    """Compile the model with torch.compile: slower to start, then faster."""
    capture: bool = False
    """On an NVIDIA GPU, record a step as CUDA graphs and replay it: faster than telling the GPU of each kernel anew,
    and quick to start."""
    resize: bool | Resize = False
    """Bring images of another size to the model's: "crop" cuts the largest part of its aspect out of the middle,
    "squeeze" scales each side by itself; where neither is said, what the model keeps, which is crop unless it was
    trained with squeeze."""
    held_out: Annotated[float, Interval(0, 1, open_low=True, open_high=True)] = 0.2
    """The share of a set without a test part of its own that is held out for testing, drawn at random."""
    download: bool = False
    """Let torchvision fetch a set that is not there."""
    cpu: bool = False
    """Train on the CPU, also where there is a GPU."""
    inexact: bool = False
    """Go on with a run also on another device, or with other numbers of threads or processes, where its numbers will
    not be the same bit by bit."""
    quiet: bool = False
    """Show no progress."""

    def note(self) -> dict[str, Any]:
        """Return the fields that decide a run's numbers, as plain JSON values."""
        noted = {key: value for key, value in self.to_dict().items() if key not in self.without_effect}
        return noted if self.partial else {key: value for key, value in noted.items() if key != "partial"}


NAMES = tuple(key for key in field_hints(RunOptions) if key != "name")
"""What can be chosen."""
