"""What is exported: a function from named tensors to named tensors."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

State = dict[str, Tensor]


class Graph(nn.Module):
    """A module that becomes one ONNX graph.

    Attributes:
        inputs: The names of what goes in.
        outputs: The names of what comes out.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def compute(self, given: State) -> Mapping[str, Any]:
        """Return everything that is computed, by name."""
        raise NotImplementedError

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in their order, of inputs in theirs."""
        named = self.compute(dict(zip(self.inputs, values, strict=True)))
        return tuple(named[name] for name in self.outputs)

    def run(self, given: Mapping[str, Tensor]) -> State:
        """Return the outputs by name."""
        return dict(zip(self.outputs, self(*(given[name] for name in self.inputs)), strict=True))
