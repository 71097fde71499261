"""What a DRAW model is: its sizes, and how it reads and writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from stawm.configuration import GLIMPSES, Config, Interval
from stawm.models.config import SharedConfig, Side, Size


@dataclass(frozen=True, kw_only=True)
class DrawConfig(SharedConfig):
    """A DRAW model (Gregor et al. 2015): with the head ``drawing`` it draws, with ``classification`` alone it reads."""

    family: Literal["draw"] = "draw"
    """Tells the model from those of other families."""
    glimpses: Annotated[int, GLIMPSES]
    """T, how often it reads, and writes where it draws."""
    glimpse_size: Side | None = None
    """The side of what is read at a time, in pixels; null where there is no locator."""
    hidden_size: Size
    """The size of each RNN."""
    locator: Config | None
    """How a pose takes a glimpse and places a sketch; null is no attention: all is read and written each time."""
    first_width: Annotated[float, Interval(0, 1, open_low=True)] | None = None
    """How wide the first view of an untrained model is, as a share of the image; null is the locator's own start."""
    initial: float = 0.0
    """What every pixel of the empty canvas starts from, before the sigmoid; the empty canvas is learned."""

    @classmethod
    def check(cls, values: Mapping[str, Any], owner: str) -> list[str]:
        """Return what is wrong with values of some or all of the fields, and between those that are legal."""
        faults = super().check(values, owner)
        if {"glimpse_size", "locator"} <= set(values) and (values["glimpse_size"] is None) != (
            values["locator"] is None
        ):
            faults.append(
                f"{owner}: glimpse_size and locator go together: both are given, or both are null where the whole "
                "image is read and written."
            )
        if values.get("first_width") is not None and "locator" in values and values["locator"] is None:
            faults.append(f"{owner}: first_width must be null without a locator; got {values['first_width']}.")
        heads = values.get("heads")
        draws = isinstance(heads, tuple) and any(getattr(head, "name", None) == "drawing" for head in heads)
        if draws and any(any(x != usual for x in values.get(key, ())) for key, usual in (("mean", 0), ("std", 1))):
            faults.append(
                f"{owner}: a DRAW model that draws compares pixels with its canvas, so mean must be 0 and std 1."
            )
        return faults
