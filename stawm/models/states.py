"""What goes from stage to stage of a forward pass, and from one pass to the next."""

from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from stawm.errors import InputError
from stawm.nn.glimpse_loop import Look, Pause


class Seen(NamedTuple):
    """What looking gave: all that memory and heads work on.

    Attributes:
        context: The features of the whole image, which queries are made of.
        looks: All glimpses; None where only what the memory is given of them was kept.
        memory_input: e, what the memory is given at each glimpse; 2m numbers where what and where come apart.
        pause: Where the looking stopped; None where that was not kept.
    """

    context: Float[Tensor, "b f"]
    looks: Look | None
    memory_input: Float[Tensor, "b n m"]
    pause: Pause | None = None


class State(NamedTuple):
    """What a model carries from one image to the next, or from some glimpses of an image to further ones.

    Attributes:
        memory: The memory's own state, a named tuple with the batch first.
        context: The features of the image that was looked at last; None before the first.
        pause: Where the looking at it stopped.
    """

    memory: Any
    context: Float[Tensor, "b f"] | None = None
    pause: Pause | None = None


def check_state(state: Any, batch: int) -> None:
    """Raise an InputError unless a state is a model's, of so many images."""
    if not isinstance(state, State):
        raise InputError(f"The state must be what start, remember or watch gave; got {type(state).__name__}.")
    if state.context is not None and len(state.context) != batch:
        raise InputError(f"The state is of a batch of {len(state.context)}; got a batch of {batch}.")
