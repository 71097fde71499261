"""Batch normalisation of glimpses, each by its own batch."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class GlimpseNorm(nn.BatchNorm2d):
    """Batch normalisation that, while training, normalises each glimpse by that glimpse's own batch.

    All glimpses are normalised in one call, as groups of channels. The result is that of a plain batch
    normalisation that is called for one glimpse after the other, the running statistics too: of n glimpses they move
    n times. In evaluation it is a plain batch normalisation.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, images: Float[Tensor, "bn c h w"], glimpses: int = 1) -> Float[Tensor, "bn c h w"]:
        """Normalise images.

        Args:
            images: The glimpses of all images; those of one image lie side by side.
            glimpses: n, how many glimpses each image has.
        """
        if glimpses == 1 or not self.training:
            return super().forward(images)
        grouped = images.unflatten(0, (-1, glimpses)).flatten(1, 2)
        mean, var = (self.running_mean.new_zeros(grouped.shape[1]) for _ in range(2))
        weight, bias = self.weight.repeat(glimpses), self.bias.repeat(glimpses)
        normalised = F.batch_norm(grouped, mean, var, weight, bias, training=True, momentum=1.0, eps=self.eps)
        self._track(mean.view(glimpses, -1), var.view(glimpses, -1))
        return normalised.unflatten(1, (glimpses, -1)).flatten(0, 1)

    def _track(self, means: Float[Tensor, "n c"], variances: Float[Tensor, "n c"]) -> None:
        """Move the running statistics by the statistics of one glimpse after the other."""
        assert self.momentum is not None
        glimpses, kept = len(means), 1 - self.momentum
        shares = self.momentum * kept ** torch.arange(glimpses - 1, -1, -1, dtype=means.dtype, device=means.device)
        for running, found in ((self.running_mean, means), (self.running_var, variances)):
            running.mul_(kept**glimpses).add_(shares @ found)
        self.num_batches_tracked.add_(glimpses)
