"""The mirror of a convolution stack: from a flat latent back to an image."""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

from stawm.nn.backbones.conv import Conv, init_weight, stack_of
from stawm.nn.backbones.layers import ConvLayer, flat_features, generic_stack, layer_sizes
from stawm.nn.layout import channels_last


class Decoder(nn.Module):
    """Transposed convolutions with the structure of a stack in reverse (the paper's transpose CNN).

    Each layer undoes the size of the layer that it mirrors exactly: the pixels that a stride drops
    come back as output padding, unless that is left out. ReLU stands between the layers and not
    after the last; where the stack is normalised, every layer is, the last one too. The width f of the latent,
    ``in_features``, is that of the stack's flattened output.
    """

    def __init__(
        self, config: Conv.Config, *, channels: int, size: tuple[int, int], output_padding: bool = True
    ) -> None:
        """Build the mirror.

        Args:
            config: The stack that is mirrored.
            channels: c, of what is drawn.
            size: h and w of what is drawn.
            output_padding: Whether the pixels that a stride drops come back; without them what is
                drawn may be smaller than ``size``.

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
            blocks.append(_block(config, layer, widths[i], dropped, last=i == 0))
        self.blocks = nn.Sequential(*reversed(blocks))

    def forward(self, latent: Float[Tensor, "b f"]) -> Float[Tensor, "b c h w"]:
        """Draw an image from each latent."""
        return self.blocks(channels_last(latent.unflatten(1, self.start)))


def default_layers(size: tuple[int, int]) -> Conv.Config:
    """Return a stack for images of any size, to mirror where the glimpse network is no plain stack."""
    return Conv.Config(layers=generic_stack(size), norm="none", bias=True, init="kaiming")


def _block(
    config: Conv.Config, layer: ConvLayer, filters: int, dropped: tuple[int, int], *, last: bool
) -> nn.Sequential:
    conv = nn.ConvTranspose2d(
        layer.filters, filters, layer.kernel, layer.stride, layer.padding, dropped, bias=config.bias
    )
    init_weight(conv, config.init)
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
    if config.norm == "batch":
        parts["norm"] = nn.BatchNorm2d(filters)
    if not last:
        parts["act"] = nn.ReLU()
    return nn.Sequential(parts)
