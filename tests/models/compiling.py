"""Compiled against eager models, in a process of its own: what checks shapes in the other tests cannot be compiled."""

from typing import Any

import torch
from torch import Tensor

from stawm.models.model import Model
from tests.small import inputs, shaken, small, tiny

MODELS = {
    "both heads": tiny,
    "timm": lambda: small("stawm-cifar-mnv2", glimpses=2),
    "masks": lambda: small("stawm-celeba-draw-32", glimpses=2),
    "baseline": lambda: small("bvae-cifar"),
}


def farthest(name: str, backend: str) -> float:
    """How far the loss or any gradient of the compiled model is off, as a share of the largest number of all."""
    model = shaken(MODELS[name]().double(), 0.01).eval()  # so that nothing is drawn at random
    expected, found = learned(model, model), learned(model, torch.compile(model, backend=backend, fullgraph=True))
    largest = max(value.abs().max().item() for value in expected)
    return max((a - b).abs().max().item() for a, b in zip(expected, found, strict=True)) / largest


def learned(model: Model, call: Any) -> list[Tensor]:
    """The loss and all gradients; the aggregator's recurrent weights have none in a model of two glimpses."""
    images, labels = inputs(model)
    total = model.loss(call(images), images, labels)["total"]
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return [total, *(gradient for gradient in gradients if gradient is not None)]


def graphs(name: str) -> int:
    """How many graphs training takes for batches of four sizes; below 16 PyTorch convolves in another way."""
    model = shaken(MODELS[name](), 0.01).train()
    seen: list[Any] = []

    def note(graph: torch.fx.GraphModule, _: Any) -> Any:
        seen.append(graph)
        return graph.forward

    compiled = torch.compile(model, backend=note, fullgraph=True)
    for batch in (16, 19, 33, 17):
        images, _ = inputs(model, batch)
        torch._dynamo.maybe_mark_dynamic(images, 0)
        compiled(images)
    return len(seen)


def found_of(names: list[str], backend: str) -> dict[str, tuple[float, int]]:
    """Both, for each model, where PyTorch cannot trace what it could not trace in all versions that are supported."""
    torch.set_num_threads(1)
    torch.amp.is_autocast_available = torch.compiler.disable(torch.amp.is_autocast_available)
    found = {}
    for name in names:
        torch._dynamo.reset()
        off = farthest(name, backend)
        torch._dynamo.reset()
        found[name] = (off, graphs(name))
    return found
