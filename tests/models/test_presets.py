"""The presets against the paper's Appendix D, as the design settles it, and each one run."""

from typing import Any, NamedTuple

import pytest
import torch

import stawm
from stawm.models.baseline import Baseline
from stawm.models.construct import construct
from stawm.models.draw import Draw
from stawm.models.looker import Looker
from stawm.models.model import Stawm
from stawm.models.ram import Ram
from stawm.models.slots import Slots
from tests.small import BASELINES, DRAWS, OURS, PRESETS, RAMS, SLOTS, inputs, small, tensors


class Row(NamedTuple):
    """A line of the table of presets; what is None a baseline does not have."""

    image: tuple[int, int, int]
    glimpses: int | None
    glimpse_size: int | None
    memory: int | None
    hidden: int | None
    context: str | None
    backbone: str
    classes: int | None = None
    latent: int | None = None
    beta: float | None = None
    canvas: tuple[str, float | None] | None = None
    dropout: float = 0.5


MNIST, CIFAR, CELEBA = (1, 28, 28), (3, 32, 32), (3, 64, 64)
CONTEXT = "64@3/2 128@3/2 256@3/2"
PLAIN = "32@4/2p1 32@4/2p1 32@4/2p1"
GLIMPSE_8, GLIMPSE_16 = "64@3/1 128@3/2", "32@4/1p2 64@4/2p1 128@4/2p1 128@4/2p1"
BLACK, GREY = ("addition", -6.0), ("addition", 0.0)

TABLE = {
    "stawm-mnist-8": Row(MNIST, 8, 8, 256, 512, CONTEXT, GLIMPSE_8, classes=10),
    "stawm-mnist-28": Row(MNIST, 10, 28, 512, 1024, CONTEXT, CONTEXT, classes=10),
    "stawm-mnist-draw-4": Row(MNIST, 12, 4, 256, 512, CONTEXT, "128@3/1", latent=4, beta=4, canvas=BLACK),
    "stawm-mnist-draw-6": Row(MNIST, 12, 6, 256, 512, CONTEXT, "128@3/1", latent=4, beta=4, canvas=BLACK),
    "stawm-mnist-draw-8": Row(MNIST, 12, 8, 256, 512, CONTEXT, GLIMPSE_8, latent=4, beta=4, canvas=BLACK),
    "stawm-mnist-selfsup": Row(MNIST, 12, 6, 256, 512, CONTEXT, "128@3/1", classes=10),
    "stawm-mnist-sketchpad": Row(MNIST, 6, 8, 256, 512, CONTEXT, GLIMPSE_8, 10, latent=4, beta=4, canvas=BLACK),
    "stawm-cifar-mnv2": Row(CIFAR, 4, 32, 1024, 2048, CONTEXT, "timm:mobilenetv2_100", classes=10),
    "stawm-cifar-draw-16": Row(CIFAR, 8, 16, 256, 256, PLAIN, GLIMPSE_16, latent=32, beta=2, canvas=GREY),
    "stawm-cifar-selfsup": Row(CIFAR, 8, 16, 256, 256, PLAIN, GLIMPSE_16, classes=10),
    "stawm-celeba-draw-32": Row(
        CELEBA,
        8,
        32,
        256,
        256,
        "32@4/2p1 32@4/2p1 64@4/2p1 64@4/2p1",
        "32@4/1p2 32@4/2p1 64@4/2p1 64@4/2p1",
        latent=4,
        beta=2,
        canvas=("bernoulli", None),
        dropout=0.3,
    ),
    "bvae-cifar": Row(CIFAR, None, None, None, None, None, GLIMPSE_16, latent=32, beta=2, dropout=0.0),
    "bvae-cifar-selfsup": Row(CIFAR, None, None, None, None, None, GLIMPSE_16, classes=10, dropout=0.0),
    "mnv2-cifar": Row(CIFAR, None, None, None, None, None, "timm:mobilenetv2_100", classes=10, dropout=0.0),
}


def test_the_table_is_whole() -> None:
    assert TABLE.keys() | OURS == set(PRESETS)


@pytest.mark.parametrize("name", TABLE)
def test_the_numbers_of_the_paper(name: str) -> None:
    row, found = TABLE[name], config(name)
    stawm_fields = {"glimpses": row.glimpses, "glimpse_size": row.glimpse_size, "memory_size": row.memory}
    for key, value in {**stawm_fields, "hidden_size": row.hidden}.items():
        assert getattr(found, key, None) == value, key
    assert (found.name, found.image, found.dropout) == (name, row.image, row.dropout)
    assert stack(found.backbone) == row.backbone
    assert (stack(found.context) if row.context else None) == row.context
    classes, drawing = found.head("classification"), found.head("drawing")
    assert (classes and classes.classes) == row.classes
    assert (drawing and (drawing.latent, drawing.beta)) == (row.latent and (row.latent, row.beta))
    if row.canvas:
        assert (found.canvas.name, getattr(found.canvas, "initial", None)) == row.canvas


def config(name: str) -> Any:
    return stawm.config(name)


def stack(backbone: Any) -> str:
    return backbone.layers if backbone.name == "conv" else backbone.name


@pytest.mark.parametrize("name", [n for n in TABLE if n not in BASELINES])
def test_what_the_papers_models_share(name: str) -> None:
    found = config(name)
    assert (found.where, found.locator.name, found.memory.name) == ("pose", "affine", "hebb-rosenblatt")
    memory = found.memory
    assert (memory.delta, memory.eta, memory.theta, memory.learnable, memory.constrained) == (
        0.2,
        0.4,
        0.5,
        True,
        False,
    )
    assert (memory.normalise, memory.orientation, memory.activation) == (None, "paper", "relu6")
    assert (found.locator.align_corners, found.locator.padding) == (False, "zeros")


@pytest.mark.parametrize("name", TABLE)
def test_convolutions_of_each_data_set(name: str) -> None:
    found = config(name)
    paper = {"norm": "batch", "bias": False, "init": "xavier"}
    plain = {"norm": "none", "bias": True, "init": "kaiming"}
    expected = paper if "mnist" in name or name == "stawm-cifar-mnv2" else plain
    for part in (found.backbone, getattr(found, "context", found.backbone)):
        if part.name == "conv":
            assert {key: getattr(part, key) for key in expected} == expected


def test_details_of_single_presets() -> None:
    assert config("stawm-cifar-mnv2").backbone.total_stride == 8
    assert config("mnv2-cifar").backbone == config("stawm-cifar-mnv2").backbone
    assert config("bvae-cifar").backbone == config("stawm-cifar-draw-16").backbone
    assert config("stawm-celeba-draw-32").canvas.temperature == 2.0
    assert config("stawm-mnist-sketchpad").head("classification").reduction == "sum"
    assert config("stawm-mnist-8").head("classification").reduction == "mean"
    for part in ("context", "backbone", "memory_size", "hidden_size", "glimpses", "glimpse_size", "mean", "std"):
        for own, drawn in (("mnist-selfsup", "mnist-draw-6"), ("cifar-selfsup", "cifar-draw-16")):
            assert getattr(config(f"stawm-{own}"), part) == getattr(config(f"stawm-{drawn}"), part)
    for part in ("backbone", "image", "mean", "std"):
        assert getattr(config("bvae-cifar-selfsup"), part) == getattr(config("bvae-cifar"), part)
    assert config("bvae-cifar-selfsup").latent == config("bvae-cifar").head("drawing").latent == 32
    readouts = {n for n in PRESETS if config(n).is_readout}
    assert readouts == {"stawm-mnist-selfsup", "stawm-cifar-selfsup", "bvae-cifar-selfsup"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_at_full_size(name: str) -> None:
    with torch.device("meta"):
        model = construct(stawm.config(name))
    families = {**dict.fromkeys(BASELINES, Baseline), **dict.fromkeys(DRAWS, Draw), **dict.fromkeys(RAMS, Ram)}
    families |= dict.fromkeys(SLOTS, Slots)
    assert isinstance(model, families.get(name, Stawm))
    if isinstance(model, Stawm):
        found = config(name)
        assert model.loop.emission_rnn.weight_hh.shape == (4 * found.hidden_size, found.hidden_size)
        assert model.loop.what.weight.shape == (found.memory_size, found.hidden_size)


def sketch_size(model: Any) -> tuple[int, ...]:
    """Channels, height and width of what the decoder of a preset draws (Appendix D; docs/errata.md)."""
    canvas, config = model.heads["drawing"].canvas, model.config
    side = {"stawm-mnist-draw-8": 10, "stawm-mnist-sketchpad": 10, "stawm-celeba-draw-32": 31}
    size = side.get(config.name, config.glimpse_size)
    return canvas.sketch_channels, size, size


def shapes_of_draw(model: Draw, n: int) -> dict[str, tuple[int, ...]]:
    """What DRAW gives beside classes, picture and latent."""
    c, h, w = model.config.image
    found: dict[str, tuple[int, ...]] = {}
    if model.locator is not None:
        side = model.locator.glimpse_size
        found |= {"pose": (2, n, 5), "glimpses": (2, n, c, side, side)}
        found |= {"inverse_pose": (2, n, 5)} if model.placer is not None else {}
    if model.painter is not None:
        found |= {"canvas_logits": (2, c, h, w), "canvases": (2, n, c, h, w)}
        found |= {"sketches": (2, n, *model.painter.sketch)}
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_forward_and_backward(name: str) -> None:
    model = small(name)
    images, labels = inputs(model)
    found = model(images)
    classes, drawing = model.config.head("classification"), model.config.head("drawing")
    c, h, w = model.config.image
    shapes = {key: tuple(value.shape) for key, value in tensors(found).items()}
    expected: dict[str, tuple[int, ...]] = {}
    n = model.config.glimpses or 1
    if classes:
        expected |= {"logits": (2, classes.classes)}
    if asked := model.config.head("recall"):
        expected |= {"answers": (2, asked.cues, asked.classes)}
    if isinstance(model, Slots):
        slots = model.config.slots
        expected |= {"canvas": (2, c, h, w), "masks": (2, slots, 1, h, w), "sketches": (2, slots, c, h, w)}
    elif drawing:
        expected |= {"canvas": (2, c, h, w), "mu": (2, n, drawing.latent), "logvar": (2, n, drawing.latent)}
    if isinstance(model, Looker):
        g, m = model.config.glimpse_size, getattr(model.config, "memory_size", model.config.hidden_size)
        p, v = model.locator.pose_size, model.locator.views
        expected |= {"pose": (2, n, p), "glimpses": (2, n, v * c, g, g), "memory_input": (2, n, m)}
        expected |= {"canvases": (2, n, c, h, w), "inverse_pose": (2, n, 6)} if drawing else {}
        expected |= {"sketches": (2, n, *sketch_size(model))} if drawing else {}
        expected |= {"masks": (2, n, 1, h, w)} if drawing and model.config.canvas.name == "bernoulli" else {}
    if isinstance(model, Draw):
        expected |= shapes_of_draw(model, n)
    if getattr(model.config, "policy", None) is not None and model.config.policy.name == "gaussian":
        expected |= {"log_prob": (2, n), "baseline": (2, n)}
    expected |= {"glimpse_logits": (2, n, classes.classes)} if classes and classes.early else {}
    assert shapes == expected
    assert all(value.isfinite().all() for value in tensors(found).values())
    model.loss(found, images, labels)["total"].backward()
    learning = [p for p in model.parameters() if p.requires_grad]
    assert learning
    assert all(p.grad is None or p.grad.isfinite().all() for p in learning)
    assert any(p.grad is not None and p.grad.any() for p in learning)


@pytest.mark.parametrize("name", PRESETS)
def test_class_names_and_preprocessing_fit(name: str) -> None:
    found = config(name)
    classes = found.head("classification") or found.head("recall")
    named = classes and name != "stawm-photo"  # whose classes are the user's
    assert len(found.class_names) == (classes.classes if named else 0)
    assert len(found.mean) == len(found.std)
    if found.head("drawing") is not None:
        assert (found.mean, found.std) == ((0.0,), (1.0,)), "what is drawn is compared with pixels"
