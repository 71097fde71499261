"""What a model of the family ``slots`` is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from stawm.configuration import GLIMPSES
from stawm.heads.config import label_of
from stawm.models.config import SharedConfig, Size


@dataclass(frozen=True, kw_only=True)
class SlotsConfig(SharedConfig):
    """Slot Attention (Locatello et al. 2020): slots share out an image, and each draws its part of it.

    The head ``drawing`` says by ``latent`` how many numbers a slot has. The backbone is a conv stack, which the decoder
    mirrors.
    """

    family: Literal["slots"] = "slots"
    """Tells the model from those of other families."""
    slots: Annotated[int, GLIMPSES]
    """n, how many slots there are."""
    iterations: Annotated[int, GLIMPSES] = 3
    """How often the slots attend."""
    hidden_size: Size
    """The size of the hidden layer that a slot goes through after each round of attention."""

    glimpses: ClassVar[None] = None

    @property
    def has_latent(self) -> bool:
        """Whether what the model draws is drawn from a Gaussian latent: slots have no divergence."""
        return False

    @property
    def masked(self) -> bool:
        """Whether the model draws with masks."""
        return True

    @classmethod
    def check(cls, values: Mapping[str, Any], owner: str) -> list[str]:
        """Return what is wrong with values of some or all of the fields, and between those that are legal."""
        faults = super().check(values, owner)
        heads, backbone = values.get("heads"), values.get("backbone")
        if backbone is not None and (backbone.name != "conv" or backbone.hidden is not None):
            faults.append(
                f"{owner}: slots see what a conv stack gives at each place: backbone must be 'conv', without a hidden "
                "layer."
            )
        if isinstance(heads, tuple) and not (len(heads) == 1 and _plain(heads[0])):
            faults.append(
                f"{owner}: a model with slots has one head, 'drawing', without a label, with beta 0, as nothing "
                "diverges, decoder and sketch_size null, output_padding true, and the squared error for its measure."
            )
        return faults


def _plain(head: Any) -> bool:
    if head.name != "drawing" or label_of(head):
        return False
    fields = (head.beta, head.decoder, head.sketch_size, head.output_padding, head.measure)
    return fields == (0, None, None, True, "squared-error")
