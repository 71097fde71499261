"""A preset that is given a network with pretrained weights normalises as the weights were learned."""

from typing import Any

import pytest

import stawm

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
INCEPTION = ((0.5,) * 3, (0.5,) * 3)
CIFAR = stawm.config("stawm-cifar-mnv2")


def network(name: str, *, pretrained: bool = True) -> dict[str, Any]:
    return {"name": f"timm:{name}", "pretrained": pretrained}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"backbone": network("resnet18")}, IMAGENET),
        ({"backbone": "timm:resnet18", "backbone.pretrained": True}, IMAGENET),
        ({"backbone.pretrained": True}, IMAGENET),
        ({"context": network("vit_tiny_patch16_224.augreg_in21k")}, INCEPTION),
        ({"backbone": network("resnet18"), "context": network("vit_tiny_patch16_224.augreg_in21k")}, IMAGENET),
        ({"backbone": network("resnet18"), "mean": [0.5]}, ((0.5,), IMAGENET[1])),
        ({"backbone": network("resnet18"), "mean": [0.5], "std": [0.25]}, ((0.5,), (0.25,))),
        ({"backbone": network("resnet18", pretrained=False)}, (CIFAR.mean, CIFAR.std)),
        ({"backbone": network("test_vit3")}, INCEPTION),
        ({"glimpses": 2}, (CIFAR.mean, CIFAR.std)),
    ],
)
def test_mean_and_std_follow_the_weights(changes: dict[str, Any], expected: Any):
    for found in (
        stawm.config("stawm-cifar-mnv2", **changes),
        stawm.config({"preset": "stawm-cifar-mnv2", **changes}),
        stawm.config(stawm.config("stawm-cifar-mnv2", **changes).to_dict()),
    ):
        assert (found.mean, found.std) == expected


def test_one_number_stands_for_all_channels_of_other_images():
    found = stawm.config("stawm-mnist-8", backbone=network("resnet18"))
    assert (found.mean, found.std) == ((pytest.approx(0.449),), (pytest.approx(0.226),))


def test_a_complete_configuration_stays_as_it_is():
    found = stawm.config(CIFAR, backbone=network("resnet18"))
    assert (found.mean, found.std) == (CIFAR.mean, CIFAR.std)
