"""The presets: the paper's models (Appendix D), their baselines, and one small model of our own.

A preset is a mapping in the override grammar: complete, or ``preset`` and what differs from it.
"""

from typing import Any

_MNIST_CONTEXT = {"name": "conv", "layers": "64@3/2 128@3/2 256@3/2"}
_MNIST_NORMALISED = {"mean": (0.1307,), "std": (0.3081,)}
_DIGITS = tuple("0123456789")
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR_GLIMPSE = "32@4/1p2 64@4/2p1 128@4/2p1 128@4/2p1"
_PLAIN_CONV = {"name": "conv", "norm": "none", "bias": True, "init": "kaiming"}

MNIST_8: dict[str, Any] = {
    "image": (1, 28, 28),
    "glimpses": 8,
    "glimpse_size": 8,
    "memory_size": 256,
    "hidden_size": 512,
    "context": _MNIST_CONTEXT,
    "backbone": {"name": "conv", "layers": "64@3/1 128@3/2"},
    "locator": "affine",
    "memory": "hebb-rosenblatt",
    "canvas": "addition",
    "heads": ("classification",),
    "class_names": _DIGITS,
    **_MNIST_NORMALISED,
}

MNIST_28: dict[str, Any] = {
    "preset": "stawm-mnist-8",
    "glimpses": 10,
    "glimpse_size": 28,
    "memory_size": 512,
    "hidden_size": 1024,
    "backbone": _MNIST_CONTEXT,
}

MNIST_DRAW_6: dict[str, Any] = {
    **MNIST_8,
    "glimpses": 12,
    "glimpse_size": 6,
    "backbone": {"name": "conv", "layers": "128@3/1"},
    "heads": ({"name": "drawing", "latent": 4, "beta": 4.0},),
    "mean": (0.0,),
    "std": (1.0,),
    "class_names": (),
}

MNIST_DRAW_4: dict[str, Any] = {"preset": "stawm-mnist-draw-6", "glimpse_size": 4}

# The authors' decoder for 8x8 glimpses has the CNN's layers in reverse, but the strides in the CNN's own order, so
# that its sketches are 10x10: it mirrors another stack.
_DRAWING_8: dict[str, Any] = {
    "name": "drawing",
    "latent": 4,
    "beta": 4.0,
    "decoder": "64@3/2 128@3/1",
    "sketch_size": 10,
}

MNIST_DRAW_8: dict[str, Any] = {
    "preset": "stawm-mnist-draw-6",
    "glimpse_size": 8,
    "backbone": {"name": "conv", "layers": "64@3/1 128@3/2"},
    "heads": (_DRAWING_8,),
}

MNIST_SELFSUP: dict[str, Any] = {
    "preset": "stawm-mnist-draw-6",
    "trainable": "readout",
    "heads": ({"name": "classification", "dropout": 0.0},),
    "class_names": _DIGITS,
}

MNIST_SKETCHPAD: dict[str, Any] = {
    "preset": "stawm-mnist-draw-8",
    "glimpses": 6,
    "heads": (
        {"name": "classification", "dropout": 0.0, "reduction": "sum"},
        _DRAWING_8,
    ),
    "class_names": _DIGITS,
}

CIFAR_MNV2: dict[str, Any] = {
    **MNIST_8,
    "image": (3, 32, 32),
    "glimpses": 4,
    "glimpse_size": 32,
    "memory_size": 1024,
    "hidden_size": 2048,
    "backbone": {"name": "timm:mobilenetv2_100", "total_stride": 8},
    "mean": (0.4914, 0.4822, 0.4465),
    "std": (0.2023, 0.1994, 0.2010),
    "class_names": _CIFAR_CLASSES,
}

CIFAR_DRAW_16: dict[str, Any] = {
    "image": (3, 32, 32),
    "glimpses": 8,
    "glimpse_size": 16,
    "memory_size": 256,
    "hidden_size": 256,
    "context": {**_PLAIN_CONV, "layers": "32@4/2p1 32@4/2p1 32@4/2p1"},
    "backbone": {**_PLAIN_CONV, "layers": _CIFAR_GLIMPSE},
    "locator": "affine",
    "memory": "hebb-rosenblatt",
    "canvas": {"name": "addition", "initial": 0.0},
    "heads": ({"name": "drawing", "latent": 32, "beta": 2.0},),
}

CIFAR_SELFSUP: dict[str, Any] = {
    "preset": "stawm-cifar-draw-16",
    "trainable": "readout",
    "heads": ({"name": "classification", "dropout": 0.0},),
    "class_names": _CIFAR_CLASSES,
}

CELEBA_DRAW_32: dict[str, Any] = {
    "preset": "stawm-cifar-draw-16",
    "image": (3, 64, 64),
    "glimpse_size": 32,
    "dropout": 0.3,
    "context": {**_PLAIN_CONV, "layers": "32@4/2p1 32@4/2p1 64@4/2p1 64@4/2p1"},
    "backbone": {**_PLAIN_CONV, "layers": "32@4/1p2 32@4/2p1 64@4/2p1 64@4/2p1"},
    "canvas": "bernoulli",
    "heads": ({"name": "drawing", "latent": 4, "beta": 2.0, "output_padding": False},),
}

BVAE_CIFAR: dict[str, Any] = {
    "family": "baseline",
    "image": (3, 32, 32),
    "dropout": 0.0,
    "backbone": {**_PLAIN_CONV, "layers": _CIFAR_GLIMPSE},
    "heads": ({"name": "drawing", "latent": 32, "beta": 2.0},),
}

MNV2_CIFAR: dict[str, Any] = {
    "family": "baseline",
    "image": (3, 32, 32),
    "dropout": 0.0,
    "backbone": CIFAR_MNV2["backbone"],
    "heads": ("classification",),
    "mean": CIFAR_MNV2["mean"],
    "std": CIFAR_MNV2["std"],
    "class_names": _CIFAR_CLASSES,
}

DIGITS: dict[str, Any] = {
    "preset": "stawm-mnist-8",
    "image": (1, 16, 16),
    "glimpses": 4,
    "memory_size": 64,
    "hidden_size": 128,
    "context": {"name": "conv", "layers": "16@3/2 32@3/2"},
    "backbone": {"name": "conv", "layers": "16@3/1 32@3/2"},
    "memory": {"constrained": True, "normalise": 0.9},
    "dropout": 0.2,
    "mean": (0.3,),
    "std": (0.35,),
}
