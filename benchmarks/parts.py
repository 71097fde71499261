"""The parts of a training step: what each does, and the arithmetic and traffic that it cannot do without.

FLOPs of the forward pass are counted by PyTorch (two for a multiplication with an addition); backward makes twice
as many. Those of the memory are 2mn(n-1) + 4mnr for n writes and r reads. Bytes: every weight is read forward and
backward and its gradient written; every number that a layer gives is written and read forward, read again and
its gradient written and read backward. Adam reads and writes 28 bytes for a weight, clipping 12.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stawm.heads.output import Noise
from stawm.models.model import Seen, Stawm
from stawm.nn.precision import without_autocast
from stawm.training.run import Run

PASSES_WEIGHT, PASSES_NUMBER = 3, 5
OPTIMISER_BYTES = 28 + 12


@dataclass(frozen=True)
class Part:
    """A part of the step.

    Attributes:
        name: What it is.
        run: Runs it once, forward and backward.
        times: How often a step runs it.
        flops: Of one run.
        bytes: Of one run.
    """

    name: str
    run: Callable[[], object]
    times: int
    flops: float
    bytes: float


def parts_of(run: Run, images: Tensor) -> list[Part]:
    """Return the parts of a step of a classifying or drawing model, each on inputs of the size that it has there."""
    model: Any = run.model
    config, loop, n = model.config, model.loop, model.config.glimpses
    bf16, b = run.precision == "bf16", len(images)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        context, looks, e = loop(images, n)
    first, features, pose = looks.glimpse[:, 0], looks.features[:, 0], looks.pose[:, 0]
    flat = torch.rand(b, loop.backbone.features)
    h, c = torch.rand(b, config.hidden_size), torch.rand(b, config.hidden_size)

    def part(name: str, times: int, modules: Sequence[nn.Module], call: Callable[..., Any], *inputs: Tensor) -> Part:
        return _measured(name, times, modules, call, inputs, bf16)

    emitters = [module for module in (loop.emitter, loop.inverse_emitter) if module is not None]
    return [
        part("context CNN", 1, [loop.context], loop.context, images),
        part("glimpse CNN", n, [loop.backbone], loop.backbone, first),
        part("projections", n, [loop.glimpse_down], lambda x: loop.glimpse_down(x).relu(), flat),
        part("LSTMs", 2 * n - 1, [loop.emission_rnn], lambda *x: torch.cat(loop.emission_rnn(*x)), features, h, c),
        part("emitters", n, emitters, lambda x: torch.cat([emitter(x) for emitter in emitters]), h),
        part("sampling", n, [], lambda p: loop.locator.glimpse(images, p), pose),
        part(
            "what and where",
            1,
            [loop.what, loop.where],
            lambda *x: loop.memory_input(_seen(looks, *x)),
            looks.features,
            looks.pose,
        ),
        _memory(model, context, e, bf16),
        part(
            "heads and loss",
            1,
            [model.heads],
            lambda a: _answer(model, a, Seen(context, looks, e), images),
            _answers(model, context, e),
        ),
        _optimiser(run),
    ]


def _seen(looks: Any, features: Tensor, pose: Tensor) -> Any:
    return looks._replace(features=features, pose=pose)


def _measured(
    name: str, times: int, modules: Sequence[nn.Module], call: Callable[..., Any], inputs: Sequence[Tensor], bf16: bool
) -> Part:
    given = [x.detach().float().clone().requires_grad_(name != "context CNN") for x in inputs]
    weights = [p for module in modules for p in module.parameters()]

    def forward() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return call(*given)

    wanted = [*weights, *(x for x in given if x.requires_grad)]
    upstream = torch.ones_like(forward())

    def both() -> None:
        torch.autograd.grad(forward(), wanted, upstream, allow_unused=True)

    numbers, flops = count(forward, modules)
    wide = 2 if bf16 else 4
    traffic = PASSES_WEIGHT * 4 * sum(p.numel() for p in weights) + PASSES_NUMBER * wide * numbers
    return Part(name, both, times, 3 * flops, traffic)


def count(forward: Callable[[], Tensor], modules: Sequence[nn.Module]) -> tuple[int, int]:
    """Return how many numbers the layers give, the result among them, and the FLOPs of a forward pass."""
    numbers = 0

    def note(_: nn.Module, __: Any, output: Any) -> None:
        nonlocal numbers
        numbers += output.numel() if isinstance(output, Tensor) else 0

    layers = [
        m for module in modules for m in module.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
    ]
    handles = [layer.register_forward_hook(note) for layer in layers]
    with FlopCounterMode(display=False) as counter:
        result = forward()
    for handle in handles:
        handle.remove()
    return max(numbers, result.numel()), counter.get_total_flops()


def _reads(model: Stawm) -> dict[str, tuple[int, ...]]:
    return model.reads(model.config.glimpses)


def _answers(model: Stawm, context: Tensor, e: Tensor) -> Tensor:
    """Return what every head reads, one after the other."""
    with torch.no_grad():
        found = model.recall(Seen(context.float(), None, e), _reads(model))
    return torch.cat(list(found.values()), dim=1)


def _answer(model: Any, answers: Tensor, seen: Seen, images: Tensor) -> Tensor:
    """Return the loss of what the heads make of their answers."""
    latent = model.noise_shapes(model.config.glimpses).get("latent")
    noise = Noise(latent=torch.randn(len(images), *latent)) if latent else Noise()
    reads = _reads(model)
    parts = answers.split([len(after) for after in reads.values()], dim=1)
    labels = torch.zeros(len(images), dtype=torch.long)
    return model.loss(model.answer(seen, dict(zip(reads, parts, strict=True)), noise), images, labels)["total"]


def _memory(model: Stawm, context: Tensor, e: Tensor, bf16: bool) -> Part:
    after = [t for times in _reads(model).values() for t in times]
    n, m, r, b = e.shape[1], e.shape[2], len(after), len(e)
    E, Q = e.detach().clone().requires_grad_(), torch.rand(b, r, m).requires_grad_()

    def both() -> None:
        with without_autocast(E):
            answers, _ = model.memory.unroll(E, Q, after)
        torch.autograd.grad(answers.sum(), (E, Q, *model.memory.parameters()), allow_unused=True)

    return Part("memory", both, 1, 3 * b * memory_flops(n, m, r), 5 * 4 * b * m * (2 * n + 2 * r))


def memory_flops(n: int, m: int, reads: int) -> int:
    """Return the FLOPs of n writes and some reads of one image's memory, kept as rows."""
    return 2 * m * n * (n - 1) + 4 * m * n * reads


def _optimiser(run: Run) -> Part:
    learned = [p for p in run.model.parameters() if p.requires_grad]
    gradients = [torch.rand_like(p) * 1e-3 for p in learned]

    def update() -> None:
        for parameter, gradient in zip(learned, gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(learned, 5.0)
        run.optimiser.step()
        for parameter in learned:
            parameter.grad = None

    return Part("clipping and optimiser", update, 1, 0.0, OPTIMISER_BYTES * sum(p.numel() for p in learned))
