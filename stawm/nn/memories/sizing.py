"""How large a control is: as many parameters as a memory has that it stands against."""

from dataclasses import dataclass
from typing import Annotated

import torch

from stawm.configuration import SIZE, Config
from stawm.configuration.components import build_component

CONTROLS = ("mean", "recurrent")


@dataclass(frozen=True, kw_only=True)
class ControlConfig(Config):
    """How large a control is."""

    parameters_of: str = "delta"
    """The memory whose number of parameters, at the same width m, the control has too, as nearly as its own width
    allows. Memories that learn only some rates, as `hebb-rosenblatt` does, have hardly any: against them, too, the
    usual control has as many as the delta rule, 3m² + m + 1, which is in the control's favour."""
    width: Annotated[int, SIZE] | None = None
    """How wide its hidden layer is; null is the width that gives so many parameters."""

    def faults(self) -> list[str]:
        """Return what is wrong with the memory that it stands against."""
        if self.parameters_of in CONTROLS:
            return [f"{self.name}: parameters_of must be a memory that is no control; got {self.parameters_of!r}."]
        return []


def parameters_of(memory: str, memory_size: int) -> int:
    """Return how many parameters a memory has at a width.

    Raises:
        UnknownNameError: There is no such memory.
    """
    with torch.device("meta"):
        made = build_component("memory", memory, memory_size=memory_size)
    return sum(parameter.numel() for parameter in made.parameters())
