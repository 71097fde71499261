"""What a model gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import _register_namedtuple

Kind = TypeVar("Kind", bound="Output")


class Latent(NamedTuple):
    """The Gaussian that each glimpse's sketch is drawn from (paper, section 3.3).

    Attributes:
        mu: Its mean.
        logvar: The logarithm of its variance.
    """

    mu: Float[Tensor, "b n k"]
    logvar: Float[Tensor, "b n k"]


class Trace(NamedTuple):
    """Where the model looked and what it saw.

    Attributes:
        pose: The pose of each glimpse, in the locator's numbers; row-major 2x3 for ``affine``.
        inverse_pose: The pose that each sketch was placed with; None in a model that does not draw.
        glimpses: What was seen.
        memory_input: e, what the memory was given at each glimpse; in the family ``ram`` its recurrent state; None in
            the family ``draw``.
        log_prob: The logarithm of the density of each pose, where it was drawn and its policy learns by it.
        baseline: What reward the policy expected at each, where it learns to.
    """

    pose: Float[Tensor, "b n p"]
    inverse_pose: Float[Tensor, "b n p"] | None
    glimpses: Float[Tensor, "b n c g g"]
    memory_input: Float[Tensor, "b n m"] | None
    log_prob: Float[Tensor, "b n"] | None = None
    baseline: Float[Tensor, "b n"] | None = None


class Noise(NamedTuple):
    """The random numbers of one forward pass; what is None is not random.

    Attributes:
        latent: Standard normal numbers for the latent.
        mask: Uniform numbers in (0, 1) for the Bernoulli canvas.
        pose: Standard normal numbers, by which a policy draws poses around what the model emits.
        place: Uniform numbers in (0, 1), the places where a policy looks that follows nothing.
    """

    latent: Float[Tensor, "b n k"] | None = None
    mask: Float[Tensor, "b n 1 h w"] | None = None
    pose: Float[Tensor, "b n p"] | None = None
    place: Float[Tensor, "b n 2"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Output:
    """What a model gives; fields that a model has no head for are None.

    A field that only some heads give, such as the ``values`` of a regression, is kept in ``extra`` and read like any
    other: ``output.values``. Two outputs are equal where they have the same fields with the same numbers. PyTorch
    knows an output as a tree of tensors, so `torch.utils._pytree`, `torch.export`, `torch.func` and
    `DistributedDataParallel` see what is inside.

    Attributes:
        logits: Normalised: logarithms of the class probabilities, as the paper's LogSoftmax gives.
        glimpse_logits: The same after each glimpse, where it is asked for.
        canvas: The finished picture.
        canvases: The picture after each glimpse.
        masks: The masks that the Bernoulli canvas drew with.
        latent: The Gaussian of each sketch.
        sketches: What was sketched of each glimpse, as the canvas takes it, before it is placed.
        trace: Where the model looked; None in the baselines, which do not glimpse.
        extra: Further fields by name, each with the batch first.

    Examples:
        >>> import torch
        >>> output = Output.of({"logits": torch.zeros(2, 3), "values": torch.ones(2, 1)})
        >>> output
        Output(logits=float32[2, 3], values=float32[2, 1])
        >>> output.values is output.extra["values"]
        True
    """

    own: ClassVar[tuple[str, ...]]
    """The names of the fields that every output of this kind has."""

    logits: Float[Tensor, "b classes"] | None = None
    glimpse_logits: Float[Tensor, "b n classes"] | None = None
    canvas: Float[Tensor, "b c h w"] | None = None
    canvases: Float[Tensor, "b n c h w"] | None = None
    masks: Float[Tensor, "b n 1 h w"] | None = None
    latent: Latent | None = None
    sketches: Float[Tensor, "b n s g g2"] | None = None
    trace: Trace | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls: type[Kind], given: Mapping[str, Any]) -> Kind:
        """Return the output of these fields, of which those that are not its own become ``extra``."""
        own = {name: value for name, value in given.items() if name in cls.own}
        return cls(**own, extra={name: value for name, value in given.items() if name not in own})

    def __init_subclass__(cls) -> None:
        """Note the fields that a kind of output has of its own."""
        cls.own = (*cls.own, *cls.__annotations__)

    def named(self) -> dict[str, Tensor]:
        """Return every tensor that is there by its own name; those of latent and trace by the names that they have."""
        found: dict[str, Any] = {}
        for name in self.own:
            value = getattr(self, name)
            found |= value._asdict() if isinstance(value, (Latent, Trace)) else {name: value}
        return {name: value for name, value in (found | dict(self.extra)).items() if value is not None}

    def __getattr__(self, name: str) -> Tensor:
        extra = self.__dict__.get("extra", {})
        if name in extra:
            return extra[name]
        raise AttributeError(f"{type(self).__name__} has no field {name!r}; it has {', '.join(_there(self))}.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Output) or type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.named(), other.named()
        return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)

    __hash__: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={_shown(v)}' for k, v in _there(self).items())})"


Output.own = tuple(f.name for f in fields(Output) if f.name != "extra")


def _there(output: Output) -> dict[str, Any]:
    own = {name: output.__dict__.get(name) for name in output.own}
    return {name: value for name, value in (own | output.__dict__.get("extra", {})).items() if value is not None}


def _shown(value: Any) -> str:
    """Return a tensor's type and shape in place of its numbers."""
    if isinstance(value, (Latent, Trace)):
        inside = ", ".join(f"{name}={_shown(part)}" for name, part in value._asdict().items() if part is not None)
        return f"{type(value).__name__}({inside})"
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    return repr(value)


# As trees they are known to PyTorch anyhow; only by a name can they be saved with an exported program.
for _part in (Latent, Trace):
    _register_namedtuple(_part, serialized_type_name=f"stawm.{_part.__name__}")
torch.export.register_dataclass(Output, serialized_type_name="stawm.Output")
