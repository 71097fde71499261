"""`explain`: which glimpse speaks for which class, as a sum that is the answer itself."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from stawm.errors import InputError
from stawm.models.base import Model, evaluating
from stawm.models.evidence import check_sums_up, evidence, logits
from stawm.models.model import Stawm, checked_count
from stawm.models.pixels import to_unit
from stawm.nn.glimpse_loop import flatten_time
from stawm.text import Readable, strict


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Explanation(Readable):
    """What each glimpse gave to the answers, `explain`'s result; all tensors are on the CPU.

    ``shares.sum(dim=1) + bias`` are the logits, but for rounding.

    Attributes:
        model: The model's name.
        memory: The memory's registered name.
        names: The names of the classes, or their numbers where they have none.
        pixels: The images, as pixel values in [0, 1].
        logits: The answers: logarithms of the class probabilities after the last glimpse.
        shares: What each glimpse gives to each logit: above 0 speaks for the class. Those of a glimpse are 0 on average
            over the classes.
        bias: What no glimpse gives: bias, start of the memory, and normaliser.
        without: How the logits change where what one glimpse wrote is erased from the finished memory.
        corners: The corners (x, y) of each glimpse, clockwise from its top left; the image is from -1 to 1.
    """

    model: str
    memory: str
    names: tuple[str, ...]
    pixels: Float[Tensor, "b c h w"]
    logits: Float[Tensor, "b classes"]
    shares: Float[Tensor, "b n classes"]
    bias: Float[Tensor, "b classes"]
    without: Float[Tensor, "b n classes"]
    corners: Float[Tensor, "b n 4 2"]

    @property
    def labels(self) -> Int[Tensor, "b"]:
        """The most probable class of each image."""
        return self.logits.argmax(dim=1)

    def of(self, classes: Int[Tensor, "b"]) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]:
        """Return the shares of one class of each image, and how its logit changes without each glimpse.

        Args:
            classes: The class of each image, say `labels`.
        """
        chosen = classes[:, None, None].expand(-1, self.shares.shape[1], 1)
        return self.shares.gather(2, chosen)[..., 0], self.without.gather(2, chosen)[..., 0]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values; what is not finite is null."""
        fields = ("logits", "shares", "bias", "without", "corners")
        images = [
            {"label": int(label)} | {name: getattr(self, name)[row].tolist() for name in fields}
            for row, label in enumerate(self.labels)
        ]
        return strict({"model": self.model, "memory": self.memory, "names": list(self.names), "images": images})

    def __str__(self) -> str:
        """Lay out, image by image, what each glimpse gives to the answer and how it changes without it."""
        lines = [
            f"{self.model}, memory {self.memory}: shares of the answer's logit, and its change without the glimpse"
        ]
        shares, changes = self.of(self.labels)
        for row, label in enumerate(self.labels.tolist()):
            lines.append(f"image {row + 1}: {self.names[label]}, {self.logits[row, label].exp():.1%}")
            for what, values in (("share", shares[row]), ("without", changes[row])):
                lines.append(f"  {what:<7} " + " ".join(f"{value:+7.2f}" for value in values.tolist()))
            lines.append(f"  bias    {self.bias[row, label]:+7.2f}")
        return "\n".join(lines)

    __repr__ = __str__


def explain(model: Model, pixels: Shaped[Tensor, "b c h w"], *, glimpses: int | None = None) -> Explanation:
    """Say which glimpse speaks for which class, exactly: the shares add up to the logits.

    A read of the memory is a sum over what was written, and the classes are linear in what ReLU6 lets through of it, so
    the answer is a sum over glimpses. Where ReLU6 cuts off, at 0 or 6, all shares of that number are scaled alike.

    Args:
        model: A model that classifies, with a memory that has `contributions`; it is run in evaluation mode and left as
            it was.
        pixels: Bytes (uint8) from 0 to 255, or floats in [0, 1].
        glimpses: n, how many glimpses to take; the configuration's number where left out.

    Raises:
        InputError: The model takes no glimpses or does not classify, what its memory reads is no sum over its writes,
            or the pixels are not of its form.

    Examples:
        >>> import stawm, torch
        >>> model, pixels = stawm.build("stawm-digits", seed=0), torch.rand(2, 1, 16, 16)
        >>> found = stawm.explain(model, pixels)
        >>> found.shares.shape, found.without.shape
        (torch.Size([2, 4, 10]), torch.Size([2, 4, 10]))
        >>> torch.allclose(found.shares.sum(dim=1) + found.bias, model.predict(pixels).logits, atol=1e-5)
        True
    """
    check_sums_up(model)
    assert isinstance(model, Stawm)
    model.check_shape(pixels)
    if not len(pixels):
        raise InputError("explain takes at least one image; got none.")
    n = checked_count(model.config.glimpses if glimpses is None else glimpses)
    like = next(model.parameters())
    units = to_unit(pixels.to(like.device)).to(torch.promote_types(like.dtype, torch.float32))
    with evaluating(model):
        seen = model.look(model.normalise(units).to(like.dtype), n)
        assert seen.looks is not None
        found = evidence(model, seen)
        frames = model.locator.frame(flatten_time(seen.looks.pose)).unflatten(0, (-1, n))
        tensors = {
            "pixels": units,
            "logits": logits(model, seen),
            **found._asdict(),
            "corners": frames,
        }
    config = model.config
    return Explanation(
        model=config.name,
        memory=config.memory.name,
        names=tuple(config.class_names or map(str, range(config.classes or 0))),
        **{name: value.cpu() for name, value in tensors.items()},
    )
