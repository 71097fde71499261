"""The built-in components: name, where it is, what it is in one sentence, and what to cite.

Targets are paths, imported when a component is asked for, so listing names needs no torch.
"""

from collections.abc import Mapping
from functools import partial

from stawm.catalog.entry import Entry, Kind

NETWORKS: Mapping[str, tuple[str, ...]] = {
    "mobilenetv2": ("sandler2018",),
    "resnet18": ("he2016",),
    "resnet34": ("he2016",),
    "resnet50": ("he2016",),
    "convnext": ("liu2022",),
    "efficientnet": ("tan2019",),
    "vit": ("dosovitskiy2021",),
}
"""What to cite for networks of timm, by the first word of their names there; of the others only timm is known."""


EMNIST_SPLITS = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
_FOLDERS: Mapping[Kind, str] = {
    Kind.MEMORY: "stawm.nn.memories",
    Kind.BACKBONE: "stawm.nn.backbones",
    Kind.LOCATOR: "stawm.nn.locators",
    Kind.POLICY: "stawm.nn.policies",
    Kind.CANVAS: "stawm.nn.canvases",
    Kind.HEAD: "stawm.heads",
    Kind.DATA: "stawm.training.data",
}


def _entry(kind: Kind, name: str, target: str, summary: str, *cites: str, takes_argument: bool = False) -> Entry:
    place = f"{_FOLDERS[kind]}.{target}"
    return Entry(kind=kind, name=name, target=place, summary=summary, cites=cites, takes_argument=takes_argument)


_memory, _backbone, _locator, _policy, _canvas, _head, _data = (partial(_entry, kind) for kind in _FOLDERS)

COMPONENTS: tuple[Entry, ...] = (
    _memory(
        "hebb-rosenblatt",
        "hebb_rosenblatt:HebbRosenblatt",
        "The paper's rule: Hebbian writes of a response that sees the memory and a share of its input.",
        "harris2019",
    ),
    _memory("fast-weights", "fast_weights:FastWeights", "Decaying outer products of the input with itself.", "ba2016"),
    _memory(
        "plasticity",
        "plasticity:Plasticity",
        "Fixed weights and a plastic share of a Hebbian or Oja trace.",
        "miconi2018",
    ),
    _memory(
        "backpropamine",
        "backpropamine:Backpropamine",
        "A Hebbian trace whose every change is gated by a learned neuromodulator.",
        "miconi2019",
    ),
    _memory(
        "delta",
        "delta:Delta",
        "Writes the error of what a key already reads, so a key is overwritten, not added to.",
        *("widrow1960", "schlag2021", "yang2024"),
    ),
    _memory("gated-delta", "gated_delta:GatedDelta", "The delta rule with a learned decay at every write.", "yang2025"),
    _memory("oja", "oja:Oja", "Oja's subspace rule: Hebbian growth that bounds itself.", "oja1982", "oja1989"),
    _memory(
        "mean", "mean:Mean", "A control: the mean of what was written, with a read-out of two layers.", "zaheer2017"
    ),
    _memory(
        "recurrent",
        "recurrent:Recurrent",
        "A control: an LSTM over what is written, with a read-out of two layers.",
        *("hochreiter1997", "gers2000"),
    ),
    _memory("hopfield", "hopfield:Hopfield", "Keeps every input, and reads by softmax attention.", "ramsauer2021"),
    _backbone("conv", "conv:Conv", "A plain stack of convolutions, as the paper uses.", "harris2019"),
    _backbone(
        "mobilenetv2-cifar",
        "mobilenetv2_cifar:MobileNetV2Cifar",
        "The MobileNetV2 for small images that the paper's CIFAR-10 code has.",
        *("harris2019", "sandler2018"),
    ),
    _backbone(
        "spatial-softmax",
        "spatial_softmax:SpatialSoftmax",
        "A stack of convolutions, and of each of its maps the point where it is active.",
        *("levine2016", "finn2016"),
    ),
    _backbone(
        "dense",
        "dense:Dense",
        "Fully connected layers; without any, the pixels themselves.",
        *("mnih2014", "gregor2015"),
    ),
    _backbone("stn", "stn:Stn", "One affine view of the image, and the network that sees it.", "jaderberg2015"),
    _backbone(
        "timm",
        "timm_network:TimmNetwork",
        "Any network of timm by its name there, with its early strides lowered for small images.",
        "wightman2019",
        takes_argument=True,
    ),
    _locator("affine", "affine:Affine", "Six numbers: a spatial transformer's affine glimpse.", "jaderberg2015"),
    _locator("crop", "crop:Crop", "A position and one scale.", "mnih2014", "jaderberg2015"),
    _locator("retina", "retina:Retina", "A position alone: RAM's retina, whose views keep their widths.", "mnih2014"),
    _locator("filterbank", "filterbank:FilterBank", "DRAW's grid of Gaussian filters.", "gregor2015"),
    _policy("deterministic", "deterministic:Deterministic", "Looks where the model says: the paper's.", "harris2019"),
    _policy(
        "gaussian",
        "gaussian:Gaussian",
        "Looks around where the model says while it learns, by REINFORCE; in use exactly there.",
        *("williams1992", "mnih2014"),
    ),
    _policy(
        "supervised",
        "supervised:Supervised",
        "Looks where the model says, and learns it from the boxes of things too.",
        "ablavatski2017",
    ),
    _policy("random", "random:Random", "Looks anywhere: a control.", "mnih2014"),
    _policy("fixed", "fixed:Fixed", "Looks in the middle, along a raster, or at poses that are given: a control."),
    _canvas("addition", "addition:Addition", "Sketches add up; a sigmoid ends it.", "harris2019"),
    _canvas(
        "bernoulli",
        "bernoulli:Bernoulli",
        "Each sketch replaces what its learned mask covers.",
        *("harris2019", "maddison2017", "jang2017", "porter1984"),
    ),
    _head(
        "classification",
        "classification:ClassificationHead",
        "Reads the finished memory once and classifies.",
        "harris2019",
    ),
    _head(
        "drawing",
        "drawing:DrawingHead",
        "Reads the memory after every glimpse and draws a sketch of each.",
        *("harris2019", "kingma2014", "higgins2017"),
    ),
    _head("regression", "regression:RegressionHead", "Reads the finished memory once and gives k numbers."),
    _head("recall", "recall:RecallHead", "Answers questions that are put after looking, one read each.", "harris2019"),
    _head("multilabel", "multilabel:MultilabelHead", "Reads the finished memory once and gives k yes-or-no labels."),
    _data("digits", "known_sets:Digits", "The 1,797 digits inside scikit-learn, enlarged to 16x16."),
    _data("mnist", "known_sets:Mnist", "MNIST: 70,000 digits of 28x28.", "lecun1998"),
    _data("fashion-mnist", "known_sets:Mnist", "Fashion-MNIST: 70,000 pieces of clothing of 28x28.", "xiao2017"),
    *(
        _data(name, "known_sets:Emnist", f"EMNIST, its split {name.partition('-')[2] or 'balanced'}.", "cohen2017")
        for name in ("emnist", *(f"emnist-{split}" for split in EMNIST_SPLITS))
    ),
    _data("cifar10", "known_sets:Cifar10", "CIFAR-10: 60,000 colour pictures of 32x32.", "krizhevsky2009"),
    _data("celeba", "known_sets:CelebA", "CelebA: 200,000 faces, cut to the square around the face.", "liu2015"),
    _data("folder", "folder_set:Folder", "A folder of pictures for each class."),
    _data("figure-ground", "figure_ground:FigureGround", "MNIST's digits on patches of photographs, and masks."),
    _data("clutter", "clutter:Clutter", "Scenes of digits among pieces of others, made anew each epoch.", "mnih2014"),
)
