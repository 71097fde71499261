"""Running a step graph as often as there are glimpses, to the outputs of a rollout."""

from collections.abc import Callable, Mapping, Sequence

from stawm.arrays import Array, alike, namespace
from stawm.export.graphs.names import AXES, IN, NOISE, OUT, RECALL, STEER

Named = dict[str, Array]
"""Arrays of NumPy or tensors of PyTorch, by name."""
Run = Callable[[str, Named], Named]
"""Runs a part by its name: from inputs to outputs."""


class Walk:
    """A batch of images on its way through a step graph.

    Attributes:
        known: Everything that a part may be given: the image, and the state.
    """

    def __init__(self, run: Run, takes: Mapping[str, Sequence[str]], image: Array, cues: Named | None = None) -> None:
        self.run, self.takes = run, takes
        self.known: Named = {"image": image, **(cues or {})}
        self._carry(run("init", {"image": image}))

    def look(self, own: Named) -> Named:
        """Take a glimpse, with what `of_glimpse` gives; return what was seen."""
        found = self.run("glimpse", self._given("glimpse", self.known | own))
        self._carry(found)
        return {name: value for name, value in found.items() if not name.startswith(OUT)}

    def read(self) -> Named:
        """Return the answers."""
        return self.run("read", self._given("read", self.known))

    def keep(self, rows: Array) -> None:
        """Go on with some of the images only."""
        self.known = {name: value[alike(rows, value)] for name, value in self.known.items()}

    def join(self, other: "Walk") -> None:
        """Go on with the images of another walk too; how many glimpses each image was given need not be the same."""
        self.known = {
            name: namespace(value).concatenate([value, other.known[name]]) for name, value in self.known.items()
        }

    def _given(self, part: str, known: Named) -> Named:
        return {name: known[name] for name in self.takes[part]}

    def _carry(self, found: Named) -> None:
        self.known |= {IN + n.removeprefix(OUT): value for n, value in found.items() if n.startswith(OUT)}


def roll(
    run: Run,
    takes: Mapping[str, Sequence[str]],
    inputs: Named,
    glimpses: int,
    *,
    every: bool,
    labels: Sequence[str] = (),
) -> Named:
    """Take all glimpses, and return the outputs that a rollout gives.

    Args:
        run: Runs a part.
        takes: The inputs of each part.
        inputs: The images, and for all glimpses random numbers and how they are steered.
        glimpses: How many to take.
        every: Whether to read after each; else after the last.
        labels: Those of the model's heads that have one.
    """
    walk = Walk(run, takes, inputs["image"], asked(takes, inputs))
    seen, answers = [], []
    for t in range(glimpses):
        seen.append(walk.look(of_glimpse(inputs, t)))
        if every or t == glimpses - 1:
            answers.append(walk.read())
    return gather(seen, answers, labels)


def asked(takes: Mapping[str, Sequence[str]], inputs: Named) -> Named:
    """Return the questions among the inputs of a run: what is taken to read, and is no part of the state."""
    return {name: inputs[name] for name in takes["read"] if name in inputs}


def of_glimpse(inputs: Named, t: int) -> Named:
    """Return what a run is given for one glimpse by itself: random numbers, and how it is steered."""
    noise = {name: value[:, t : t + 1] for name, value in inputs.items() if name.startswith(NOISE)}
    return noise | {name: inputs[name][:, t] for name in STEER if name in inputs}


def gather(seen: Sequence[Named], answers: Sequence[Named], labels: Sequence[str] = ()) -> Named:
    """Put what single glimpses gave together.

    Args:
        seen: What was seen at each glimpse.
        answers: What was read, after each glimpse or after the last.
        labels: Those of the model's heads that have one.
    """
    registers = {f"{start}{name}" for start in ("", *(f"{x}_" for x in labels)) for name in ("canvases", "masks")}
    registers |= {"shares"}
    by_glimpse = {f"{label}_glimpse_logits" for label in labels}
    stack = namespace(next(iter(answers[-1].values()))).stack
    named = {name: stack([one[name] for one in seen], axis=1) for name in seen[0]}
    for name, last in answers[-1].items():
        if name in registers:
            named[name] = last[:, -len(seen) :]
        elif name in by_glimpse:
            named[name] = namespace(last).concatenate([one[name] for one in answers], axis=1)
        elif name == "confidence" or (name.startswith(RECALL) and last.ndim == 2):
            named[name] = stack([one[name] for one in answers], axis=1)
        else:
            named[name] = last
    if "logits" in named:
        named["glimpse_logits"] = stack([one["logits"] for one in answers], axis=1)
    return {name: named[name] for name in (*AXES, *named) if name in named}
