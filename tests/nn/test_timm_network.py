"""timm's networks as backbones: their total stride, measured, and their weights, kept."""

from typing import Any

import pytest
import timm
import torch
from torch import nn

from stawm.errors import ConfigError
from stawm.nn.backbones import strides
from stawm.nn.backbones.timm_network import TimmNetwork

NETWORKS = ["mobilenetv2_100", "resnet18", "convnext_atto", "efficientnet_b0", "vit_tiny_patch16_224"]
CONVOLUTIONAL = NETWORKS[:4]
each = pytest.mark.parametrize("name", NETWORKS)


def network(name: str, side: int, channels: int = 1, **fields: Any) -> TimmNetwork:
    return TimmNetwork(TimmNetwork.Config(name=f"timm:{name}", **fields), channels=channels, size=(side, side))


def positions(backbone: TimmNetwork, side: int) -> int:
    """How many positions the network's last feature map really has."""
    inner: Any = backbone.network.eval()
    with torch.no_grad():
        features = inner.forward_features(torch.rand(2, backbone.channels, side, side))
    return features[0].numel() // inner.num_features - getattr(inner, "num_prefix_tokens", 0)


@each
@pytest.mark.parametrize(("side", "channels"), [(4, 1), (7, 3), (30, 3), (64, 1)])
def test_any_image_size_runs_forward_and_backward(name: str, side: int, channels: int):
    backbone = network(name, side, channels)
    own = 16 if name.startswith("vit") else 32
    assert own % backbone.total_stride == 0
    assert backbone.total_stride <= side
    features = backbone(torch.rand(2, channels, side, side))
    assert features.shape == (2, backbone.features)
    features.square().sum().backward()
    gradients = [parameter.grad for parameter in backbone.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@each
@pytest.mark.parametrize("total", [1, 2, 4, 8])
def test_the_total_stride_is_what_is_asked(name: str, total: int):
    side = max(4, 2 * total)
    backbone = network(name, side, total_stride=total)
    assert backbone.total_stride == total
    assert positions(backbone, side) == (side // total) ** 2


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_a_convolutional_network_keeps_its_own_stride_where_images_are_large_enough(name: str):
    backbone = network(name, 64)
    assert backbone.total_stride == 32
    assert positions(backbone, 64) == 4


@pytest.mark.parametrize("size", [(8, 64), (64, 8)])
def test_the_shorter_side_decides_how_far_the_stride_is_lowered(size: tuple[int, int]):
    backbone = TimmNetwork(TimmNetwork.Config(name="timm:test_efficientnet"), channels=1, size=size)
    assert backbone.total_stride == 8
    inner: Any = backbone.network.eval()
    assert inner.forward_features(torch.rand(1, 1, *size)).shape[2:] == (size[0] // 8, size[1] // 8)


def test_the_earliest_strides_are_lowered():
    backbone = network("mobilenetv2_100", 32, 3, total_stride=8)
    left = [n for n, m in backbone.named_modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)]
    assert left == [f"network.blocks.{stage}.0.conv_dw" for stage in (2, 3, 5)]
    partly = network("convnext_atto", 32, total_stride=16)
    stem = next(m for m in partly.modules() if isinstance(m, nn.Conv2d))
    assert (stem.stride, stem.kernel_size, stem.padding) == ((2, 2), (4, 4), (1, 1))


def test_shortcuts_are_lowered_with_their_blocks():
    backbone = network("resnet18", 16, total_stride=4)  # 32 / 4 = 8: stem, pooling and the second stage
    convolutions: dict[str, Any] = {n: m for n, m in backbone.network.named_modules() if isinstance(m, nn.Conv2d)}
    for stage, stride in ((2, 1), (3, 2), (4, 2)):
        assert convolutions[f"layer{stage}.0.conv1"].stride == (stride, stride)
        assert convolutions[f"layer{stage}.0.downsample.0"].stride == (stride, stride)


def test_a_stride_of_one_with_an_even_kernel_looks_at_the_same_window():
    conv = nn.Conv2d(2, 3, 4, stride=4)
    holder = nn.Sequential(conv)
    image = torch.rand(1, 2, 8, 8)
    apart = conv(image)
    strides.apply(holder, {"0": 1})
    dense = holder(image)
    assert dense.shape[2:] == (8, 8)
    assert torch.allclose(dense[..., 1::4, 1::4], apart, atol=1e-6)
    assert holder[0].weight is conv.weight


@pytest.mark.parametrize(
    ("module", "stride"),
    [
        (nn.Conv2d(1, 1, 3, 2, 1), 1),
        (nn.Conv2d(1, 1, 7, 4, 3), 2),
        (nn.Conv2d(1, 1, 4, 4), 2),
        (nn.Conv2d(1, 1, 2, 2), 1),
        (nn.Conv2d(1, 1, 3, 2), 1),
        (nn.MaxPool2d(3, 2, 1), 1),
        (nn.MaxPool2d(3, 2), 1),
        (nn.AvgPool2d(2, 2), 1),
        (nn.AvgPool2d(4, 4), 2),
        (nn.Conv2d(1, 1, 3, 2, 2, dilation=2), 1),
    ],
)
def test_sizes_come_out_exactly(module: nn.Module, stride: int):
    holder = nn.Sequential(module)
    strides.apply(holder, {"0": stride})
    for side in (8, 12):
        assert holder(torch.zeros(1, 1, side, side)).shape[2:] == (side // stride, side // stride)


def test_a_plan_takes_reductions_away_from_the_front():
    reach = strides.Reach(
        32, {"stem": strides.Reduction(1, 4), "a": strides.Reduction(4, 16), "b": strides.Reduction(16, 32)}
    )
    assert strides.plan(reach, 32) == {}
    assert strides.plan(reach, 16) == {"stem": 2}
    assert strides.plan(reach, 8) == {"stem": 1}
    assert strides.plan(reach, 4) == {"stem": 1, "a": 2}
    assert strides.plan(reach, 1) == {"stem": 1, "a": 1, "b": 1}
    assert strides.plan(reach, 3) is None
    assert strides.plan(reach, 64) is None
    assert strides.totals(reach) == [1, 2, 4, 8, 16, 32]
    odd = strides.Reach(12, {"stem": strides.Reduction(1, 3), "a": strides.Reduction(3, 12)})
    assert strides.totals(odd) == [1, 2, 3, 4, 12]  # 6 would halve a stem of 3


@each
def test_weights_do_not_depend_on_the_stride(name: str):
    torch.manual_seed(3)
    plain = timm.create_model(name, num_classes=0, in_chans=1)
    torch.manual_seed(3)
    lowered = network(name, 16, total_stride=None if name.startswith("vit") else 2).network
    assert {k: v.shape for k, v in plain.state_dict().items() if "pos_embed" not in k} == {
        k: v.shape for k, v in lowered.state_dict().items() if "pos_embed" not in k
    }
    if not name.startswith("vit"):
        assert all(map(torch.equal, plain.state_dict().values(), lowered.state_dict().values()))


@pytest.mark.parametrize("pretrained", [False, True])
def test_pretrained_weights_are_loaded_once_and_only_on_request(monkeypatch: pytest.MonkeyPatch, pretrained: bool):
    loaded = []

    def load(model: nn.Module, **_: Any) -> None:
        loaded.append(model)
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.25)

    monkeypatch.setattr("timm.models._builder.load_pretrained", load)
    backbone = network("convnext_atto", 16, 3, total_stride=4, pretrained=pretrained)
    assert loaded == [backbone.network] * pretrained
    assert all(parameter.eq(0.25).all() for parameter in backbone.parameters()) == pretrained
    assert not any(parameter.is_meta for parameter in backbone.parameters())


def test_rates_are_passed_on():
    backbone = network("test_vit", 16, drop_rate=0.3, drop_path_rate=0.2)
    assert 0.3 in [m.p for m in backbone.modules() if isinstance(m, nn.Dropout)]
    assert max(getattr(m, "drop_prob", 0) or 0 for m in backbone.modules()) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("name", "side", "fields", "message"),
    [
        ("mobilenetv2_100", 32, {"total_stride": 3}, r"cannot have total_stride 3; it can have 1, 2, 4, 8, 16, 32\."),
        ("resnet18", 32, {"total_stride": 64}, r"cannot have total_stride 64; it can have 1, 2, 4, 8, 16, 32\."),
        ("vit_tiny_patch16_224", 32, {"total_stride": 32}, "cannot have total_stride 32; it can have any from 1 to 16"),
        (
            "vit_tiny_patch16_224",
            32,
            {"total_stride": 3},
            "on images of 32x32: at total_stride 3 it cannot divide them",
        ),
        ("convnext_atto", 8, {"total_stride": 16}, r"does not run on images of 8x8: at total_stride 16 it fails"),
        ("eva02_tiny_patch14_224", 9, {}, "does not run on images of 9x9: at total_stride 7 it cannot divide them"),
        ("levit_128s", 32, {"total_stride": 8}, "timm:levit_128s cannot have total_stride 8; it can have 56"),
        ("resnet18.nowhere", 32, {}, "timm cannot make 'timm:resnet18.nowhere' as asked: Invalid pretrained tag"),
        ("vgg11", 32, {"drop_path_rate": 0.1}, "timm cannot make 'timm:vgg11' as asked: .*drop_path_rate"),
        ("test_mambaout", 4, {"total_stride": 0}, "total_stride must be an integer"),
    ],
)
def test_what_cannot_be_is_said_clearly(name: str, side: int, fields: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        network(name, side, **fields)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("timm:resnet81", "'resnet18'"),
        ("timm:mobilenetv2", "'mobilenetv2_100'"),
        ("timm:hf-hub:someone/resnet18", "timm has no network named 'hf-hub:someone/resnet18'"),
        ("resnet18", "named 'timm:NAME'"),
        ("timm:", "timm has no network named ''"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(name: str, near: str):
    with pytest.raises(ConfigError, match=near):
        TimmNetwork.Config(name=name)


def test_networks_of_other_families():
    for name, stride in (("test_efficientnet", 8), ("test_nfnet", 8), ("test_mambaout", 8), ("test_vit", 8)):
        backbone = network(name, 32, total_stride=stride)
        assert positions(backbone, 32) == 16
        assert backbone(torch.rand(2, 1, 32, 32)).shape == (2, backbone.features)
