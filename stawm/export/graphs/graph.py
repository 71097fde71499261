"""What is exported: a function from named tensors to named tensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

State = dict[str, Tensor]
FILLED = {name for fill in ("zeros", "ones", "full", "empty") for name in (f"{fill}_like", f"new_{fill}")}
"""Operations of ATen that make a tensor as large as another, whatever is in it."""


class Graph(nn.Module, ABC):
    """A module that becomes one ONNX graph.

    Attributes:
        inputs: The names of what goes in.
        outputs: The names of what comes out.
        sides: The least and the greatest height and width of images, where any between them are taken.
        asked: The inputs that are questions, of which there may be any number for an image.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sides: tuple[int, int] | None = None
    asked: tuple[str, ...] = ()

    @abstractmethod
    def compute(self, given: State) -> Mapping[str, Any]:
        """Return everything that is computed, by name."""

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in their order, of inputs in theirs."""
        named = self.compute(dict(zip(self.inputs, values, strict=True)))
        return tuple(named[name] for name in self.outputs)

    def run(self, given: Mapping[str, Tensor]) -> State:
        """Return the outputs by name."""
        return dict(zip(self.outputs, self(*(given[name] for name in self.inputs)), strict=True))


def used_inputs(graph: Graph, given: Mapping[str, Tensor]) -> set[str]:
    """Return the names of the inputs whose values a graph's outputs are computed from; a shape is no value.

    Args:
        graph: The graph.
        given: An example of all inputs, in their order.
    """
    separate = [value.clone() for value in given.values()]  # inputs that are one tensor would count as one
    nodes = make_fx(lambda *values: graph(*values))(*separate).graph.nodes
    used: set[Any] = set()
    waiting = [node for node in nodes if node.op == "output" or (node.op == "call_function" and node.is_impure())]
    while waiting:
        node = waiting.pop()
        if node not in used:
            used.add(node)
            filled = str(node.target).removeprefix("aten.").partition(".")[0] in FILLED
            waiting += [] if filled else node.all_input_nodes
    places = [node for node in nodes if node.op == "placeholder"]
    return {name for name, node in zip(given, places, strict=True) if node in used}
