"""The slow, obvious twin of a DRAW model: the paper's equations one by one, on the model's own weights."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from stawm.core.naive import draw, filterbank


class Drawn(NamedTuple):
    """What the paper's equations give of an image."""

    canvas: Tensor
    mu: Tensor
    logvar: Tensor
    read_pose: Tensor
    write_pose: Tensor
    encoder_h: Tensor


def linear(x: Tensor, layer: Any) -> Tensor:
    return torch.stack([layer.weight @ row + layer.bias for row in x])


def lstm(x: Tensor, h: Tensor, c: Tensor, cell: Any) -> tuple[Tensor, Tensor]:
    """An LSTM without peepholes, gate by gate (Gers et al. 2000), in PyTorch's order of the gates."""
    rows = []
    for one, before, kept in zip(x, h, c, strict=True):
        gates = cell.weight_ih @ one + cell.bias_ih + cell.weight_hh @ before + cell.bias_hh
        i, f, g, o = gates.view(4, -1)
        now = torch.sigmoid(f) * kept + torch.sigmoid(i) * torch.tanh(g)
        rows.append((torch.sigmoid(o) * torch.tanh(now), now))
    return torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])


def read(model: Any, image: Tensor, canvas: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The attention's numbers from the decoder's state, and γ [F_y x F_xᵀ, F_y x̂ F_xᵀ] (Eq. 21 and 27)."""
    pose = linear(h, model.reader.pose)
    parts = [filterbank.read(x, pose, model.config.glimpse_size) for x in (image, draw.missing(image, canvas))]
    return pose, torch.stack([torch.cat([a.flatten(), b.flatten()]) for a, b in zip(*parts, strict=True)])


def write(model: Any, canvas: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The attention's numbers, and the canvas with 1/γ F_yᵀ w F_x added (Eq. 8, 28 and 29)."""
    painter = model.painter
    pose = linear(h, painter.pose)
    patch = torch.stack([row.view(painter.sketch) for row in linear(h, painter.sketcher)])
    return pose, canvas + filterbank.place(patch, pose, canvas.shape[2], canvas.shape[3])


def unroll(model: Any, image: Tensor, noise: Tensor) -> Drawn:
    """Eq. 3 to 8, glimpse by glimpse."""
    painter, batch = model.painter, len(image)
    canvas = torch.stack([painter.blank] * batch)
    encoder_h, decoder_h = (torch.stack([start] * batch) for start in (model.encoder_start, painter.decoder_start))
    encoder_c, decoder_c = torch.zeros_like(encoder_h), torch.zeros_like(decoder_h)
    found: list[tuple[Tensor, ...]] = []
    for t in range(noise.shape[1]):
        read_pose, seen = read(model, image, canvas, decoder_h)
        given = torch.stack([torch.cat([r, h]) for r, h in zip(seen, decoder_h, strict=True)])
        encoder_h, encoder_c = lstm(given, encoder_h, encoder_c, model.encoder)
        mu, logvar = linear(encoder_h, painter.mu), linear(encoder_h, painter.logvar)
        z = mu + torch.exp(logvar / 2) * noise[:, t]
        decoder_h, decoder_c = lstm(z, decoder_h, decoder_c, painter.decoder)
        write_pose, canvas = write(model, canvas, decoder_h)
        found.append((mu, logvar, read_pose, write_pose, encoder_h))
    mu, logvar, *poses, states = (torch.stack(part, dim=1) for part in zip(*found, strict=True))
    return Drawn(canvas, mu, logvar, *poses, states)
