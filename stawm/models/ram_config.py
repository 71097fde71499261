"""What a model of the family ``ram`` is: its sizes and its components."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from stawm.configuration import GLIMPSES, POSITIVE, Config, resolve
from stawm.models.config import SharedConfig, Side, Size
from stawm.registry import Kind


@dataclass(frozen=True, kw_only=True)
class RamConfig(SharedConfig):
    """A model that answers from its recurrent state: RAM (Mnih et al. 2014), DRAM (Ba et al. 2015) and their kind."""

    family: Literal["ram"] = "ram"
    """Tells the model from others."""
    glimpses: Annotated[int, GLIMPSES]
    """N, how many glimpses it takes of an image."""
    glimpse_size: Side
    """Sg, the side of a glimpse in pixels."""
    hidden_size: Size
    """The size of each recurrent layer."""
    feature_size: Size
    """The size of g, what the recurrent network is given of a glimpse and its place."""
    where_size: Size | None = None
    """The size of a hidden layer between a pose and g; null is none."""
    join: Literal["product", "sum", "concatenation"] = "product"
    """How what was seen and where are joined to g."""
    cell: Literal["relu", "lstm"] = "relu"
    """What recurrent layers are: h = ReLU(W h + V g + b), or LSTMs."""
    layers: Literal[1, 2] = 1
    """How many recurrent layers there are: of one the state answers and says where to look; of two the first answers
    and the second says where."""
    pose_limit: Annotated[float, POSITIVE] | None = 1.0
    """How far each number that is emitted may get from the pose that a model starts with; null is any distance."""
    context: Config | None = None
    """The network that sees the whole image before the first glimpse, to say where that is; null is none."""
    context_size: Side | None = None
    """The side of the thumbnail that it sees; null is the image itself."""
    locator: Config
    """How a pose takes a glimpse."""
    policy: Config = field(default_factory=lambda: resolve(Kind.POLICY, "deterministic"))
    """How what the model emits becomes a pose."""

    @classmethod
    def check(cls, values: Mapping[str, Any], owner: str) -> list[str]:
        """Return what is wrong with values of some or all of the fields, and between those that are legal."""
        faults = super().check(values, owner)
        if values.get("context_size") is not None and values.get("context", ()) is None:
            faults.append(f"{owner}: context_size is for a context network, and context is null.")
        return faults
