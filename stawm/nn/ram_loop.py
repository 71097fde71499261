"""The loop of RAM, DRAM and EDRAM: what was seen goes into a recurrent network, which says where to look next.

    g_t = join(what(x_t), where(l_t))
    h_t = ReLU(W h_(t-1) + V g_t + b)             one layer of RAM (Mnih et al. 2014), or an LSTM
    r¹_t = LSTM(g_t, r¹_(t-1)), r²_t = LSTM(r¹_t, r²_(t-1))         two of DRAM (Ba et al. 2015)
    l_(t+1) = policy(emitter(h_t)), of two layers policy(emitter(r²_t))

The first state is zero. With a context network, that of the layer which emits is made of the whole image. What is read
is the first layer, so that of two layers no answer sees the context.
"""

from typing import Any, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from stawm.nn.backbones.base import Backbone
from stawm.nn.glimpse_loop import Look, overview, stack_fields, stack_time
from stawm.nn.joint import Join, Joint
from stawm.nn.locators.base import Locator
from stawm.nn.policies.base import Policy
from stawm.nn.precision import WideLinear, full_precision, of_weights, without_autocast
from stawm.nn.recurrent import Emitter, LSTMCell, clip_rows

Cell = Literal["relu", "lstm"]


class LayerState(NamedTuple):
    """The state of one recurrent layer; None stands for zero.

    Attributes:
        h: Its output.
        c: The cell of an LSTM.
    """

    h: Float[Tensor, "b d"] | None = None
    c: Float[Tensor, "b d"] | None = None


class ReluCell(nn.Module):
    """A plain recurrent layer, h = ReLU(W h + V x + b) (Mnih et al. 2014)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, hidden_size)
        self.hidden = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x: Float[Tensor, "b i"], state: LayerState) -> LayerState:
        """Return the next state."""
        whole = self.input(x) if state.h is None else self.input(x) + self.hidden(state.h)
        return LayerState(full_precision(whole).relu())


class LSTMLayer(LSTMCell):
    """An LSTM cell that takes its state as one."""

    def forward(self, x: Float[Tensor, "b i"], state: LayerState) -> LayerState:
        """Return the next state."""
        h = None if state.h is None else state.h.to(self.weight_hh.dtype)
        return LayerState(*super().forward(x, h, state.c))


class RamLoop(nn.Module):
    """Glimpse network, recurrent network, emitter and policy; and a context network where there is one."""

    def __init__(
        self,
        *,
        backbone: Backbone,
        locator: Locator,
        policy: Policy,
        context: Backbone | None,
        context_size: int | None,
        feature_size: int,
        hidden_size: int,
        where_size: int | None,
        join: Join,
        cell: Cell,
        layers: int,
        dropout: float,
        pose_limit: float | None,
    ) -> None:
        """Join the parts.

        Args:
            backbone: The network that sees each glimpse.
            locator: How a pose takes a glimpse.
            policy: How an emission becomes a pose.
            context: The network that sees the whole image before the first glimpse.
            context_size: The side of the thumbnail that it sees; None where it sees the image itself.
            feature_size: s, of g.
            hidden_size: d, of each recurrent layer.
            where_size: The size of the hidden layer from a pose to g; none where left out.
            join: How what and where are joined.
            cell: What recurrent layers are.
            layers: How many there are, 1 or 2.
            dropout: The rate on the features of glimpses and in the emitter.
            pose_limit: How far each number of an emission may get from the pose that a model starts with.
        """
        super().__init__()
        self.backbone, self.locator, self.policy = backbone, locator, policy
        self.context, self.context_size = context, context_size
        self.dropout = nn.Dropout(dropout)
        self.joint = Joint(backbone.features, locator.pose_size, feature_size, join, where_size)
        sizes = [(feature_size, hidden_size), (hidden_size, hidden_size)][:layers]
        self.cells = nn.ModuleList((ReluCell if cell == "relu" else LSTMLayer)(*each) for each in sizes)
        self.context_down = None if context is None else nn.Linear(context.features, hidden_size)
        self.emitter = Emitter(hidden_size, locator.start_pose(), dropout, pose_limit)
        self.hidden_size = hidden_size

    @property
    def what(self) -> WideLinear:
        """A layer in the type of the weights."""
        return self.joint.what

    def begin(self, images: Float[Tensor, "b c h w"]) -> tuple[LayerState, ...]:
        """Return the state before the first glimpse."""
        still = tuple(LayerState() for _ in self.cells)
        if self.context is None or self.context_down is None:
            return still
        context = self.context(overview(images, self.context_size))
        start = full_precision(self.dropout(self.context_down(context)).relu())
        return (*still[:-1], LayerState(start))

    def look(
        self,
        whole: Any,
        emits: Float[Tensor, "b d"],
        pose_clip: float | None,
        noise: Float[Tensor, "b k"] | None,
        taken: int,
    ) -> Look:
        """Decide where to look, and look at what the locator prepared.

        Args:
            whole: What glimpses are taken of.
            emits: The state of the layer that says where.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.
            noise: The random numbers of the policy.
            taken: How many glimpses were taken before.
        """
        with without_autocast(emits):
            pose = self.emitter(emits)
            pose = pose if pose_clip is None else clip_rows(pose, pose_clip)
            pose, log_prob, baseline = self.policy(pose, emits, noise, taken)
            glimpse = self.locator.glimpse(whole, pose)
        features = self.joint(self.dropout(self.backbone(glimpse)), pose)
        return Look(pose, None, glimpse, features, emits, log_prob, baseline)

    def step(self, features: Float[Tensor, "b s"], state: tuple[LayerState, ...]) -> tuple[LayerState, ...]:
        """Take what was seen into account."""
        following: list[LayerState] = []
        x = features
        for cell, before in zip(self.cells, state, strict=True):
            following.append(cell(x, before))
            x = following[-1].h
        return tuple(following)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        glimpses: int,
        pose_clip: float | None = None,
        noise: Float[Tensor, "b n k"] | None = None,
    ) -> tuple[Look, Float[Tensor, "b n d"]]:
        """Look ``glimpses`` times.

        Args:
            images: The images.
            glimpses: n.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.
            noise: The random numbers of the policy; nothing is random where left out.

        Returns:
            All looks, and after each the state that is read.
        """
        with of_weights(self.what.weight, images):
            state, whole = self.begin(images), self.locator.prepare(full_precision(images))
            looks: list[Look] = []
            read: list[Tensor] = []
            for t in range(glimpses):
                emits = state[-1].h
                if emits is None:
                    emits = full_precision(images).new_zeros(len(images), self.hidden_size)
                looks.append(self.look(whole, emits, pose_clip, None if noise is None else noise[:, t], t))
                state = self.step(looks[-1].features, state)
                assert state[0].h is not None
                read.append(state[0].h)
        return stack_fields(looks), stack_time(read)
