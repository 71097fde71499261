"""What the parts of every step graph share: what they take and give, and how heads go by steps."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from stawm.errors import ExportError
from stawm.export.graphs.fields import flatten, in_order
from stawm.export.graphs.graph import Graph, State, used_inputs
from stawm.export.graphs.names import IN, OUT, RECALL
from stawm.heads import together
from stawm.heads.base import Head, Scene
from stawm.heads.config import label_of
from stawm.heads.cued import CuedHead
from stawm.heads.output import Noise, Output
from stawm.models.looker import Looker
from stawm.nn.glimpse_loop import Look


class Part(Graph):
    """One of the graphs."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.sides = model, model.config.sides
        self.each = {name: head for name, head in model.named_heads.items() if reads_each(name, head)}
        self.last = {name: head for name, head in model.named_heads.items() if name not in self.each}

    def narrow(self, given: State) -> None:
        """Take no more of the state than is used for the outputs.

        Args:
            given: Example inputs, of which there may be too many.
        """
        self.inputs = tuple(given)
        used = used_inputs(self, given)
        self.inputs = tuple(name for name in given if name in used or not name.startswith(IN))

    def fit(self, empty: State, sample: bool, outputs: Sequence[str]) -> None:
        """Give the next state and those outputs that one look has, found on an example; take what these use.

        Args:
            empty: The state before the first glimpse, for a batch of one.
            sample: Whether random numbers are put in.
            outputs: The outputs that a rollout would have.
        """
        noise = {f"noise_{name}": torch.full((1, *shape), 0.5) for name, shape in self.model.noise_shapes(1).items()}
        given = {"image": torch.zeros(1, *self.model.config.image)} | {IN + n: value for n, value in empty.items()}
        given |= noise if sample else {}
        self.outputs = tuple(OUT + name for name in empty)
        gives = self.compute(given)
        self.outputs += tuple(name for name in outputs if name in gives)
        self.narrow(given)

    def scenes(self, looks: Look | None, given: State) -> dict[str, Scene]:
        """Return what each head may use of one glimpse, by the heads' names."""
        noise = Noise(**{name: given.get(f"noise_{name}") for name in Noise._fields})
        shares = together.share_noise(noise, self.model.named_heads)
        return {name: Scene(looks, self.model.locator, own) for name, own in shares.items()}

    def kept(self, name: str, noise: Collection[str] = Noise._fields) -> dict[str, str]:
        """Return what a head that reads each glimpse keeps, by its own names, as it is called in the state."""
        label = label_of(self.model.config.head(name))
        return {key: f"{label}.{key}" if label else key for key in self.each[name].carries(noise)}

    def observe(
        self, read: Callable[[str], Tensor], looks: Look, given: State, state: State
    ) -> tuple[dict[str, Tensor], State]:
        """Let the heads that read after each glimpse look at what they read.

        Args:
            read: Returns what a head reads, by its name.
            looks: The glimpse, without an axis n.
            given: The inputs of the part, among them random numbers.
            state: What was carried.

        Returns:
            What these heads give of the glimpse and what they read, and what is carried for their conclusions.
        """
        parts: Any = (None if part is None else part[:, None] for part in looks)
        scenes = self.scenes(Look(*parts), given)
        seen: dict[str, Tensor] = {}
        following: State = {}
        for name, head in self.each.items():
            answer = read(name)
            fields, carried = head.observe(answer[:, None], scenes[name])
            named = flatten(Output.of(together.outward(fields, head)))
            seen |= {key: value[:, 0] for key, value in named.items()} | {RECALL + name: answer}
            kept = self.kept(name)
            following |= {kept[key]: push(state[kept[key]], value) for key, value in carried.items()}
        return seen, following

    def conclude(self, read: Callable[[str], Tensor], given: State, state: State) -> dict[str, Tensor]:
        """Return the answers of all heads, and what those read that read once.

        Args:
            read: Returns what a head reads, by its name.
            given: The inputs of the part, among them random numbers.
            state: What was carried.
        """
        fields: dict[str, Any] = {}
        recalled: State = {}
        for name, head in self.each.items():
            own = {key: state[called] for key, called in self.kept(name).items() if called in state}
            fields |= together.outward(head.conclude(own), head)
        scenes = self.scenes(None, given)
        for name, head in self.last.items():
            answer = read(name)
            each = answer if isinstance(head, CuedHead) else answer[:, None]
            fields |= together.outward(head(each, scenes[name]), head)
            recalled[RECALL + name] = answer
        return flatten(Output.of(fields)) | recalled

    def registers(self, slots: int, noise: Collection[str]) -> State:
        """Return the empty registers of what heads keep of each glimpse, for a batch of one."""
        return {
            self.kept(name, noise)[key]: torch.zeros(1, slots, *shape)
            for name, head in self.each.items()
            for key, shape in head.carries(noise).items()
        }


def reads_each(name: str, head: Head) -> bool:
    """Whether a head reads after every glimpse, and not once after the last.

    Raises:
        ExportError: It does neither.
    """
    reads = tuple(head.reads(3))
    if reads not in ((1, 2, 3), (3,)):
        raise ExportError(
            f"The head {name!r} has no step form: of 3 glimpses it reads after {reads}, and not after each or the "
            "last; export with graph='rollout'."
        )
    return reads == (1, 2, 3)


def answers(model: Any, outputs: Sequence[str]) -> tuple[str, ...]:
    """Return what ``read`` gives: of a model that classifies in any case the logits and the confidence, for `look`."""
    asked = [*outputs, *(("logits", "confidence") if model.config.classifies else ())]
    recalled = [name for name in asked if name.startswith(RECALL)]
    return (*in_order(name for name in asked if name not in ("glimpse_logits", *recalled)), *recalled)


def push(register: Tensor, newest: Tensor) -> Tensor:
    """Append to a register what is newest, and drop what is oldest."""
    return torch.cat([register[:, 1:], newest], dim=1)


def check_policy(model: Looker) -> None:
    """Raise an ExportError where a policy asks which glimpse it is."""
    if model.policy.counts:
        raise ExportError(
            f"The policy {model.policy.config.name!r} has no step form: its poses have an order, and a step does not "
            "know which one it is; export with graph='rollout'."
        )
