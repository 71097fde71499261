"""A slow, plain twin of what the authors' code computes, straight from their state dict.

It follows the order of one glimpse that the golden cases' notes give, knows nothing of stawm, and is itself held
against the golden cases; so it can stand in for the presets that have none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]


class Trained(Weights):
    """Weights of a model in training mode."""


Shapes = dict[str, tuple[int, ...]]


class Layer(NamedTuple):
    """One convolution of the authors' networks: its name in its network, and how it is applied."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int = 0
    output_padding: int = 0


@dataclass(frozen=True, kw_only=True)
class Net:
    """An experiment of the authors: its networks, and what it does with them."""

    preset: str
    image: tuple[int, int]
    glimpse: int
    glimpses: int
    context: Sequence[Layer]
    encoder: Sequence[Layer]
    decoder: Sequence[Layer] = ()
    flat: tuple[int, int]
    start: tuple[int, int, int] = (0, 0, 0)
    latent: int = 0
    black: float = -6.0
    normed: bool = True
    named_twice: bool = False
    draws: bool = False
    classifier: str | None = None
    second_query: bool = False
    onehots: bool = False

    def shapes(self, m: int, d: int) -> Shapes:
        """Names and shapes of the state dict at a memory and a hidden size."""
        found: Shapes = {"onehots": (self.glimpses, self.glimpses)} if self.onehots else {}
        for prefix, layers in (("context", self.context), ("encoder", self.encoder)):
            found |= _stack(prefix, layers, self.normed) if self.named_twice else {}
        found |= _stack("decoder", self.decoder, self.normed, transposed=True) if self.draws else {}
        found |= {f"memory.{name}": (1,) for name in ("decay", "learn", "learn2")}
        found |= {"memory.c0_in": (1, d), "memory.c1_in": (1, d), "memory.A": (1, m, m)}
        found |= {"memory.p": (1, m), "memory.h": (1, d)}
        found |= _stack("memory.glimpse_cnn", self.encoder, self.normed) | _linear(
            "memory.glimpse_down", self.flat[1], d
        )
        found |= _stack("memory.context_cnn", self.context, self.normed) | _linear(
            "memory.context_down", self.flat[0], d
        )
        for rnn in ("emission", "aggregator"):
            prefix = f"memory.{rnn}_rnn.rnn"
            found |= {f"{prefix}.weight_ih": (4 * d, d), f"{prefix}.weight_hh": (4 * d, d)}
            found |= {f"{prefix}.bias_ih": (4 * d,), f"{prefix}.bias_hh": (4 * d,)}
        for emitter in ("emission", "inv_emission") if self.draws or self.named_twice else ("emission",):
            found |= _linear(f"memory.{emitter}.fc1", d, d // 2) | _linear(f"memory.{emitter}.fc3", d // 2, 6)
        found |= _linear("memory.where", 6, m) | _linear("memory.project", m, d) | _linear("memory.what", d, m)
        found |= _linear("qdown", self.flat[0], m)
        found |= _linear("class_down", self.flat[0], m) if self.second_query else {}
        found |= _linear(self.classifier, m, 10) if self.classifier else {}
        if self.draws:
            found |= _linear("mu", m, self.latent) | _linear("var", m, self.latent)
            c, h, w = self.start
            found |= _linear("sup", self.latent, c * h * w)
        return found


def _stack(prefix: str, layers: Sequence[Layer], normed: bool, *, transposed: bool = False) -> Shapes:
    found: Shapes = {}
    for name, inputs, outputs, kernel, *_ in layers:
        ends = (inputs, outputs) if transposed else (outputs, inputs)
        found[f"{prefix}.{name}.weight"] = (*ends, kernel, kernel)
        if not normed:
            found[f"{prefix}.{name}.bias"] = (outputs,)
            continue
        norm = f"{prefix}.{name.removesuffix('.conv')}.bn"
        found |= {f"{norm}.{part}": (outputs,) for part in ("weight", "bias", "running_mean", "running_var")}
        found[f"{norm}.num_batches_tracked"] = ()
    return found


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def forward(
    net: Net,
    weights: Weights,
    images: Tensor,
    mask_noise: Tensor | None = None,
    latent_noise: Tensor | None = None,
    *,
    training: bool = False,
) -> dict[str, Tensor]:
    """What the authors' model computes, with no dropout, and with the latent's mean where there is no noise.

    While training, batch normalisation uses each call's own batch and moves the running statistics in the weights.
    """
    w = Trained(weights) if training else weights
    context = _convolve(net.context, w, "memory.context_cnn", images)
    x = F.relu(_apply(w, "memory.context_down", context))
    m = w["memory.where.weight"].shape[0]
    h0, c0 = x, torch.zeros_like(x)
    h1, c1 = torch.zeros_like(x), torch.zeros_like(x)
    W = torch.zeros(len(images), m, m, dtype=x.dtype)
    query = F.relu6(_apply(w, "qdown", context.detach()))
    canvas = torch.full_like(images, net.black) if mask_noise is None else torch.zeros_like(images)
    kept: dict[str, list[Tensor]] = {"pose": [], "memory_input": [], "mu": [], "logvar": []}
    for t in range(net.glimpses):
        h0, c0 = _lstm(w, "memory.emission_rnn.rnn", x, h0, c0)
        pose = _emit(w, "memory.emission", h0)
        glimpse = _sample(images, pose, (net.glimpse, net.glimpse))
        seen = F.relu(_apply(w, "memory.glimpse_down", _convolve(net.encoder, w, "memory.glimpse_cnn", glimpse)))
        h1, c1 = _lstm(w, "memory.aggregator_rnn.rnn", seen, h1, c1)
        x = h1
        e = F.relu6(_apply(w, "memory.what", seen) * _apply(w, "memory.where", pose))
        f = w["memory.learn"] * F.relu6(w["memory.learn2"] * e + torch.einsum("bij,bj->bi", W, e))
        W = W + torch.einsum("bi,bj->bij", e, f) - w["memory.decay"] * W
        kept["pose"].append(pose)
        kept["memory_input"].append(e)
        if net.draws:
            answer = F.relu6(torch.einsum("bij,bj->bi", W, query))
            mu, logvar = _apply(w, "mu", answer), _apply(w, "var", answer)
            kept["mu"].append(mu)
            kept["logvar"].append(logvar)
            z = mu if latent_noise is None else mu + (logvar / 2).exp() * latent_noise[:, t]
            sketch = _deconvolve(net.decoder, w, F.relu(_apply(w, "sup", z)).view(-1, *net.start))
            canvas = _draw(canvas, sketch, _emit(w, "memory.inv_emission", h0), mask_noise, t)
    found = {name: torch.stack(parts, dim=1) for name, parts in kept.items() if parts}
    if net.draws:
        found["canvas"] = canvas if mask_noise is not None else canvas.sigmoid()
    if net.classifier:
        asked = F.relu6(_apply(w, "class_down", context.detach())) if net.second_query else query
        answer = F.relu6(torch.einsum("bij,bj->bi", W, asked))
        found["logits"] = F.log_softmax(_apply(w, net.classifier, answer), dim=1)
    return found


def vae(net: Net, w: Weights, images: Tensor) -> Tensor:
    """What the authors' β-VAE computes in evaluation."""
    features = _convolve(net.encoder, w, "encoder", images)
    latent = _apply(w, "mu", features)
    return _deconvolve(net.decoder, w, F.relu(_apply(w, "sup", latent)).view(-1, *net.start)).sigmoid()


def _draw(canvas: Tensor, sketch: Tensor, inverse: Tensor, noise: Tensor | None, t: int) -> Tensor:
    size = (canvas.shape[2], canvas.shape[3])
    if noise is None:
        return canvas + _sample(sketch, inverse, size)
    placed = _sample(sketch.sigmoid(), inverse, size)
    eps = torch.finfo(placed.dtype).eps
    p, u = placed[:, :1].clamp(eps, 1 - eps), noise[:, t]
    mask = ((u.log() - (1 - u).log() + p.log() - (1 - p).log()) / 2.0).sigmoid()
    return canvas * (1 - mask) + placed[:, 1:] * mask


def _apply(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _emit(w: Weights, name: str, h: Tensor) -> Tensor:
    return _apply(w, f"{name}.fc3", F.relu(_apply(w, f"{name}.fc1", h)))


def _sample(x: Tensor, pose: Tensor, size: tuple[int, int]) -> Tensor:
    grid = F.affine_grid(pose.view(-1, 2, 3), [len(x), x.shape[1], *size], align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def _lstm(w: Weights, name: str, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    gates = x @ w[f"{name}.weight_ih"].T + w[f"{name}.bias_ih"] + h @ w[f"{name}.weight_hh"].T + w[f"{name}.bias_hh"]
    i, f, g, o = gates.chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _convolve(layers: Sequence[Layer], w: Weights, prefix: str, x: Tensor) -> Tensor:
    for name, _, _, _, stride, padding, _ in layers:
        x = F.conv2d(x, w[f"{prefix}.{name}.weight"], w.get(f"{prefix}.{name}.bias"), stride, padding)
        x = F.relu(_norm(w, f"{prefix}.{name}", x))
    return x.flatten(1)


def _deconvolve(layers: Sequence[Layer], w: Weights, x: Tensor) -> Tensor:
    for i, (name, _, _, _, stride, padding, output_padding) in enumerate(layers):
        weight, bias = w[f"decoder.{name}.weight"], w.get(f"decoder.{name}.bias")
        x = _norm(w, f"decoder.{name}", F.conv_transpose2d(x, weight, bias, stride, padding, output_padding))
        x = x if i == len(layers) - 1 else F.relu(x)
    return x


def _norm(w: Weights, name: str, x: Tensor) -> Tensor:
    bn = re.sub(r"conv$", "bn", name)
    if f"{bn}.running_var" not in w:
        return x
    parts: Any = [w[f"{bn}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return F.batch_norm(x, *parts, training=isinstance(w, Trained))


def _mnist(*filters: int, strides: Sequence[int]) -> list[Layer]:
    """The blocks of the MNIST networks: 3x3, named conv1, conv2, …"""
    pairs = zip(filters, filters[1:], strides, strict=False)
    return [Layer(f"conv{i}.conv", a, b, 3, stride) for i, (a, b, stride) in enumerate(pairs, 1)]


_CONTEXT = _mnist(1, 64, 128, 256, strides=(2, 2, 2))
_MNIST: dict[str, Any] = {"image": (1, 28), "context": _CONTEXT}
_DRAWS: dict[str, Any] = {**_MNIST, "draws": True, "latent": 4, "glimpses": 12}
_ENCODER_8 = _mnist(1, 64, 128, strides=(1, 2))
_DECODER_8 = [Layer("conv1.conv", 128, 64, 3, 1), Layer("conv2.conv", 64, 1, 3, 2, 0, 1)]
_CIFAR: dict[str, Any] = {
    "image": (3, 32),
    "glimpse": 16,
    "glimpses": 8,
    "normed": False,
    "named_twice": True,
    "flat": (512, 512),
    "context": [Layer(f"{2 * i}.conv", c, 32, 4, 2, 1) for i, c in enumerate((3, 32, 32))],
    "encoder": [
        Layer("0.conv", 3, 32, 4, 1, 2),
        Layer("2.conv", 32, 64, 4, 2, 1),
        Layer("4.conv", 64, 128, 4, 2, 1),
        Layer("6", 128, 128, 4, 2, 1),
    ],
}
_CIFAR_DECODER = [
    Layer("1.conv", 128, 128, 4, 2, 1),
    Layer("3.conv", 128, 64, 4, 2, 1),
    Layer("5.conv", 64, 32, 4, 2, 1, 1),
    Layer("7.conv", 32, 3, 4, 1, 2),
]

MNIST_8 = Net(
    preset="stawm-mnist-8",
    **_MNIST,
    glimpse=8,
    glimpses=8,
    encoder=_ENCODER_8,
    flat=(1024, 512),
    classifier="classifier",
)
MNIST_28 = Net(
    preset="stawm-mnist-28",
    **_MNIST,
    glimpse=28,
    glimpses=8,
    encoder=_CONTEXT,
    flat=(1024, 1024),
    classifier="classifier",
)
DRAW_4 = Net(
    preset="stawm-mnist-draw-4",
    **_DRAWS,
    onehots=True,
    glimpse=4,
    encoder=_mnist(1, 128, strides=(1,)),
    decoder=_mnist(128, 1, strides=(1,)),
    flat=(1024, 512),
    start=(128, 2, 2),
)
DRAW_6 = Net(
    preset="stawm-mnist-draw-6",
    **_DRAWS,
    onehots=True,
    glimpse=6,
    encoder=_mnist(1, 128, strides=(1,)),
    decoder=_mnist(128, 1, strides=(1,)),
    flat=(1024, 2048),
    start=(128, 4, 4),
)
DRAW_8 = Net(
    preset="stawm-mnist-draw-8",
    **_DRAWS,
    glimpse=8,
    encoder=_ENCODER_8,
    decoder=_DECODER_8,
    flat=(1024, 512),
    start=(128, 2, 2),
)
SKETCHPAD = Net(
    preset="stawm-mnist-sketchpad",
    **{**_DRAWS, "glimpses": 6},
    glimpse=8,
    encoder=_ENCODER_8,
    decoder=_DECODER_8,
    flat=(1024, 512),
    start=(128, 2, 2),
    classifier="classifier",
    second_query=True,
)
MNIST_SELFSUP = Net(
    preset="stawm-mnist-selfsup",
    **_MNIST,
    glimpse=6,
    glimpses=12,
    encoder=_mnist(1, 128, strides=(1,)),
    flat=(1024, 2048),
    classifier="classifier",
)
CIFAR_DRAW = Net(
    preset="stawm-cifar-draw-16", **_CIFAR, draws=True, latent=32, black=0.0, decoder=_CIFAR_DECODER, start=(128, 2, 2)
)
CIFAR_SELFSUP = Net(preset="stawm-cifar-selfsup", **_CIFAR, classifier="classifier.0")
CELEBA = Net(
    preset="stawm-celeba-draw-32",
    onehots=True,
    image=(3, 64),
    glimpse=32,
    glimpses=4,
    normed=False,
    named_twice=True,
    draws=True,
    latent=4,
    flat=(1024, 1024),
    start=(64, 4, 4),
    context=[Layer(f"{2 * i}", a, b, 4, 2, 1) for i, (a, b) in enumerate(((3, 32), (32, 32), (32, 64), (64, 64)))],
    encoder=[
        Layer("0", 3, 32, 4, 1, 2),
        Layer("2", 32, 32, 4, 2, 1),
        Layer("4", 32, 64, 4, 2, 1),
        Layer("6", 64, 64, 4, 2, 1),
    ],
    decoder=[
        Layer("1", 64, 64, 4, 2, 1),
        Layer("3", 64, 32, 4, 2, 1),
        Layer("5", 32, 32, 4, 2, 1),
        Layer("7", 32, 4, 4, 1, 2),
    ],
)
BVAE = Net(
    preset="bvae-cifar", **{**_CIFAR, "context": []}, draws=True, latent=32, decoder=_CIFAR_DECODER, start=(128, 4, 4)
)


def vae_shapes() -> Shapes:
    """Names and shapes of the β-VAE's state dict."""
    found = _stack("encoder", BVAE.encoder, normed=False) | _stack(
        "decoder", BVAE.decoder, normed=False, transposed=True
    )
    return found | _linear("mu", 2048, 32) | _linear("var", 2048, 32) | _linear("sup", 32, 2048)
