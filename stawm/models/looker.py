"""What all models share that look in glimpses and answer by heads, whatever is between the two."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.configuration import GLIMPSES
from stawm.core.constants import vector
from stawm.core.sizes import extent
from stawm.errors import InputError
from stawm.heads import noise as noises
from stawm.heads import together
from stawm.heads.base import PLACES, RIGHT, Fields, Head, Scene, Targets
from stawm.heads.cued import Cues
from stawm.heads.losses import weighed
from stawm.heads.noise import Shapes
from stawm.heads.output import Noise, Output, Trace
from stawm.heads.recall import HOLE
from stawm.models.asking import cues_of_copies
from stawm.models.base import Model
from stawm.models.paths import averaged, repeated
from stawm.models.states import Seen
from stawm.nn.glimpse_loop import Look, flatten_time
from stawm.nn.locators.base import Locator
from stawm.nn.policies.base import Policy
from stawm.nn.precision import full_precision, of_weights


class Looker(Model):
    """A model that looks at images in glimpses, and whose heads read what came of it.

    A forward pass has three stages: `look` at the images, `recall` what each head reads, `answer`. A family says how
    it looks and what is read; the rest is here.

    Attributes:
        loop: Where the model looks; it has a ``locator``, a ``policy``, and ``what``, a layer in the weights' type.
        heads: What is asked, by name.
    """

    loop: Any
    heads: Any

    @property
    def locator(self) -> Locator:
        """How a pose takes a glimpse."""
        return self.loop.locator

    @property
    def policy(self) -> Policy:
        """How an emission becomes a pose."""
        return self.loop.policy

    @property
    def always_draws(self) -> bool:
        """Whether the model looks at random in use too."""
        return self.policy.always_draws

    @property
    def learns_places(self) -> bool:
        """Whether the policy learns from the boxes of things."""
        return self.policy.learns_places

    @property
    def named_heads(self) -> dict[str, Head]:
        """The heads by name, typed."""
        return cast(dict[str, Head], dict(self.heads.items()))

    @property
    def learns_early(self) -> bool:
        """Whether a head learns, at present, from the reads after every glimpse."""
        return self.training and any(head.learns_early for head in self.named_heads.values())

    @abstractmethod
    def look(
        self,
        images: Float[Tensor, "b c h w"],
        glimpses: int,
        *,
        pose_clip: float | None = None,
        noise: Noise | None = None,
    ) -> Seen:
        """Look at images: where, what is there, and what comes of it."""

    @abstractmethod
    def recall(self, seen: Seen, reads: Mapping[str, Sequence[int]]) -> dict[str, Float[Tensor, "b k m"]]:
        """Return what each head reads of what was seen, after so many glimpses as it says."""

    def asked(self, seen: Seen, cue: Cues | None) -> dict[str, Any]:
        """Return what `recall` is given beside what was seen, for what is asked; nothing, unless a family says so.

        Raises:
            InputError: There is a cue, and no head that is asked by one.
        """
        if cue is not None:
            raise InputError(f"{self.config.name} has no head that is asked by a cue, such as 'recall'; leave out cue.")
        return {}

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        *,
        cue: Cues | None = None,
        glimpses: int | None = None,
        glimpse_logits: bool = False,
        sample: bool | None = None,
        samples: int | None = None,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
        pose_clip: float | None = None,
    ) -> Output:
        """Look at images, and return what the heads answer and where the model looked.

        Args:
            images: The images, normalised with the configuration's mean and std, in the type of the weights. Of a model
                in half precision the output is float32, as it is under autocast.
            cue: What heads such as ``recall`` are asked: the numbers of questions, (k,) for all images or (b, k), or
                vectors with one axis more; by the heads' names where several are asked differently. Every numbered
                question, in order, where left out.
            glimpses: How many glimpses to take; the configuration's number where left out.
            glimpse_logits: Whether to classify after every glimpse too.
            sample: Whether what is random is drawn; while training only, where left out, and where a policy looks
                anywhere in any case.
            samples: m, to look at each image m times, at random, and answer by the mean of the m answers (Monte Carlo);
                the trace is that of the first. For policies that draw, and for models that do not draw pictures.
            noise: The random numbers; whatever of them is given is used, sampling or not.
            generator: Where random numbers that are not given come from. Dropout, while training,
                draws from PyTorch's own generator in any case.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.

        Raises:
            InputError: The images, the cue or the noise are not of the model's form, or there are no glimpses.
        """
        if samples is not None:
            wide = repeated(self, images, samples, noise)
            options: dict[str, Any] = {"glimpses": glimpses, "glimpse_logits": glimpse_logits, "pose_clip": pose_clip}
            options |= {} if cue is None else {"cue": cues_of_copies(self, images, cue, samples)}
            return averaged(self(wide, sample=True, generator=generator, **options), samples)
        self.check_images(images)
        n = checked_count(self.config.glimpses if glimpses is None else glimpses)
        drawn = self.drawn(images, n, sample, noise, generator)
        seen = self.look(images, n, pose_clip=pose_clip, noise=drawn)
        reads = self.reads(n, every=glimpse_logits)
        output = self.answer(seen, self.recall(seen, reads, **self.asked(seen, cue)), drawn)
        return (
            output if glimpse_logits or self.learns_early else together.without_glimpse_logits(output, self.named_heads)
        )

    def drawn(
        self,
        images: Float[Tensor, "b c h w"],
        glimpses: int,
        sample: bool | None,
        noise: Noise | None,
        generator: torch.Generator | None,
    ) -> Noise:
        """Return the random numbers of one pass; the arguments are those of `forward`."""
        own = [self.policy.noise] if self.always_draws else []
        draw = (self.training or cast(list[str], own)) if sample is None else sample
        return noises.settle(noise, self.noise_shapes(glimpses), images, generator, draw=draw)

    def policy_noise(self, noise: Noise | None) -> Tensor | None:
        """Return those of the random numbers that are the policy's."""
        name = self.policy.noise
        return None if noise is None or name is None else getattr(noise, name)

    def reads(self, glimpses: int, *, every: bool = False) -> dict[str, tuple[int, ...]]:
        """Return after which glimpses each head reads, by the heads' names.

        Args:
            glimpses: n, how many glimpses there are.
            every: Whether heads that read once read after every glimpse, as they do while they learn from it.
        """
        every = every or self.learns_early
        return {name: tuple(head.reads(glimpses, every=every)) for name, head in self.named_heads.items()}

    def answer(self, seen: Seen, recalled: Mapping[str, Float[Tensor, "b k m"]], noise: Noise | None = None) -> Output:
        """Turn what was recalled into the heads' answers.

        Args:
            seen: What `look` gave.
            recalled: What `recall` gave, by the heads' names.
            noise: The random numbers of this pass; nothing is random where left out.
        """
        heads = self.named_heads
        shares = together.share_noise(noise or Noise(), heads)
        fields: Fields = {}
        with of_weights(self.loop.what.weight, seen.memory_input):
            for name, answers in recalled.items():
                given = heads[name](answers, Scene(seen.looks, self.locator, shares[name]))
                together.add(fields, together.outward(given, heads[name]), name, heads)
        return Output.of({**fields, "trace": None if seen.looks is None else _trace(seen.looks, seen.memory_input)})

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"] | None, labels: Targets | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of every head, each by its weight, and those of the policy."""
        heads = self.named_heads
        found: dict[str, Tensor] = {}
        boxes = None
        if self.policy.learns_places and isinstance(labels, Mapping):
            boxes, labels = labels.get(PLACES), {name: own for name, own in labels.items() if name != PLACES}
        shared = together.share_out(heads, labels)
        for name, own in shared.items():
            losses = heads[name].losses(together.inward(output, heads[name]), pixels, own)
            together.add(found, weighed(losses, self.config.head(name)), name, heads)
        trace = output.trace
        if trace is not None and trace.log_prob is not None:
            reward = self._reward(output, shared).to(trace.log_prob.dtype)
            found |= self.policy.losses(trace.log_prob, trace.baseline, reward)
        if trace is not None and self.policy.learns_places:
            found |= self._place_losses(trace.pose, pixels, boxes)
        return found

    def _place_losses(
        self, poses: Float[Tensor, "b n p"], pixels: Float[Tensor, "b c h w"] | None, boxes: Any
    ) -> dict[str, Tensor]:
        """Return what the policy learns from where things are."""
        if not isinstance(boxes, Tensor) or boxes.ndim != 3 or (len(boxes), boxes.shape[2]) != (len(poses), 4):
            names = [name for name, head in self.named_heads.items() if head.targets is not None]
            given = "none" if boxes is None else getattr(boxes, "shape", boxes)
            raise InputError(
                f"The policy {self.policy.config.name!r} learns from the boxes of things: give targets by name, labels "
                f"for {', '.join(map(repr, names))} and for {PLACES!r} boxes of shape ({len(poses)}, d, 4) in pixels; "
                f"got {given}. Without boxes take policy=deterministic."
            )
        pose = full_precision(flatten_time(poses))
        height, width = self.config.image[1:]
        size = vector((width, height), pose) if pixels is None else extent(pixels).to(pose)
        frames = self.locator.frame(pose, *((size,) if self.config.any_size else ()))
        return self.policy.place_losses(frames.unflatten(0, (len(poses), -1)), boxes.to(pose), size)

    def _reward(self, output: Output, targets: Mapping[str, Any]) -> Float[Tensor, "b"]:
        """Return what each scan path was worth: 1 where the answer is right, of several answers the share of them."""
        heads = self.named_heads
        right = [
            _right(together.inward(output, heads[name]), own, heads[name].targets)
            for name, own in targets.items()
            if heads[name].targets in RIGHT
        ]
        if not right:
            raise InputError(
                f"The policy {self.policy.config.name!r} learns by right answers, so a head must classify, or answer "
                "questions."
            )
        return torch.stack(right).mean(dim=0)

    def measures(self, output: Output, labels: Targets) -> dict[str, dict[str, Tensor]]:
        """Return what each head that learns targets says of how good its answers are, summed over the batch."""
        return together.measures_of(self.named_heads, output, labels)

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shapes, without the batch, of the random numbers that the heads and the policy take."""
        shapes = dict(together.noise_shapes(self.named_heads, glimpses))
        if self.policy.noise is not None:
            shapes[self.policy.noise] = (glimpses, self.locator.pose_size if self.policy.noise == "pose" else 2)
        return shapes


def _right(output: Output, targets: Any, kind: str | None) -> Float[Tensor, "b"]:
    """Return whether an answer is right, or of the questions that have a target the share of right answers."""
    if kind == "classes":
        assert output.logits is not None
        return (output.logits.argmax(dim=-1) == targets).float()
    wanted = targets != HOLE
    right = (output.answers.argmax(dim=-1) == targets) & wanted
    return right.sum(dim=1) / wanted.sum(dim=1).clamp(min=1)


def _trace(looks: Look, memory_input: Float[Tensor, "b n m"]) -> Trace:
    learned = (None if part is None else part.squeeze(-1) for part in (looks.log_prob, looks.baseline))
    return Trace(looks.pose, looks.inverse_pose, looks.glimpse, memory_input, *learned)


def checked_count(glimpses: Any) -> int:
    """Return a number of glimpses.

    Raises:
        InputError: It is no whole number, or not legal.
    """
    if not isinstance(glimpses, int) or glimpses < 1:
        raise InputError(f"A model takes at least 1 glimpse; got {glimpses!r}.")
    if glimpses not in GLIMPSES:
        raise InputError(f"A model takes at most {GLIMPSES.high:,} glimpses; got {glimpses:,}.")
    return glimpses
