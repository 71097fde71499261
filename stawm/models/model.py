"""The model: the glimpse loop, a memory, and the heads that query it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.errors import InputError
from stawm.heads import together
from stawm.heads.cued import Cues, cued
from stawm.heads.output import Noise, Output
from stawm.models.asking import asked_for, queries_of
from stawm.models.base import Model as Model
from stawm.models.base import evaluating as evaluating
from stawm.models.config import ModelConfig
from stawm.models.looker import Looker
from stawm.models.looker import checked_count as checked_count
from stawm.models.parts import make_heads, make_parts
from stawm.models.states import Seen, State, check_state
from stawm.nn.glimpse_loop import GlimpseLoop
from stawm.nn.gradients import reach
from stawm.nn.memories.base import Memory

ALL_USED = 3
"""With as many glimpses every weight has a say, if the policy follows the model: the aggregator's recurrent ones only
count from its second step on."""


class Stawm(Looker):
    """The Short Term Attentive Working Memory model (Harris et al. 2019).

    A forward pass has three stages, each of which may be called by itself: `look` at the images, `recall` what
    the memory holds of it, `answer`.

    Attributes:
        config: The complete configuration.
        loop: Where the model looks, and what the memory is given.
        memory: The memory; its state is local to a forward pass.
        heads: What is asked of the memory, by name.

    Examples:
        >>> import stawm, torch
        >>> model = stawm.build("stawm-digits", seed=0).eval()
        >>> images = model.normalise(torch.rand(2, 1, 16, 16))
        >>> seen = model.look(images, 3)
        >>> recalled = model.recall(seen, model.reads(3))
        >>> torch.equal(model.answer(seen, recalled).logits, model(images, glimpses=3).logits)
        True
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build the components that the configuration names.

        Raises:
            ConfigError: All components that cannot be built at these sizes, and why.
            UnknownNameError: The one fault is a component that is not registered.
        """
        super().__init__(config)
        self.config: ModelConfig = config
        parts = make_parts(config)
        self.loop = GlimpseLoop(
            context=parts["context"],
            backbone=parts["backbone"],
            locator=parts["locator"],
            hidden_size=config.hidden_size,
            memory_size=config.memory_size,
            dropout=config.dropout,
            where=config.where,
            inverse=config.has("drawing"),
            pose_limit=config.pose_limit,
            sketch_limit=config.sketch_limit,
            context_size=config.context_size,
            pose_jitter=config.pose_jitter,
            apart=parts["memory"].bind != "self",
            policy=parts["policy"],
        )
        self.memory: Memory[Any] = parts["memory"]
        self.heads = nn.ModuleDict(make_heads(config, parts))
        if config.trainable == "readout":
            self.loop.requires_grad_(False)

    def train(self, mode: bool = True) -> "Stawm":
        """Set training mode; a frozen glimpse loop stays in evaluation mode, unless ``frozen_loop`` says otherwise."""
        super().train(mode)
        if self.config.is_readout and self.config.frozen_loop == "evaluation":
            self.loop.eval()
        return self

    def start(self, images: Tensor | int) -> State:
        """Return the state before anything was seen: an empty memory.

        Args:
            images: The images that will be looked at first, or how many there are at a time.

        Raises:
            InputError: There are none.
        """
        batch = images if isinstance(images, int) else len(images)
        if batch < 1:
            raise InputError(f"A state is of at least 1 image; got {batch}.")
        device = next(self.parameters()).device if isinstance(images, int) else images.device
        return State(self.memory.init_state(batch, device=device))

    def watch(
        self,
        images: Float[Tensor, "b c h w"],
        state: State | None = None,
        *,
        cue: Cues | None = None,
        glimpses: int | None = None,
    ) -> tuple[Output, State]:
        """Look at the next images of a stream, with a memory that holds what was seen before.

        Each image is looked at anew; the memory is not emptied in between. Without a state this is a call of the
        model without any randomness, but for that of a policy that looks anywhere.

        Args:
            images: The next image of each of b streams, normalised with the configuration's mean and std.
            state: What `start` or the last call gave; an empty memory where left out.
            cue: What is asked, as for a call of the model.
            glimpses: How many glimpses to take; the configuration's number where left out.

        Returns:
            The output, and the state to go on from.

        Raises:
            InputError: The images are not of the model's form, or the state is not of these images.
        """
        self.check_images(images)
        n = checked_count(self.config.glimpses if glimpses is None else glimpses)
        seen = self.look(images, n, noise=self.drawn(images, n, None if self.always_draws else False, None, None))
        recalled, state = self.remember(seen, self.reads(n), state, queries=self.queries(seen.context, cue))
        return together.without_glimpse_logits(self.answer(seen, recalled), self.named_heads), state

    def ask(self, state: State, cue: Cues | None = None) -> Output:
        """Ask a memory further questions, without looking again.

        Args:
            state: What `remember` or `watch` gave.
            cue: What is asked, as for a call of the model.

        Returns:
            The answers of the heads that are asked by cues.

        Raises:
            InputError: No head is asked by cues, nothing was looked at, or the cue is not of the model's form.

        Examples:
            >>> import stawm, torch
            >>> heads = {"name": "recall", "cues": 3}
            >>> model = stawm.build("stawm-digits", heads=heads, class_names=(), seed=0).eval()
            >>> output, state = model.watch(model.normalise(torch.rand(2, 1, 16, 16)))
            >>> again = model.ask(state, cue=[2, 0])
            >>> torch.allclose(again.answers, output.answers[:, [2, 0]], atol=1e-5)
            True
        """
        if not isinstance(state, State) or state.context is None:
            raise InputError("ask takes a state after something was seen, as remember or watch gave it.")
        context = state.context
        if not cued(self.named_heads):
            raise InputError(f"{self.config.name} has no head that is asked by a cue, such as 'recall'.")
        queries = self.queries(context, cue)
        recalled = {name: activate(self.memory.read(state.memory, query)) for name, query in queries.items()}
        return self.answer(Seen(context, None, context.new_zeros(len(context), 0, self.memory.input_size)), recalled)

    def queries(self, context: Float[Tensor, "b f"], cue: Cues | None = None) -> dict[str, Float[Tensor, "b k m"]]:
        """Return the queries of the heads that are asked by cues, by the heads' names.

        Args:
            context: The features of the whole image, as `look` gave them.
            cue: What is asked, as for a call of the model.

        Raises:
            InputError: The cue is not of the model's form, or no head is asked by one.
        """
        return queries_of(self, context, cue)

    def asked(self, seen: Seen, cue: Cues | None) -> dict[str, Any]:
        """Return the queries of the heads that are asked by cues."""
        return {"queries": self.queries(seen.context, cue)}

    def look(
        self,
        images: Float[Tensor, "b c h w"],
        glimpses: int,
        *,
        pose_clip: float | None = None,
        noise: Noise | None = None,
        state: State | None = None,
    ) -> Seen:
        """Look at images: where, what is there, and what the memory is given of it.

        Args:
            images: The images, normalised with the configuration's mean and std.
            glimpses: n, how many glimpses to take.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.
            noise: The random numbers of the policy; nothing is random where left out.
            state: Where an earlier look at the same images stopped, to go on from there; left out, they are looked at
                anew.

        Raises:
            InputError: The images are not of the model's form, there are no glimpses, or the state is not of them.
        """
        self.check_shape(images)
        n, after = checked_count(glimpses), None
        if state is not None:
            check_state(state, len(images))
            after = None if state.context is None or state.pause is None else (state.context, state.pause)
        return Seen(*self.loop.run(images, n, pose_clip, after, self.policy_noise(noise)))

    def recall(
        self,
        seen: Seen,
        reads: Mapping[str, Sequence[int]],
        state: State | None = None,
        *,
        queries: Mapping[str, Float[Tensor, "b *k m"]] | None = None,
    ) -> dict[str, Float[Tensor, "b k m"]]:
        """Write what was seen, all in one pass, and return what each head reads, after ReLU6.

        Args:
            seen: What `look` gave.
            reads: For each head the numbers of writes, from 0 to n, after which it reads.
            state: What the memory holds already; it is empty where left out.
            queries: Queries in place of those that heads ask, by the heads' names, as for `remember`.
        """
        return self.remember(seen, reads, state, queries=queries)[0]

    def remember(
        self,
        seen: Seen,
        reads: Mapping[str, Sequence[int]],
        state: State | None = None,
        *,
        queries: Mapping[str, Float[Tensor, "b *k m"]] | None = None,
    ) -> tuple[dict[str, Float[Tensor, "b k m"]], State]:
        """Do what `recall` does, and return the state after it too.

        Args:
            seen: What `look` gave.
            reads: For each head the numbers of writes, from 0 to n, after which it reads.
            state: What the memory holds already; it is empty where left out.
            queries: Queries in place of those that heads ask, by the heads' names; they are asked as they are. Several
                at once, (b, k, m), are all read after the last write.

        Returns:
            What each head reads, and the memory with what was seen, to go on from.

        Raises:
            InputError: The state is not of these images, or shapes do not fit.
        """
        if state is not None:
            check_state(state, len(seen.context))
        each = asked_for(self, seen, reads, queries or {})
        many = {name for name, query in each.items() if query.ndim == 3}
        single = {name: times for name, times in reads.items() if name not in many}
        asked = [each[name].unsqueeze(1).expand(-1, len(times), -1) for name, times in single.items()]
        if not asked:
            asked = [seen.memory_input[:, :0, : self.memory.memory_size]]
        stacked = asked[0] if len(asked) == 1 else torch.cat(asked, dim=1)
        times = [time for own in single.values() for time in own]
        start = () if state is None else (state.memory,)
        answers, memory = self.memory.unroll(seen.memory_input, stacked, times, *start)
        few = seen.memory_input.shape[1] < ALL_USED or not self.policy.follows
        parts = self._given(answers, few).split([len(own) for own in single.values()], dim=1) if single else ()
        found = dict(zip(single, parts, strict=True))
        found |= {name: self._given(self.memory.read(memory, each[name]), few) for name in many}
        return {name: found[name] for name in reads}, State(memory, seen.context, seen.pause)

    def _given(self, answers: Float[Tensor, "b k m"], few: bool) -> Float[Tensor, "b k m"]:
        """Return what heads are given of reads; after few glimpses every weight is made to have a gradient."""
        return activate(reach(answers, self.parameters()) if few else answers)


def activate(answers: Float[Tensor, "*b m"]) -> Float[Tensor, "*b m"]:
    """Return what the heads are given of a read: ReLU6, as the memory itself has no activation (section 3.3)."""
    return answers.clamp(0, 6)
