"""What a model made of an image that was never loaded whole."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from stawm.heads.output import Output
from stawm.text import Readable


@dataclass(frozen=True, kw_only=True, eq=False)
class Exploration(Readable):
    """What a model made of an image that was never loaded whole.

    Attributes:
        model: The model's name.
        size: Height and width of the image in pixels.
        output: What the model gave, for a batch of one image; ``output.trace`` says where it looked.
        corners: For each glimpse and each of its views, the narrowest first, its corners (x, y) in pixels of the
            image, clockwise from the top left.
        class_names: The names of the classes; may be empty.
        preview: The whole image, small enough to be shown, as pixel values in [0, 1].
        glimpses: What was seen, view by view, as pixel values; outside the image what stands there for them.
        pixels: How many pixels were read, of the image and of its coarser levels together.
    """

    model: str
    size: tuple[int, int]
    output: Output
    corners: Float[Tensor, "n v 4 2"]
    class_names: tuple[str, ...]
    preview: Float[Tensor, "c h w"]
    glimpses: Float[Tensor, "n v c g g"]
    pixels: int

    @property
    def chances(self) -> Float[Tensor, "n classes"] | None:
        """The chance of each class after each glimpse; None where the model does not classify."""
        logits = self.output.glimpse_logits
        return None if logits is None else logits[0].double().softmax(dim=-1).cpu()

    @property
    def label(self) -> int | None:
        """The most probable class; None where the model does not classify."""
        return None if self.chances is None else int(self.chances[-1].argmax())

    @property
    def name(self) -> str | None:
        """The name of the most probable class, where classes have names."""
        return self.class_names[self.label] if self.label is not None and self.class_names else None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values; of each glimpse what the model would have answered after it, too."""
        height, width = self.size
        found = {"model": self.model, "height": height, "width": width, "label": self.label, "name": self.name}
        further = {key: value[0].tolist() for key, value in self.output.extra.items() if value.ndim == 2}
        return {**found, "confidence": self._sure(-1), **further, "pixels": self.pixels, "glimpses": self._glimpses()}

    def _glimpses(self) -> list[dict[str, Any]]:
        assert self.output.trace is not None
        poses = self.output.trace.pose[0].tolist()
        return [
            {"pose": pose, "corners": corners, "label": self._best(step), "confidence": self._sure(step)}
            for step, (pose, corners) in enumerate(zip(poses, self.corners.tolist(), strict=True))
        ]

    def _best(self, step: int) -> int | None:
        return None if self.chances is None else int(self.chances[step].argmax())

    def _sure(self, step: int) -> float | None:
        return None if self.chances is None else float(self.chances[step].max())

    def __str__(self) -> str:
        height, width = self.size
        lines = [f"{self.model} looked at {height:,} x {width:,} pixels and read {self.pixels:,}"]
        for step, views in enumerate(self.corners):
            x, y = views[0].mean(dim=0).tolist()
            said = self.said(step)
            wide = " ".join(f"{(view[1] - view[0]).norm():,.0f}" for view in views)
            lines.append(
                f"glimpse {step + 1}: around x {x:,.0f}, y {y:,.0f}, {wide} pixels wide{f': {said}' if said else ''}"
            )
        further = {key: value[0] for key, value in self.output.extra.items() if value.ndim == 2}
        lines += [f"{key}: {', '.join(f'{n:.4g}' for n in value.tolist())}" for key, value in further.items()]
        return "\n".join(lines)

    def said(self, step: int) -> str:
        """Return what the model would have answered after a glimpse; nothing where it does not classify."""
        best, sure = self._best(step), self._sure(step)
        return "" if best is None else f"{self.class_names[best] if self.class_names else best}  {sure:.0%}"
