"""The reference for speed: the loop as the paper's authors wrote it, eager, with the memory as a matrix.

An independent implementation on a model's own weights: PyTorch's LSTM cells, `affine_grid`, and a W of
shape (b, m, m) that is rewritten at every glimpse. It gives what the model gives.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stawm.heads.model import Stawm


class AuthorsLoop(nn.Module):
    """A classifier or a drawing model with the addition canvas, run as the authors' code runs it."""

    def __init__(self, model: Stawm) -> None:
        """Take the weights of a model with the affine locator and the hebb-rosenblatt memory."""
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return log-probabilities, or the finished canvas."""
        model, loop, config = self.model, self.model.loop, self.model.config
        context = loop.context(images)
        x = torch.relu(loop.dropout(loop.context_down(context)))
        h0, c0 = x, torch.zeros_like(x)
        h1, c1 = torch.zeros_like(x), torch.zeros_like(x)
        W = images.new_zeros(len(images), config.memory_size, config.memory_size)
        queries = {name: head.query(context) for name, head in model.heads.items()}
        canvas = torch.full_like(images, config.canvas.initial) if config.draws else images
        for _ in range(config.glimpses):
            h0, c0 = nn.LSTMCell.forward(loop.emission_rnn, x, (h0, c0))
            pose = loop.emitter(h0)
            side = (len(images), images.shape[1], config.glimpse_size, config.glimpse_size)
            glimpse = F.grid_sample(images, F.affine_grid(pose.view(-1, 2, 3), side, False), align_corners=False)
            features = torch.relu(loop.dropout(loop.glimpse_down(loop.backbone(glimpse))))
            x, c1 = nn.LSTMCell.forward(loop.aggregator_rnn, features, (h1, c1))
            h1 = x
            seen_from = pose if config.where == "pose" else h0
            W = self._write(W, F.relu6(loop.what(features) * loop.where(seen_from)))
            if config.draws:
                canvas = canvas + self._sketch(W, queries["drawing"], loop.inverse_emitter(h0), canvas)
        if config.draws:
            return canvas.sigmoid()
        return model.heads["classification"].classifier(_read(W, queries["classification"]))

    def _write(self, W: Tensor, e: Tensor) -> Tensor:
        delta, eta, theta = self.model.memory.rates
        f = eta * F.relu6(theta * e + torch.matmul(W, e.unsqueeze(2)).squeeze(2))
        return W + torch.matmul(e.unsqueeze(2), f.unsqueeze(1)) - delta * W

    def _sketch(self, W: Tensor, query: Tensor, inverse: Tensor, canvas: Tensor) -> Tensor:
        sketcher = self.model.heads["drawing"].sketcher
        answer = _read(W, query)
        z = sketcher.mu(answer)
        if self.model.training:
            z = z + (sketcher.logvar(answer) / 2).exp() * torch.randn_like(z)
        sketch = sketcher.decoder(torch.relu(sketcher.expand(z)))
        size = (len(canvas), sketch.shape[1], *canvas.shape[2:])
        return F.grid_sample(sketch, F.affine_grid(inverse.view(-1, 2, 3), size, False), align_corners=False)


def _read(W: Tensor, q: Tensor) -> Tensor:
    return F.relu6(torch.matmul(W, q.unsqueeze(2)).squeeze(2))
