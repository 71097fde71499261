"""The mirror of a convolution stack: from a flat latent back to an image."""

from typing import Literal, TypeAlias

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from stawm.nn.backbones.conv import Conv, init_weight, stack_of
from stawm.nn.backbones.layers import ConvLayer, flat_features, generic_stack, layer_sizes
from stawm.nn.glimpse_loop import flatten_time
from stawm.nn.glimpse_norm import GlimpseNorm
from stawm.nn.layout import channels_last

NormOver: TypeAlias = Literal["glimpse", "all"]


class Decoder(nn.Module):
    """Transposed convolutions with the structure of a stack in reverse (the paper's transpose CNN).

    Each layer undoes the size of the layer that it mirrors exactly: the pixels that a stride drops
    come back as output padding, unless that is left out. ReLU stands between the layers and not
    after the last; where the stack is normalised, every layer is, the last one too. The width f of the latent,
    ``in_features``, is that of the stack's flattened output.
    """

    def __init__(
        self,
        config: Conv.Config,
        *,
        channels: int,
        size: tuple[int, int],
        output_padding: bool = True,
        norm_over: NormOver = "glimpse",
    ) -> None:
        """Build the mirror.

        Args:
            config: The stack that is mirrored.
            channels: c, of what is drawn.
            size: h and w of what is drawn.
            output_padding: Whether the pixels that a stride drops come back; without them what is
                drawn may be smaller than ``size``.
            norm_over: What a normalised stack takes together while training: the sketches of one glimpse, or of all.

        Raises:
            ConfigError: The stack does not fit that size.
        """
        super().__init__()
        layers = stack_of(config, size)
        sizes = layer_sizes(layers, size)
        widths = [channels, *(layer.filters for layer in layers[:-1])]
        self.in_features = flat_features(layers, size)
        self.start = (layers[-1].filters, *sizes[-1])
        blocks = []
        for i, layer in enumerate(layers):
            height, width = ((side + 2 * layer.padding - layer.kernel) % layer.stride for side in sizes[i])
            dropped = (height, width) if output_padding else (0, 0)
            blocks.append(_Block(config, layer, widths[i], dropped, last=i == 0, norm_over=norm_over))
        self.blocks = nn.Sequential(*reversed(blocks))

    def forward(self, latents: Float[Tensor, "b n f"]) -> Float[Tensor, "b n c h w"]:
        """Draw an image from each latent, of which an image has one for each glimpse."""
        glimpses = latents.shape[1]
        x = channels_last(flatten_time(latents).unflatten(1, self.start))
        for block in self.blocks:
            x = block(x, glimpses)
        return rearrange(x, "(b n) ... -> b n ...", n=glimpses)


def default_layers(size: tuple[int, int]) -> Conv.Config:
    """Return a stack for images of any size, to mirror where the glimpse network is no plain stack."""
    return Conv.Config(layers=generic_stack(size), norm="none", bias=True, init="kaiming")


class _Block(nn.Module):
    """A transposed convolution, with the normalisation and the ReLU that its place asks for."""

    def __init__(
        self,
        config: Conv.Config,
        layer: ConvLayer,
        filters: int,
        dropped: tuple[int, int],
        *,
        last: bool,
        norm_over: NormOver,
    ) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(
            layer.filters, filters, layer.kernel, layer.stride, layer.padding, dropped, bias=config.bias
        )
        init_weight(self.conv, config.init)
        self.over_all = norm_over == "all"
        self.norm = GlimpseNorm(filters) if config.norm == "batch" else None
        self.act = nn.Identity() if last else nn.ReLU()

    def forward(self, x: Float[Tensor, "bn c h w"], glimpses: int = 1) -> Float[Tensor, "bn c2 h2 w2"]:
        """Draw one layer of the sketches of all glimpses."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x, 1 if self.over_all else glimpses)
        return self.act(x)
