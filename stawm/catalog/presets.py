"""The presets: the paper's models (Appendix D), their baselines, and one small model of our own.

A preset is one record: name, summary, fields, recipes, citations. Its fields are a mapping in the override grammar:
complete, or ``preset`` and what differs from it. Where a recipe trains another form of the model, that form is a preset
of its own, such as the variants ``NAME.fast`` of our own recipe and ``NAME.authors`` of the authors' code, so that a
name is never two models.
"""

from typing import Any

from stawm.catalog import recipes
from stawm.catalog.draw_presets import DRAW_PRESETS
from stawm.catalog.entry import Entry
from stawm.catalog.ground_presets import GROUND_PRESETS
from stawm.catalog.photo_presets import PHOTO_PRESETS
from stawm.catalog.ram_presets import RAM_PRESETS
from stawm.catalog.records import preset
from stawm.catalog.scene_presets import SCENE_PRESETS

_MNIST_CONTEXT = {"name": "conv", "layers": "64@3/2 128@3/2 256@3/2"}
_DIGITS = tuple("0123456789")
_MNIST_8: dict[str, Any] = {
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
    "mean": (0.1307,),
    "std": (0.3081,),
}
# The authors' decoder for 8x8 glimpses has the CNN's layers in reverse, but the strides in the CNN's own order, so
# that its sketches are 10x10: it mirrors another stack.
_DRAWING_8 = {"name": "drawing", "latent": 4, "beta": 4.0, "decoder": "64@3/2 128@3/1", "sketch_size": 10}
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR_NORMALISED = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
_CIFAR_GLIMPSE = "32@4/1p2 64@4/2p1 128@4/2p1 128@4/2p1"
_MOBILENET = {"name": "timm:mobilenetv2_100", "total_stride": 8}
_PLAIN_CONV = {"name": "conv", "norm": "none", "bias": True, "init": "kaiming"}
_AUTHORS_CIFAR = {"backbone": {"init": "authors"}}
_READOUT = {"trainable": "readout", "heads": ({"name": "classification", "dropout": 0.0},)}
_STABLE = {"memory": {"constrained": True, "normalise": 0.9}}
_STABLE_CLASSES = {"dropout": 0.0, "pose_limit": 1.0, **_STABLE}


PRESETS: tuple[Entry, ...] = (
    *preset(
        "stawm-mnist-8",
        "MNIST in 8 glimpses of 8x8.",
        _MNIST_8,
        paper=recipes.PAPER_MNIST_CLASSES,
        authors=recipes.AUTHORS_MNIST_CLASSES,
        fast=recipes.MNIST_8,
        trained=_STABLE_CLASSES,
    ),
    *preset(
        "stawm-mnist-28",
        "MNIST in 10 glimpses of 28x28.",
        {
            "preset": "stawm-mnist-8",
            "glimpses": 10,
            "glimpse_size": 28,
            "memory_size": 512,
            "hidden_size": 1024,
            "backbone": _MNIST_CONTEXT,
        },
        paper=recipes.PAPER_MNIST_CLASSES,
        authors=recipes.AUTHORS_MNIST_CLASSES,
        written={"glimpses": 8},
        fast=recipes.MNIST_CLASSES,
        trained=_STABLE_CLASSES,
    ),
    *preset(
        "stawm-mnist-draw-4",
        "Draws MNIST digits in 12 glimpses of 4x4.",
        {"preset": "stawm-mnist-draw-6", "glimpse_size": 4},
        paper=recipes.PAPER_MNIST_DRAWING,
        authors=recipes.AUTHORS_MNIST_DRAWING,
        fast=recipes.DRAWING,
        trained=_STABLE,
    ),
    *preset(
        "stawm-mnist-draw-6",
        "Draws MNIST digits in 12 glimpses of 6x6.",
        {
            **_MNIST_8,
            "glimpses": 12,
            "glimpse_size": 6,
            "backbone": {"name": "conv", "layers": "128@3/1"},
            "heads": ({"name": "drawing", "latent": 4, "beta": 4.0},),
            "mean": (0.0,),
            "std": (1.0,),
            "class_names": (),
        },
        paper=recipes.PAPER_MNIST_DRAWING,
        authors=recipes.AUTHORS_MNIST_DRAWING,
        fast=recipes.DRAWING,
        trained=_STABLE,
    ),
    *preset(
        "stawm-mnist-draw-8",
        "Draws MNIST digits in 12 glimpses of 8x8.",
        {
            "preset": "stawm-mnist-draw-6",
            "glimpse_size": 8,
            "backbone": {"name": "conv", "layers": "64@3/1 128@3/2"},
            "heads": (_DRAWING_8,),
        },
        paper=recipes.PAPER_MNIST_DRAWING,
        authors=recipes.AUTHORS_MNIST_DRAWING,
        fast=recipes.DRAWING,
        trained=_STABLE,
    ),
    *preset(
        "stawm-mnist-selfsup",
        "Classifies MNIST with what stawm-mnist-draw-6 learned.",
        {"preset": "stawm-mnist-draw-6", "class_names": _DIGITS, **_READOUT},
        paper=recipes.PAPER_MNIST_DRAWING,
        authors=recipes.AUTHORS_MNIST_READOUT,
        written={"frozen_loop": "training"},
        fast=recipes.READOUT,
        trained=_STABLE,
    ),
    *preset(
        "stawm-mnist-sketchpad",
        "Classifies and draws MNIST digits at once.",
        {
            "preset": "stawm-mnist-draw-8",
            "glimpses": 6,
            "heads": ({"name": "classification", "dropout": 0.0, "reduction": "sum"}, _DRAWING_8),
            "class_names": _DIGITS,
        },
        paper=recipes.PAPER_MNIST_BOTH,
        authors=recipes.AUTHORS_MNIST_BOTH,
        fast=recipes.MNIST_BOTH,
        trained={"dropout": 0.3, **_STABLE},
    ),
    *preset(
        "stawm-cifar-mnv2",
        "CIFAR-10 in 4 glimpses through MobileNetV2.",
        {
            **_MNIST_8,
            "image": (3, 32, 32),
            "glimpses": 4,
            "glimpse_size": 32,
            "memory_size": 1024,
            "hidden_size": 2048,
            "backbone": _MOBILENET,
            "class_names": _CIFAR_CLASSES,
            **_CIFAR_NORMALISED,
        },
        paper=recipes.PAPER_CIFAR_CLASSES,
        authors=recipes.AUTHORS_CIFAR_CLASSES,
        written={"backbone": "mobilenetv2-cifar"},
        fast=recipes.CIFAR_CLASSES,
        trained={"pose_limit": 1.0, **_STABLE},
    ),
    *preset(
        "stawm-cifar-draw-16",
        "Draws CIFAR-10 pictures in 8 glimpses of 16x16.",
        {
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
        },
        paper=recipes.PAPER_CIFAR_DRAWING,
        authors=recipes.AUTHORS_CIFAR_DRAWING,
        written=_AUTHORS_CIFAR,
        fast=recipes.CIFAR_DRAWING,
        trained={"dropout": 0.0, **_STABLE},
    ),
    *preset(
        "stawm-cifar-selfsup",
        "Classifies CIFAR-10 with what stawm-cifar-draw-16 learned.",
        {"preset": "stawm-cifar-draw-16", "class_names": _CIFAR_CLASSES, **_READOUT},
        paper=recipes.PAPER_CIFAR_READOUT,
        authors=recipes.AUTHORS_CIFAR_READOUT,
        written={**_AUTHORS_CIFAR, "frozen_loop": "training"},
        fast=recipes.CIFAR_READOUT,
        trained=_STABLE,
    ),
    *preset(
        "stawm-celeba-draw-32",
        "Draws CelebA faces with learned masks, 8 glimpses of 32x32.",
        {
            "preset": "stawm-cifar-draw-16",
            "image": (3, 64, 64),
            "glimpse_size": 32,
            "dropout": 0.3,
            "context": {**_PLAIN_CONV, "layers": "32@4/2p1 32@4/2p1 64@4/2p1 64@4/2p1"},
            "backbone": {**_PLAIN_CONV, "layers": "32@4/1p2 32@4/2p1 64@4/2p1 64@4/2p1"},
            "canvas": "bernoulli",
            "heads": ({"name": "drawing", "latent": 4, "beta": 2.0, "output_padding": False},),
        },
        paper=recipes.PAPER_FACES,
        authors=recipes.AUTHORS_FACES,
        written={"dropout": 0.5, "context": {"init": "pytorch"}, "backbone": {"init": "pytorch"}},
        fast=recipes.FACES,
        trained=_STABLE,
    ),
    *preset(
        "bvae-cifar",
        "Baseline: a beta-VAE with the glimpse CNN of stawm-cifar-draw-16.",
        {
            "family": "baseline",
            "image": (3, 32, 32),
            "dropout": 0.0,
            "backbone": {**_PLAIN_CONV, "layers": _CIFAR_GLIMPSE},
            "heads": ({"name": "drawing", "latent": 32, "beta": 2.0},),
        },
        paper=recipes.PAPER_CIFAR_BASELINE,
        authors=recipes.AUTHORS_CIFAR_BASELINE,
        written=_AUTHORS_CIFAR,
        fast=recipes.CIFAR_DRAWING,
        cites=("higgins2017",),
    ),
    *preset(
        "bvae-cifar-selfsup",
        "Baseline: classifies CIFAR-10 with the latent that bvae-cifar learned.",
        {"preset": "bvae-cifar", "class_names": _CIFAR_CLASSES, "latent": 32, **_READOUT},
        paper=recipes.PAPER_CIFAR_READOUT,
        authors=recipes.AUTHORS_CIFAR_READOUT,
        written=_AUTHORS_CIFAR,
        fast=recipes.CIFAR_READOUT,
        cites=("higgins2017",),
    ),
    *preset(
        "mnv2-cifar",
        "Baseline: the MobileNetV2 of stawm-cifar-mnv2 alone.",
        {
            "family": "baseline",
            "image": (3, 32, 32),
            "dropout": 0.0,
            "backbone": _MOBILENET,
            "heads": ("classification",),
            "class_names": _CIFAR_CLASSES,
            **_CIFAR_NORMALISED,
        },
        paper=recipes.PAPER_CIFAR_CLASSES,
        fast=recipes.CIFAR_BASELINE,
    ),
    *preset(
        "stawm-digits",
        "Small digits in 4 glimpses of 8x8: the demo's model.",
        {
            "preset": "stawm-mnist-8",
            "image": (1, 16, 16),
            "glimpses": 4,
            "memory_size": 64,
            "hidden_size": 128,
            "context": {"name": "conv", "layers": "16@3/2 32@3/2"},
            "backbone": {"name": "conv", "layers": "16@3/1 32@3/2"},
            "dropout": 0.2,
            "mean": (0.3,),
            "std": (0.35,),
            **_STABLE,
        },
        fast=recipes.DIGITS,
    ),
    *SCENE_PRESETS,
    *RAM_PRESETS,
    *PHOTO_PRESETS,
    *GROUND_PRESETS,
    *DRAW_PRESETS,
)
