"""The glimpse loop: where to look, what is there, and what the memory is given of it.

Figure 2 of the paper without its memory. The memory never feeds back into where the model looks,
so the loop gives all memory inputs e_1 ... e_N first, and the memory runs over them afterwards.
"""

from typing import Any, Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from stawm.nn.backbones.base import Backbone
from stawm.nn.locators.base import Locator
from stawm.nn.precision import WideLinear, full_precision, of_weights, without_autocast
from stawm.nn.recurrent import Emitter, LSTMCell, clip_rows


class LoopState(NamedTuple):
    """What is carried from glimpse to glimpse; None stands for zero.

    Attributes:
        x: The input of the emission RNN: the projected context first, then what was aggregated.
        emission_h: The emission RNN's output.
        emission_c: Its cell.
        aggregator_h: The aggregator RNN's output.
        aggregator_c: Its cell.
    """

    x: Float[Tensor, "b d"]
    emission_h: Float[Tensor, "b d"]
    emission_c: Float[Tensor, "b d"] | None = None
    aggregator_h: Float[Tensor, "b d"] | None = None
    aggregator_c: Float[Tensor, "b d"] | None = None


class Look(NamedTuple):
    """One glimpse, or, with an axis n after the batch, all of them.

    Attributes:
        pose: Where the glimpse was taken, in the locator's numbers.
        inverse_pose: Where its sketch is placed; None in a model that does not draw.
        glimpse: What was seen.
        features: What the glimpse CNN made of it, projected to the hidden size.
        emission: The emission RNN's output that the pose came from.
    """

    pose: Float[Tensor, "*bn p"]
    inverse_pose: Float[Tensor, "*bn p"] | None
    glimpse: Float[Tensor, "*bn c g g"]
    features: Float[Tensor, "*bn d"]
    emission: Float[Tensor, "*bn d"]


class Pause(NamedTuple):
    """Where looking at an image stopped.

    Attributes:
        loop: What is carried to the next glimpse, before the last one is taken into account.
        features: What was seen of the last glimpse.
    """

    loop: LoopState
    features: Float[Tensor, "b d"]


class GlimpseLoop(nn.Module):
    """Context CNN, emission and aggregator RNNs, locator, glimpse CNN, and the what/where pathway."""

    def __init__(
        self,
        *,
        context: Backbone,
        backbone: Backbone,
        locator: Locator,
        hidden_size: int,
        memory_size: int,
        dropout: float,
        where: Literal["pose", "rnn"],
        inverse: bool,
        pose_limit: float | None = None,
        pose_jitter: float = 0.0,
    ) -> None:
        """Join the parts.

        Args:
            context: The CNN that sees the whole image.
            backbone: The CNN that sees each glimpse.
            locator: How a pose takes a glimpse.
            hidden_size: d, of both RNNs.
            memory_size: m, of the memory that is written.
            dropout: The rate on the projections and in the emitters.
            where: What the 'where' pathway sees: the pose (the authors' code) or the RNN (the paper).
            inverse: Whether an inverse pose is emitted, for drawing.
            pose_limit: How far a glimpse's pose may get from the one that sees the whole image.
            pose_jitter: How far the pose of an untrained model is from it, as a standard deviation.
        """
        super().__init__()
        self.context = context
        self.backbone = backbone
        self.locator = locator
        self.where_from = where
        self.dropout = nn.Dropout(dropout)
        self.context_down = nn.Linear(context.features, hidden_size)
        self.glimpse_down = nn.Linear(backbone.features, hidden_size)
        self.emission_rnn = LSTMCell(hidden_size, hidden_size)
        self.aggregator_rnn = LSTMCell(hidden_size, hidden_size)
        identity = locator.identity_pose()
        self.emitter = Emitter(hidden_size, identity, dropout, pose_limit, pose_jitter)
        self.inverse_emitter = Emitter(hidden_size, identity, dropout) if inverse else None
        self.what = WideLinear(hidden_size, memory_size)
        self.where = WideLinear(locator.pose_size if where == "pose" else hidden_size, memory_size)

    def init(self, images: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b f"], LoopState]:
        """Return the context features and the state before the first glimpse."""
        with of_weights(self.what.weight, images):
            context = self.context(images)
            start = full_precision(self.dropout(self.context_down(context)).relu())
        return context, LoopState(x=start, emission_h=start)

    def look(
        self, images: Float[Tensor, "b c h w"], state: LoopState, pose_clip: float | None = None
    ) -> tuple[LoopState, Look]:
        """Decide where to look, and look."""
        with of_weights(self.what.weight, images):
            return self._look(images, state, pose_clip)

    def _look(
        self, images: Float[Tensor, "b c h w"], state: LoopState, pose_clip: float | None
    ) -> tuple[LoopState, Look]:
        h, c = self.emission_rnn(state.x, state.emission_h, state.emission_c)
        with without_autocast(images):
            pose = self.emitter(h)
            pose = pose if pose_clip is None else clip_rows(pose, pose_clip)
            inverse = None if self.inverse_emitter is None else self.inverse_emitter(h)
            glimpse = self.locator.glimpse(full_precision(images), pose)
        features = self.dropout(self.glimpse_down(self.backbone(glimpse))).relu()
        return state._replace(emission_h=h, emission_c=c), Look(pose, inverse, glimpse, full_precision(features), h)

    def aggregate(self, state: LoopState, features: Float[Tensor, "b d"]) -> LoopState:
        """Take what was seen into account for the next look."""
        with of_weights(self.what.weight, features):
            h, c = self.aggregator_rnn(features, state.aggregator_h, state.aggregator_c)
        return state._replace(x=h, aggregator_h=h, aggregator_c=c)

    def memory_input(self, looks: Look) -> Float[Tensor, "*bn m"]:
        """Return e = ReLU6(what(features) * where), for one glimpse or for all at once."""
        with without_autocast(looks.pose):
            seen_from = looks.pose if self.where_from == "pose" else looks.emission
            return (self.what(looks.features) * self.where(seen_from)).clamp(0, 6)

    def forward(
        self, images: Float[Tensor, "b c h w"], glimpses: int, pose_clip: float | None = None
    ) -> tuple[Float[Tensor, "b f"], Look, Float[Tensor, "b n m"]]:
        """Look ``glimpses`` times; the first three things that `run` returns."""
        return self.run(images, glimpses, pose_clip)[:3]

    def run(
        self,
        images: Float[Tensor, "b c h w"],
        glimpses: int,
        pose_clip: float | None = None,
        after: tuple[Float[Tensor, "b f"], Pause] | None = None,
    ) -> tuple[Float[Tensor, "b f"], Look, Float[Tensor, "b n m"], Pause]:
        """Look ``glimpses`` times.

        Args:
            images: The images.
            glimpses: n.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.
            after: The context features and where an earlier look at these images stopped, to go on from there.

        Returns:
            The context features, all looks, what the memory is given at each, and where this look stopped.
        """
        context, state = self.init(images) if after is None else (after[0], after[1].loop)
        features = None if after is None else after[1].features
        looks: list[Look] = []
        for _ in range(glimpses):
            if features is not None:
                state = self.aggregate(state, features)
            state, look = self.look(images, state, pose_clip)
            looks.append(look)
            features = look.features
        parts: Any = (None if part[0] is None else _side_by_side(part) for part in zip(*looks, strict=True))
        together = Look(*parts)
        return context, together, self.memory_input(together), Pause(state, looks[-1].features)


def _side_by_side(parts: tuple[Float[Tensor, "b f *rest"], ...]) -> Float[Tensor, "b n f *rest"]:
    """Stack along a new axis after the batch; one node in an ONNX graph, where `stack` is one for each part."""
    return torch.cat(parts, dim=1).unflatten(1, (len(parts), -1))


def flatten_time(x: Float[Tensor, "b n *rest"]) -> Float[Tensor, "bn *rest"]:
    """Make glimpses rows of the batch, for parts that do not depend on time."""
    return rearrange(x, "b n ... -> (b n) ...")
