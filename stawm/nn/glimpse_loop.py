"""The glimpse loop: where to look, what is there, and what the memory is given of it.

Figure 2 of the paper without its memory. The memory never feeds back into where the model looks,
so the loop gives all memory inputs e_1 ... e_N first, and the memory runs over them afterwards.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from stawm.core import thumbnail
from stawm.core.pyramid import Pyramid
from stawm.nn.backbones.base import Backbone
from stawm.nn.locators.base import Locator
from stawm.nn.policies.base import Policy
from stawm.nn.policies.deterministic import Deterministic
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


Step = TypeVar("Step", bound=tuple[Any, ...])
"""What one glimpse gives: a named tuple of tensors."""


class Look(NamedTuple):
    """One glimpse, or, with an axis n after the batch, all of them.

    Attributes:
        pose: Where the glimpse was taken, in the locator's numbers.
        inverse_pose: Where its sketch is placed; None in a model that does not draw.
        glimpse: What was seen; v views of c channels.
        features: What the glimpse CNN made of it, projected to the hidden size.
        emission: The emission RNN's output that the pose came from.
        log_prob: The logarithm of the density of the pose, where it was drawn and its policy learns by it.
        baseline: What reward the policy expected, where it learns to.
    """

    pose: Float[Tensor, "*bn p"]
    inverse_pose: Float[Tensor, "*bn p"] | None
    glimpse: Float[Tensor, "*bn vc g g"]
    features: Float[Tensor, "*bn d"]
    emission: Float[Tensor, "*bn d"]
    log_prob: Float[Tensor, "*bn 1"] | None = None
    baseline: Float[Tensor, "*bn 1"] | None = None


class Placed(NamedTuple):
    """Where glimpses are taken that the model does not place itself.

    Attributes:
        pose: Poses, in the locator's numbers.
        here: In which images they are taken in place of the model's own.
    """

    pose: Float[Tensor, "b p"]
    here: Bool[Tensor, "b 1"]


class Pause(NamedTuple):
    """Where looking at an image stopped.

    Attributes:
        loop: What is carried to the next glimpse, before the last one is taken into account.
        features: What was seen of the last glimpse.
        taken: How many glimpses of the image were taken, where the policy counts them; else None.
    """

    loop: LoopState
    features: Float[Tensor, "b d"]
    taken: int | None = None


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
        sketch_limit: float | None = None,
        context_size: int | None = None,
        pose_jitter: float = 0.0,
        apart: bool = False,
        policy: Policy | None = None,
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
            pose_limit: How far a glimpse's pose may get from the one that the model starts with.
            sketch_limit: How far a sketch's pose may get from the one that covers the whole canvas.
            context_size: The side of the thumbnail that the context CNN sees; None where it sees the image itself.
            pose_jitter: How far the pose of an untrained model is from that one, as a standard deviation.
            apart: Whether the memory is given what and where apart, and not their product.
            policy: How an emission becomes a pose; it is the pose where left out.
        """
        super().__init__()
        self.apart = apart
        self.context = context
        self.backbone = backbone
        self.locator = locator
        self.where_from = where
        self.context_size = context_size
        self.dropout = nn.Dropout(dropout)
        self.context_down = nn.Linear(context.features, hidden_size)
        self.glimpse_down = nn.Linear(backbone.features, hidden_size)
        self.emission_rnn = LSTMCell(hidden_size, hidden_size)
        self.aggregator_rnn = LSTMCell(hidden_size, hidden_size)
        self.emitter = Emitter(hidden_size, locator.start_pose(), dropout, pose_limit, pose_jitter)
        self.policy = Deterministic() if policy is None else policy
        whole = locator.identity_pose()
        self.inverse_emitter = Emitter(hidden_size, whole, dropout, sketch_limit) if inverse else None
        self.what = WideLinear(hidden_size, memory_size)
        self.where = WideLinear(locator.pose_size if where == "pose" else hidden_size, memory_size)

    def init(self, images: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b f"], LoopState]:
        """Return the context features and the state before the first glimpse."""
        return self.begin(self.overview(images))

    def begin(self, overview: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b f"], LoopState]:
        """Return the same, of what the context CNN sees."""
        with of_weights(self.what.weight, overview):
            context = self.context(overview)
            start = full_precision(self.dropout(self.context_down(context)).relu())
        return context, LoopState(x=start, emission_h=start)

    def overview(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c _h _w"]:
        """Return what the context CNN sees: the images, or their thumbnails."""
        return overview(images, self.context_size)

    def prepare(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"] | Pyramid:
        """Return what glimpses are taken of, once for all glimpses of an image."""
        return self.locator.prepare(full_precision(images))

    def look(
        self,
        images: Float[Tensor, "b c h w"] | Pyramid,
        state: LoopState,
        pose_clip: float | None = None,
        placed: Placed | None = None,
        noise: Float[Tensor, "b k"] | None = None,
        taken: int = 0,
    ) -> tuple[LoopState, Look]:
        """Decide where to look, unless that is said, and look at images, or at what `prepare` made of them."""
        with of_weights(self.what.weight, state.x):
            return self._look(images, state, pose_clip, placed, noise, taken)

    def _look(
        self,
        images: Float[Tensor, "b c h w"] | Pyramid,
        state: LoopState,
        pose_clip: float | None,
        placed: Placed | None,
        noise: Float[Tensor, "b k"] | None,
        taken: int,
    ) -> tuple[LoopState, Look]:
        h, c = self.emission_rnn(state.x, state.emission_h, state.emission_c)
        with without_autocast(state.x):
            pose = self.emitter(h)
            pose = pose if pose_clip is None else clip_rows(pose, pose_clip)
            pose, log_prob, baseline = self.policy(pose, h, noise, taken)
            pose = pose if placed is None else torch.where(placed.here, placed.pose, pose)
            inverse = None if self.inverse_emitter is None else self.inverse_emitter(h)
            whole = full_precision(images) if isinstance(images, Tensor) else images
            glimpse = self.locator.glimpse(whole, pose)
        features = self.dropout(self.glimpse_down(self.backbone(glimpse))).relu()
        look = Look(pose, inverse, glimpse, full_precision(features), h, log_prob, baseline)
        return state._replace(emission_h=h, emission_c=c), look

    def aggregate(self, state: LoopState, features: Float[Tensor, "b d"]) -> LoopState:
        """Take what was seen into account for the next look."""
        with of_weights(self.what.weight, features):
            h, c = self.aggregator_rnn(features, state.aggregator_h, state.aggregator_c)
        return state._replace(x=h, aggregator_h=h, aggregator_c=c)

    def memory_input(self, looks: Look) -> Float[Tensor, "*bn m"]:
        """Return e = ReLU6(what(features) * where), for one glimpse or for all at once; or ReLU6 of both apart."""
        with without_autocast(looks.pose):
            seen_from = looks.pose if self.where_from == "pose" else looks.emission
            what, where = self.what(looks.features), self.where(seen_from)
            return (torch.cat([what, where], dim=-1) if self.apart else what * where).clamp(0, 6)

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
        noise: Float[Tensor, "b n k"] | None = None,
    ) -> tuple[Float[Tensor, "b f"], Look, Float[Tensor, "b n m"], Pause]:
        """Look ``glimpses`` times.

        Args:
            images: The images.
            glimpses: n.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.
            after: The context features and where an earlier look at these images stopped, to go on from there.
            noise: The random numbers of the policy; nothing is random where left out.

        Returns:
            The context features, all looks, what the memory is given at each, and where this look stopped.
        """
        context, state = self.init(images) if after is None else (after[0], after[1].loop)
        features, taken = (None, None) if after is None else after[1][1:]
        whole = self.prepare(images)
        return context, *self.walk(whole, glimpses, state, features, pose_clip, noise=noise, taken=taken or 0)

    def walk(
        self,
        whole: Float[Tensor, "b c h w"] | Pyramid,
        glimpses: int,
        state: LoopState,
        features: Float[Tensor, "b d"] | None = None,
        pose_clip: float | None = None,
        placed: Sequence[Placed] | None = None,
        noise: Float[Tensor, "b n k"] | None = None,
        taken: int = 0,
    ) -> tuple[Look, Float[Tensor, "b n m"], Pause]:
        """Look ``glimpses`` times at what `prepare` made of images, and return all but the context features of `run`.

        Args:
            whole: What glimpses are taken of.
            glimpses: n.
            state: What `init` gave, or what is carried to the next glimpse.
            features: What was seen of the last glimpse, if there was one.
            pose_clip: As for `run`.
            placed: Where to look at each glimpse; where the model decides if left out.
            noise: As for `run`.
            taken: How many glimpses of the images were taken before.
        """
        looks: list[Look] = []
        for t in range(glimpses):
            if features is not None:
                state = self.aggregate(state, features)
            there, drawn = None if placed is None else placed[t], None if noise is None else noise[:, t]
            state, look = self.look(whole, state, pose_clip, there, drawn, taken + t)
            looks.append(look)
            features = look.features
        together = stack_fields(looks)
        counted = taken + glimpses if self.policy.counts else None
        return together, self.memory_input(together), Pause(state, looks[-1].features, counted)


def overview(images: Float[Tensor, "b c h w"], size: int | None) -> Float[Tensor, "b c _h _w"]:
    """Return what a context CNN sees: the images, or thumbnails of that side."""
    if size is None:
        return images
    with without_autocast(images):
        return thumbnail.shrink(full_precision(images), size)


def stack_fields(steps: Sequence[Step]) -> Step:
    """Stack what each glimpse gave, field by field; what is None at the first is None."""
    parts: Any = (None if part[0] is None else stack_time(part) for part in zip(*steps, strict=True))
    return type(steps[0])(*parts)


def stack_time(parts: Sequence[Float[Tensor, "b f *rest"]]) -> Float[Tensor, "b n f *rest"]:
    """Stack along a new axis after the batch; one node in an ONNX graph, where `stack` is one for each part."""
    return torch.cat(list(parts), dim=1).unflatten(1, (len(parts), -1))


def flatten_time(x: Float[Tensor, "b n *rest"]) -> Float[Tensor, "bn *rest"]:
    """Make glimpses rows of the batch, for parts that do not depend on time."""
    return rearrange(x, "b n ... -> (b n) ...")
