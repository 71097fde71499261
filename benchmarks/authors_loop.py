"""The reference for speed: the loop as the paper's authors wrote it, eager, with the memory as a matrix.

An independent implementation on a model's own weights: PyTorch's LSTM cells, `affine_grid`, a W of shape
(b, m, m) that is rewritten at every glimpse, a decoder that runs once a glimpse. It gives what the model gives, in
training too, where batch normalisation takes each glimpse by itself, latents and masks are drawn, and running
statistics move: with the same random numbers, and without dropout, a step of training is the model's.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions.utils import probs_to_logits
from torch.nn import functional as F

from stawm.heads.output import Latent, Noise, Output
from stawm.models.baseline import Baseline
from stawm.models.model import Model, Stawm
from stawm.nn.backbones.base import Backbone
from stawm.nn.backbones.lean import LeanReLU6, StridedDepthwise
from stawm.nn.backbones.timm_network import TimmNetwork


class AuthorsLoop(nn.Module):
    """A model with the affine locator and the hebb-rosenblatt memory, run as the authors' code runs it."""

    def __init__(self, model: Stawm) -> None:
        """Take the weights of a model."""
        super().__init__()
        self.model = model
        self.backbone = as_published(model.loop.backbone)

    def train(self, mode: bool = True) -> "AuthorsLoop":
        """Set training mode as the model does: a frozen loop may stay in evaluation mode."""
        super().train(mode)
        self.model.train(mode)  # the loop's network hangs on both
        return self

    def forward(self, images: Tensor, noise: Noise | None = None) -> Output:
        """Return log-probabilities, or the finished canvas and the latents, or all of them.

        Args:
            images: The images, normalised.
            noise: The random numbers of a pass in training mode; they are drawn where left out.
        """
        given = noise or Noise()
        model, loop, config = self.model, self.model.loop, self.model.config
        heads: dict[str, Any] = dict(model.heads.items())
        context = loop.context(images)
        x = torch.relu(loop.dropout(loop.context_down(context)))
        h0, c0 = x, torch.zeros_like(x)
        h1, c1 = torch.zeros_like(x), torch.zeros_like(x)
        W = images.new_zeros(len(images), config.memory_size, config.memory_size)
        queries = {name: head.query(context) for name, head in heads.items()}
        canvas, latents = self._blank(images), []
        for t in range(config.glimpses):
            h0, c0 = nn.LSTMCell.forward(loop.emission_rnn, x, (h0, c0))
            pose = loop.emitter(h0)
            glimpse = _transform(images, pose, (config.glimpse_size, config.glimpse_size))
            features = torch.relu(loop.dropout(loop.glimpse_down(self.backbone(glimpse))))
            h1, c1 = nn.LSTMCell.forward(loop.aggregator_rnn, features, (h1, c1))
            x = h1
            seen_from = pose if config.where == "pose" else h0
            W = self._write(W, F.relu6(loop.what(features) * loop.where(seen_from)))
            if config.draws:
                answer = _read(W, queries["drawing"])
                sketch, latent = _sketch(heads["drawing"].sketcher, answer, self._drawn(given.latent, t))
                latents.append(latent)
                canvas = self._draw(canvas, sketch, loop.inverse_emitter(h0), self._drawn(given.mask, t))
        fields: dict[str, Any] = {}
        if config.draws:
            finished = canvas if self._masked else canvas.sigmoid()
            fields |= {
                "canvas": finished,
                "latent": Latent(*(torch.stack(part, 1) for part in zip(*latents, strict=True))),
            }
        if "classification" in heads:
            fields["logits"] = heads["classification"].classifier(_read(W, queries["classification"]))
        return Output(**fields)

    @property
    def _masked(self) -> bool:
        return self.model.config.canvas.name == "bernoulli"

    def _blank(self, images: Tensor) -> Tensor:
        empty = 0.0 if self._masked else self.model.config.canvas.initial
        return torch.full_like(images, empty)

    def _write(self, W: Tensor, e: Tensor) -> Tensor:
        delta, eta, theta = self.model.memory.rates
        f = eta * F.relu6(theta * e + torch.matmul(W, e.unsqueeze(2)).squeeze(2))
        return W + torch.matmul(e.unsqueeze(2), f.unsqueeze(1)) - delta * W

    def _drawn(self, given: Tensor | None, t: int) -> Tensor | bool:
        """Return the random numbers of a glimpse, or whether any are to be drawn."""
        return self.training if given is None else given[:, t]

    def _draw(self, canvas: Tensor, sketch: Tensor, inverse: Tensor, noise: Tensor | bool) -> Tensor:
        size = (canvas.shape[2], canvas.shape[3])
        if not self._masked:
            return canvas + _transform(sketch, inverse, size)
        placed = _transform(sketch.sigmoid(), inverse, size)
        mask, drawn = placed[:, :1], placed[:, 1:]
        if noise is not False:
            mask = _concrete(mask, self.model.config.canvas.temperature, None if noise is True else noise)
        return canvas * (1 - mask) + drawn * mask


def _transform(images: Tensor, pose: Tensor, size: tuple[int, int]) -> Tensor:
    shape = [len(images), images.shape[1], *size]
    return F.grid_sample(images, F.affine_grid(pose.view(-1, 2, 3), shape, False), align_corners=False)


def _read(W: Tensor, q: Tensor) -> Tensor:
    return F.relu6(torch.matmul(W, q.unsqueeze(2)).squeeze(2))


def _concrete(p: Tensor, temperature: float, uniform: Tensor | None) -> Tensor:
    """Draw masks as PyTorch's RelaxedBernoulli does, from random numbers that are given or its own."""
    relaxed = torch.distributions.RelaxedBernoulli(torch.tensor(temperature).to(p), p)
    if uniform is None:
        return relaxed.rsample()
    logits = probs_to_logits(torch.stack([uniform, p]), is_binary=True).sum(dim=0)
    return (logits / temperature).sigmoid()


def _sketch(sketcher: Any, answer: Tensor, noise: Tensor | bool) -> tuple[Tensor, Latent]:
    latent = Latent(sketcher.mu(answer), sketcher.logvar(answer))
    z = latent.mu
    if noise is not False:
        z = z + (latent.logvar / 2).exp() * (torch.randn_like(z) if noise is True else noise)
    first = torch.relu(sketcher.expand(z)).unflatten(1, sketcher.decoder.start)
    return sketcher.decoder.blocks(first), latent


class AuthorsBaseline(nn.Module):
    """A plain classifier or a β-VAE, in as many words."""

    def __init__(self, model: Baseline) -> None:
        """Take the weights of a baseline."""
        super().__init__()
        self.model = model
        self.backbone = as_published(model.backbone)

    def train(self, mode: bool = True) -> "AuthorsBaseline":
        """Set training mode as the model does."""
        super().train(mode)
        self.model.train(mode)
        return self

    def forward(self, images: Tensor, noise: Noise | None = None) -> Output:
        """Return log-probabilities, or the picture and its latent; see `AuthorsLoop.forward`."""
        drawn = self.training if noise is None or noise.latent is None else noise.latent[:, 0]
        heads: dict[str, Any] = dict(self.model.heads.items())
        features = self.backbone(images)
        fields: dict[str, Any] = {}
        if "classification" in heads:
            read = features if self.model.mu is None else self.model.mu(features)
            fields["logits"] = heads["classification"](read)
        if "drawing" in heads:
            sketch, latent = _sketch(heads["drawing"], features, drawn)
            fields |= {"canvas": sketch.sigmoid(), "latent": Latent(*(part.unsqueeze(1) for part in latent))}
        return Output(**fields)


def as_published(backbone: Backbone) -> nn.Module:
    """Return a network on the same weights without what makes it faster here: timm's own layers and layout."""
    if not isinstance(backbone, TimmNetwork):
        return backbone
    shared = {id(tensor): tensor for tensor in (*backbone.parameters(), *backbone.buffers())}
    network = copy.deepcopy(backbone.network, shared)
    for name, module in list(network.named_modules()):
        if isinstance(module, LeanReLU6):
            network.set_submodule(name, nn.ReLU6(inplace=True))
        elif isinstance(module, StridedDepthwise):
            module.__class__ = nn.Conv2d
    return network


def as_the_authors(model: Model) -> nn.Module:
    """Return the reference for any model of the paper."""
    return AuthorsLoop(model) if isinstance(model, Stawm) else AuthorsBaseline(model)  # pyright: ignore[reportArgumentType]
