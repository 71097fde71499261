"""The family ``ram``: models that answer from their recurrent state, as RAM, DRAM and EDRAM."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration.components import instantiate
from stawm.errors import ConfigError, Faults
from stawm.heads import together
from stawm.heads.classification import ClassificationHead
from stawm.heads.config import called
from stawm.heads.cued import cued
from stawm.heads.output import Noise
from stawm.heads.pairs import PairClassifier
from stawm.models.looker import Looker, checked_count
from stawm.models.parts import make_policy
from stawm.models.ram_config import RamConfig
from stawm.models.states import Seen
from stawm.nn.gradients import reach
from stawm.nn.ram_loop import RamLoop
from stawm.registry import Kind

ALL_USED = 3
"""With as many glimpses every weight has a say: what is seen at the first one has one in where the third is taken."""


class Ram(Looker):
    """The Recurrent Attention Model (Mnih et al. 2014), and what was made of it.

    Attributes:
        config: The complete configuration.
        loop: Where the model looks, and its recurrent state.
        heads: What reads that state, by name. They ask no queries.

    Examples:
        >>> import stawm, torch
        >>> model = stawm.build("ram-mnist", seed=0).eval()
        >>> output = model(model.normalise(torch.rand(2, 1, 28, 28)))
        >>> output.logits.shape, output.trace.pose.shape
        (torch.Size([2, 10]), torch.Size([2, 6, 2]))
    """

    def __init__(self, config: RamConfig) -> None:
        """Build the components that the configuration names.

        Raises:
            ConfigError: All components that cannot be built at these sizes, and why.
            UnknownNameError: The one fault is a component that is not registered.
        """
        super().__init__(config)
        self.config: RamConfig = config
        fields = ("feature_size", "hidden_size", "where_size", "join", "cell", "layers", "dropout", "pose_limit")
        self.loop = RamLoop(
            **_parts(config), context_size=config.context_size, **{name: getattr(config, name) for name in fields}
        )
        self.heads = nn.ModuleDict(_heads(config))

    def look(
        self,
        images: Float[Tensor, "b c h w"],
        glimpses: int,
        *,
        pose_clip: float | None = None,
        noise: Noise | None = None,
    ) -> Seen:
        """Look at images: where, what is there, and the recurrent state after each glimpse.

        Args:
            images: The images, normalised with the configuration's mean and std.
            glimpses: n, how many glimpses to take.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.
            noise: The random numbers of the policy; nothing is random where left out.

        Raises:
            InputError: The images are not of the model's form, or there are no glimpses.
        """
        self.check_shape(images)
        looks, states = self.loop(images, checked_count(glimpses), pose_clip, self.policy_noise(noise))
        if glimpses < ALL_USED or not self.policy.follows:
            states = reach(states, self.parameters())
        return Seen(looks.emission[:, 0], looks, states)

    def recall(self, seen: Seen, reads: Mapping[str, Sequence[int]]) -> dict[str, Float[Tensor, "b k m"]]:
        """Return the recurrent state after each of the glimpses that a head reads after.

        Where two answers are given, that at half of these glimpses comes before it.

        Args:
            seen: What `look` gave.
            reads: For each head the numbers of glimpses, from 1 to n.
        """
        found = {name: _after(seen, times) for name, times in reads.items()}
        if self.config.answers == 1:
            return found
        halves = {name: _after(seen, [(time + 1) // 2 for time in times]) for name, times in reads.items()}
        return {name: torch.cat([halves[name], found[name]], dim=-1) for name in reads}


def _after(seen: Seen, times: Sequence[int]) -> Float[Tensor, "b k m"]:
    """Return the recurrent state after some of the glimpses, counted from 1."""
    return torch.stack([seen.memory_input[:, time - 1] for time in times], dim=1)


def _parts(config: RamConfig) -> dict[str, Any]:
    """Build every component but the heads, by the arguments of the loop."""
    channels, height, width = config.image
    seen = (height, width) if config.context_size is None else (config.context_size, config.context_size)
    side, views, faults = config.glimpse_size, getattr(config.locator, "scales", 1), Faults()
    make = faults.attempt
    found: dict[str, Any] = {
        "backbone": make(instantiate, Kind.BACKBONE, config.backbone, channels=channels * views, size=(side, side)),
        "locator": make(instantiate, Kind.LOCATOR, config.locator, glimpse_size=side, image_size=(height, width)),
        "context": None,
    }
    if config.context is not None:
        found["context"] = make(instantiate, Kind.BACKBONE, config.context, channels=channels, size=seen)
    faults.settle()
    return found | {"policy": make_policy(config, found["locator"])}


def _heads(config: RamConfig) -> dict[str, nn.Module]:
    """Build the heads by name; the recurrent state is read as it is, so they ask no query."""
    if config.draws:
        raise ConfigError(
            [f"{config.name}: a model of the family 'ram' has no canvas, and no head 'drawing'; 'stawm' has."]
        )
    offered = {
        "context_features": 1,
        "memory_size": config.answers * config.hidden_size,
        "dropout": config.dropout,
        "channels": config.image[0],
        "glimpse_size": config.glimpse_size,
        "image_size": tuple(config.image[1:]),
        "backbone": config.backbone,
    }
    faults = Faults()
    found = {called(head): faults.attempt(instantiate, Kind.HEAD, head, **offered) for head in config.heads}
    faults.settle()
    faults.add(*together.clashes(found))
    faults.add(
        *(
            f"{config.name}: a model of the family 'ram' has no memory that a head such as {name!r} could ask."
            for name in cued(found)
        )
    )
    faults.settle()
    for head in found.values():
        head.query = nn.Identity()
        if config.answers == 2 and isinstance(head, ClassificationHead):
            head.classifier = faults.attempt(PairClassifier, config.hidden_size, head.config.classes)
    faults.settle()
    return found
