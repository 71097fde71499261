"""Heads that give further fields and learn other targets: losses, measures, exports, and what is refused."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import stawm
from stawm import registry
from stawm.configuration import Config as BaseConfig
from stawm.errors import ConfigError, InputError
from stawm.export import OnnxModel, OnnxOutput, to_onnx
from stawm.export.graphs.fields import available, axes_of, choose, in_order
from stawm.heads.base import Head, Query
from stawm.heads.output import Output
from stawm.training import evaluate, train
from stawm.training.data import ImageSet, Splits
from tests.small import inputs, shaken, tiny

REGRESSION = {"name": "regression", "values": 2, "names": ["x", "y"], "mean": [5.0], "std": [2.0, 3.0]}
MULTILABEL = {"name": "multilabel", "flags": 3}
BOTH = [REGRESSION, "classification", MULTILABEL]


class Spread(Head):
    """Gives a number for each read, and their mean, with no fields declared but those that a test asks for."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        name: str = "spread"
        every: bool = True
        """Whether it reads after each glimpse."""

    gives: ClassVar[tuple[str, str]] = ("steps", "mean_step")
    fields: ClassVar = {"steps": "b n", "mean_step": "b"}

    def __init__(self, config: Config | None = None, *, context_features: int, memory_size: int) -> None:
        super().__init__()
        self.config = config or self.Config()
        self.query = Query(context_features, memory_size)
        self.linear = nn.Linear(memory_size, 1)

    def reads(self, glimpses: int, *, every: bool = False) -> Any:
        return range(1, glimpses + 1)

    def observe(self, answers: Tensor, scene: Any) -> Any:
        found = self.linear(answers)[..., 0]
        return {self.gives[0]: found}, {"spread": found}

    def conclude(self, carried: Any) -> Any:
        return {self.gives[1]: carried["spread"].mean(dim=1)}

    def carries(self, noise: Any) -> Any:
        return {"spread": ()}

    def losses(self, output: Any, images: Any, targets: Any) -> Any:
        return {"spread": output.extra[self.gives[1]].square().mean()}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {**registry._registered})
    registry.register("head", "spread", summary="For tests.")(Spread)


def _targets() -> dict[str, Tensor]:
    return {
        "regression": torch.tensor([[5.0, 2.0], [9.0, -1.0]]),
        "classification": torch.tensor([1, 2]),
        "multilabel": torch.tensor([[1, 0, 1], [0, 0, 1]]),
    }


def test_each_head_has_its_loss_and_its_targets():
    model = shaken(tiny(heads=BOTH))
    images, _ = inputs(model)
    output = model(images)
    parts = model.loss(output, images, _targets())
    assert set(parts) == {"regression", "classification", "multilabel", "total"}
    scaled = (output.values - _targets()["regression"]) / torch.tensor([2.0, 3.0])
    assert torch.allclose(parts["regression"], scaled.square().mean(), rtol=1e-6)
    p, wanted = output.flag_logits.sigmoid(), _targets()["multilabel"]
    entropy = -torch.where(wanted == 1, p.log(), (1 - p).log()).mean()
    assert torch.allclose(parts["multilabel"], entropy, rtol=1e-5)
    parts["total"].backward()
    for name, parameter in model.heads.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_smooth_l1_is_linear_for_far_targets():
    model = shaken(tiny(heads={"name": "regression", "loss": "smooth-l1"}))
    images, _ = inputs(model)
    output = model(images)
    near, far = (output.values.detach() + torch.tensor([[gap], [gap]]) for gap in (0.5, 100.0))
    assert model.loss(output, images, near)["regression"].item() == pytest.approx(0.5 * 0.5**2, rel=1e-5)
    assert model.loss(output, images, far)["regression"].item() == pytest.approx(100 - 0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("heads", "targets", "says"),
    [
        ("regression", None, "'regression' learns floats of shape .2, 1.; got none"),
        ("regression", torch.tensor([1, 2]), "learns floats of shape .2, 1.; got torch.int64"),
        ("regression", torch.zeros(2, 2), "learns floats of shape .2, 1."),
        ("multilabel", None, "'multilabel' learns flags, 0 or 1, of shape .2, 10.; got none"),
        ("multilabel", torch.zeros(2, 3), "of shape .2, 10.; got torch.float32 of shape .2, 3."),
        (BOTH, torch.tensor([1, 2]), "regression values, classification classes, multilabel flags.: give these as a"),
        ("regression", {"regresion": torch.zeros(2, 1)}, "no head 'regresion' to learn targets; the model has regr"),
        (BOTH, {"regression": torch.zeros(2, 2)}, "needs labels"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_targets_are_refused(heads: Any, targets: Any, says: str):
    model = tiny(heads=heads)
    images, _ = inputs(model)
    with pytest.raises(InputError, match=says):
        model.loss(model(images), images, targets)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ({"name": "regression", "values": 3, "mean": [1.0, 2.0]}, "mean has 1 number or one for each of 3 values"),
        ({"name": "regression", "values": 3, "names": ["a"]}, "names has 1 names for 3 values"),
        ({"name": "regression", "std": [0.0]}, r"std must be a list of numbers in \(0, inf\)"),
        ({"name": "regression", "values": 10**9}, r"values must be an integer in \[1, 65536\]"),
        ({"name": "multilabel", "flags": 2, "names": ["a"]}, "names has 1 names for 2 flags"),
    ],
)
def test_wrong_configurations_are_refused(head: Any, says: str):
    with pytest.raises(ConfigError, match=says):
        stawm.config("stawm-digits", heads=head)


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"values": "b k"}, "The heads 'regression' and 'spread' both give 'values'"),
        ({"pose": "b n p"}, "'spread' declares a field 'pose', which no head can give"),
        ({"not a name": "b"}, "declares a field 'not a name'"),
        ({"named": "b"}, "declares a field 'named'"),
    ],
)
def test_fields_that_clash_are_refused_at_build(declared: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Spread, "fields", declared)
    with pytest.raises(ConfigError, match=says):
        tiny(heads=["regression", "spread"])


def test_a_field_that_two_heads_give_is_refused_where_it_was_not_declared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Spread, "fields", {})
    monkeypatch.setattr(Spread, "gives", ("steps", "values"))
    model = tiny(heads=["regression", "spread"])
    with pytest.raises(InputError, match="The heads 'regression' and 'spread' both give 'values'"):
        model(inputs(model)[0])


def test_what_graphs_can_give():
    model = tiny(heads=[*BOTH, "spread"])
    further = ("values", "flag_logits", "steps", "mean_step")
    assert available(model)[-4:] == further
    assert choose(model, None) == ("logits", "pose", "values", "flag_logits", "mean_step")
    assert axes_of(model)["steps"] == "b n"
    assert in_order(["values", "recall.x", "logits", "pose"]) == ("pose", "recall.x", "logits", "values")
    with pytest.raises(InputError, match=r"has no output 'value'\. Did you mean 'values'"):
        choose(model, ["value"])


EXPORTS = [
    ("step", [REGRESSION, "spread"], ["values", "steps", "mean_step"]),
    *(
        pytest.param(kind, [*BOTH, "spread"], ["logits", "values", "flag_logits", "steps"], marks=pytest.mark.long)
        for kind in ("rollout", "step")
    ),
]


@pytest.mark.parametrize(("kind", "heads", "outputs"), EXPORTS)
def test_graphs_give_the_fields_of_all_heads(kind: Any, heads: Any, outputs: list[str], tmp_path: Path):
    layers = {"layers": "2@3/2"}
    model = shaken(tiny(heads=heads, glimpses=2, hidden_size=4, context=layers, backbone=layers)).eval()
    path = tmp_path / ("graph.onnx" if kind == "rollout" else "graph")
    assert to_onnx(model, path, graph=kind, outputs=outputs).ok
    pixels, _ = inputs(model)
    with torch.no_grad():
        expected = model(model.normalise(pixels))
    found = OnnxModel(path)(pixels)
    assert isinstance(found, OnnxOutput)
    assert set(found.named()) == {*outputs}
    for name in outputs:
        scale = max(1.0, getattr(expected, name).abs().max().item())
        assert (getattr(found, name) - getattr(expected, name)).abs().max() <= 1e-4 * scale


def _set(labels: Tensor) -> ImageSet:
    pixels = torch.randint(0, 256, (len(labels), 1, 12, 12), dtype=torch.uint8)
    return ImageSet(pixels, labels, ())


def test_regression_is_measured_value_by_value():
    model = shaken(tiny(heads=REGRESSION)).eval()
    images = _set(torch.randn(5, 2))
    found = evaluate(model, images, batch=2)
    assert found.by_head is not None
    with torch.no_grad():
        error = (model(model.normalise(images.images / 255)).values - images.labels).double()
    assert found.by_head["regression"]["mae"]["x"] == pytest.approx(error[:, 0].abs().mean().item(), rel=1e-6)
    assert found.by_head["regression"]["rmse"]["y"] == pytest.approx(
        error[:, 1].square().mean().sqrt().item(), rel=1e-6
    )
    assert found.error is None
    assert "regression: mae x " in str(found)
    assert found.as_dict()["by_head"]["regression"]["mae"].keys() == {"x", "y"}


def test_labels_are_measured_label_by_label():
    head = tiny(heads={**MULTILABEL, "names": ["a", "b", "c"]}).heads["multilabel"]
    logits = torch.tensor([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]])
    there = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 0]])
    found = head.figures(head.measure(Output.of({"flag_logits": logits}), there), 3)
    assert found["accuracy"] == pytest.approx({"a": 1 / 3, "b": 2 / 3, "c": 1.0})
    assert found["f1"]["a"] == pytest.approx(0.5)
    assert found["f1"]["b"] == pytest.approx(2 / 3)
    assert found["f1"]["c"] is None
    assert found["mean_f1"] == pytest.approx((0.5 + 2 / 3) / 2)
    assert found["all_right"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("head", "labels"),
    [(REGRESSION, torch.rand(8, 2)), (MULTILABEL, torch.randint(0, 2, (8, 3)))],
    ids=["regression", "multilabel"],
)
def test_other_targets_are_trained_on(head: Any, labels: Tensor, tmp_path: Path):
    data = Splits(_set(labels), _set(labels))
    options = {"image": [1, 12, 12], "heads": [head], "glimpses": 2, "memory_size": 8, "hidden_size": 8}
    recipe = {"recipe.epochs": 2, "recipe.batch": 4}
    run = {"data": data, "out": tmp_path, "cpu": True, "quiet": True, "pictures": 0}
    result = train("stawm-digits", **run, **options, **recipe, class_names=[])
    name = head["name"]
    assert result.evaluation.by_head is not None
    assert name in result.evaluation.by_head
    assert all(math.isfinite(entry["loss"][name]) for entry in result.history)
    assert stawm.load(result.checkpoint).config == result.model.config
