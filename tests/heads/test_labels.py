"""Two heads of one kind in a model, by a label, and the weight of each head's losses."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.errors import ConfigError, InputError
from stawm.export import OnnxModel, to_onnx
from stawm.heads.output import Latent, Noise, Output
from stawm.training import data, evaluate, train
from stawm.training.learner import Learner, summed_losses
from tests.small import inputs, shaken, tiny

PARITY = {"name": "classification", "label": "parity", "classes": 2}
SECOND = {"name": "drawing", "label": "second", "latent": 3}
ALL = ["classification", PARITY, "drawing", SECOND]
ROUNDING = 1e-12
PIXELS = {"mean": (0.0,), "std": (1.0,)}


def model_of(heads: Any, **changes: Any) -> Any:
    return shaken(tiny(heads=heads, canvas="bernoulli", **PIXELS, **changes)).double().eval()


def alone(whole: Any, kind: str, label: str | None) -> Any:
    """The model with one of its heads alone, without the label, on the same weights."""
    head = whole.config.head(label or kind)
    model = stawm.build(whole.config, heads=[head.replace(label=None)]).double().eval()
    start = f"heads.{label or kind}."
    own = {name.replace(start, f"heads.{kind}."): value for name, value in whole.state_dict().items()}
    model.load_state_dict({name: value for name, value in own.items() if name in model.state_dict()}, strict=False)
    return model


def plain(output: Output, label: str | None) -> dict[str, Tensor]:
    """What one head gave, by the plain names."""
    start = f"{label}_" if label else ""
    names = ("logits", "glimpse_logits", "mu", "logvar", "sketches", "canvases", "masks", "canvas")
    named = output.named()
    return {name: named[start + name] for name in names if start + name in named}


@pytest.mark.parametrize(
    ("kind", "label", "noise"),
    [
        ("classification", None, None),
        ("classification", "parity", None),
        ("drawing", None, (slice(0, 4), slice(0, 1))),
        ("drawing", "second", (slice(4, 7), slice(1, 2))),
    ],
)
def test_each_head_answers_as_if_it_were_alone(kind: str, label: str | None, noise: Any) -> None:
    """Its query is asked of the same memory, and of the noise that stands side by side it takes its own."""
    whole = model_of(ALL)
    images, _ = inputs(whole)
    drawn = Noise(torch.randn(2, 3, 7).double(), torch.rand(2, 3, 2, 12, 12).double().clamp(0.01, 0.99))
    own = Noise() if noise is None else Noise(drawn.latent[:, :, noise[0]], drawn.mask[:, :, noise[1]])  # pyright: ignore
    found = plain(whole(images, noise=drawn, glimpse_logits=True), label)
    expected = plain(alone(whole, kind, label)(images, noise=own, glimpse_logits=True), None)
    assert {"logits", "glimpse_logits"} <= expected.keys() or {"mu", "masks"} <= expected.keys()
    for name, value in expected.items():
        if kind == "drawing" or "logits" in name:
            torch.testing.assert_close(found[name], value, rtol=ROUNDING, atol=ROUNDING)


def test_what_is_given_has_the_names_that_are_declared() -> None:
    model = model_of(ALL)
    output = model(inputs(model)[0])
    assert isinstance(output.latent, Latent)
    assert output.parity_logits.shape == (2, 2)
    assert output.second_mu.shape == (2, 3, 3)
    assert not [name for name in output.named() if "glimpse_logits" in name], "not asked for"
    assert model.noise_shapes(3) == {"latent": (3, 7), "mask": (3, 2, 12, 12)}


def test_losses_go_by_the_label_and_by_their_weights() -> None:
    weights = {"classification": 1.0, "parity": 0.5, "drawing": 1.0, "second": 3.0}
    plainly = model_of(ALL)
    changes: dict[str, Any] = {f"heads.{name}.weight": value for name, value in weights.items()}
    model = stawm.build(plainly.config, **changes).double()
    model.load_state_dict(plainly.state_dict())
    images, labels = inputs(model)
    targets = {"classification": labels, "parity": labels % 2}
    before, after = (each.eval().loss(each(images), images, targets) for each in (plainly, model))
    scaled = {
        "classification": 1.0,
        "parity_classification": 0.5,
        "reconstruction": 1.0,
        "kl": 1.0,
        "second_reconstruction": 3.0,
        "second_kl": 3.0,
    }
    assert set(after) == {*scaled, "total"}
    for name, weight in scaled.items():
        assert after[name].item() == weight * before[name].item(), name
    assert after["total"].item() == pytest.approx(sum(after[name].item() for name in scaled), rel=1e-12)


def test_a_weight_of_one_changes_nothing_and_none_stops_a_head_from_learning() -> None:
    images, labels = inputs(tiny())
    gradients = []
    for weight in (None, 1.0, 0.0):
        drawing = "drawing" if weight is None else {"name": "drawing", "weight": weight}
        model = shaken(tiny(heads=["classification", drawing])).eval()
        model.loss(model(images), images, labels)["total"].backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
    assert not any(grad.any() for name, grad in gradients[2].items() if name.startswith("heads.drawing"))
    assert any(grad.any() for name, grad in gradients[2].items() if name.startswith("heads.classification"))


def test_summed_losses_and_smoothed_labels_of_every_head() -> None:
    summing = {**PARITY, "classes": 10, "reduction": "sum", "weight": 2.0}
    model = model_of(["classification", summing, "drawing", SECOND]).train()
    drawn = ("reconstruction", "early_reconstruction")
    assert summed_losses(model.config) == {
        *("parity_classification", "parity_early", *drawn, *(f"second_{name}" for name in drawn))
    }
    pixels, labels = torch.rand(4, 1, 12, 12).double(), torch.arange(4)
    found = []
    for smoothing in (0.0, 0.3):
        torch.manual_seed(0)
        found.append(Learner(model, label_smoothing=smoothing)(pixels, labels)[0])
    torch.manual_seed(0)
    output = model(model.normalise(pixels))
    cross: Any = torch.nn.functional.cross_entropy
    more = [
        weight * (cross(logits, labels, **form, label_smoothing=0.3) - cross(logits, labels, **form)).item()
        for logits, weight, form in ((output.logits, 1, {}), (output.parity_logits, 2, {"reduction": "sum"}))
    ]
    assert found[1]["total"].item() - found[0]["total"].item() == pytest.approx(sum(more), rel=1e-9)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0] if name != "total")


def test_overrides_reach_a_head_by_its_label() -> None:
    config = stawm.config("stawm-digits", heads=["classification", PARITY])
    changed = stawm.config(config, **{"heads.classification.dropout": 0.3, "heads.parity.dropout": 0.1})
    assert [head.to_dict()["dropout"] for head in changed.heads] == [0.3, 0.1]
    assert stawm.config(config, heads=["parity"]).heads == (config.heads[1],)
    assert (config.classes, config.head("parity").classes, len(config.class_names)) == (10, 2, 10)
    assert stawm.config(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        (["classification", "classification"], "each with a name or label of its own, such as"),
        ([PARITY, PARITY], "each with a name or label of its own"),
        ([{**PARITY, "label": "drawing"}], "no head can have the label 'drawing', as a kind of heads"),
        *(([{**PARITY, "label": x}], "label must be a letter, then") for x in ("", "1st", "a.b", "a b", "noise")),
        ([{**PARITY, "label": "type"}], "No head can be called 'type', as every module of PyTorch"),
        ([{**PARITY, "label": "glimpse"}], "'glimpse_logits' is a field of others"),
        ([{**PARITY, "weight": -1}], r"weight must be a number in \[0, inf\); got -1"),
    ],
)
def test_labels_and_weights_that_cannot_be(heads: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tiny(heads=heads)


def test_a_baseline_asks_no_queries() -> None:
    with pytest.raises(ConfigError, match="has each head once"):
        stawm.build("mnv2-cifar", heads=["classification", PARITY])


def test_all_heads_of_a_kind_may_have_labels() -> None:
    model = model_of([{**SECOND, "label": "first"}, SECOND])
    output = model(inputs(model)[0])
    assert output.canvas is None
    assert output.first_canvas.shape == output.second_canvas.shape == (2, 1, 12, 12)
    assert not model.config.draws


def test_one_tensor_of_classes_is_for_heads_of_as_many_classes() -> None:
    model = tiny(heads=["classification", PARITY], **PIXELS)
    pixels, labels = torch.rand(4, 1, 12, 12), torch.arange(4)
    with pytest.raises(InputError, match="classification 10 classes, parity 2 classes"):
        model.loss(model(pixels), pixels, labels)
    with pytest.raises(InputError, match=r"classes apart \(classification 10, parity 2\)"):
        evaluate(model, data.ImageSet(pixels, labels, ()))


def test_a_run_learns_and_measures_both_and_notes_the_weights(tmp_path: Path) -> None:
    digits = data.load("digits")
    few = data.Splits(digits.train.take(slice(0, 72)), digits.test.take(slice(0, 40)))
    heads = ["classification", {**PARITY, "classes": 10, "weight": 0.5}]
    options: dict[str, Any] = {"cpu": True, "quiet": True, "pictures": 0, "recipe.epochs": 1}
    sizes: dict[str, Any] = {"memory_size": 8, "hidden_size": 16, "glimpses": 2}
    run = train("stawm-digits", data=few, out=tmp_path, heads=heads, **options, **sizes)
    (entry,) = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert entry["loss_weights"] == {"classification": 1.0, "parity": 0.5}
    assert set(entry["loss"]) == {"classification", "parity_classification", "total"}
    measured = run.evaluation.by_head
    assert measured is not None
    model, test = run.model, few.test
    answers = model.predict(test.images[:]).parity_logits
    assert measured["parity"]["error"] == (answers.argmax(dim=1) != test.labels).double().mean().item()
    assert measured["parity"]["nll"] == pytest.approx(-answers[range(40), test.labels].mean().item(), rel=1e-5)
    loaded = stawm.load(run.checkpoint)
    assert loaded.config == model.config
    assert torch.equal(loaded.predict(test.images[:]).parity_logits, answers)


@pytest.mark.parametrize("kind", [pytest.param("rollout", marks=pytest.mark.long), "step"])
def test_graphs_give_what_every_head_gives(tmp_path: Path, kind: Any) -> None:
    model = model_of(ALL, glimpses=2).float()
    path = tmp_path / ("m.onnx" if kind == "rollout" else "m")
    report = to_onnx(model, path, graph=kind, outputs="all", sample=True)
    assert report.ok
    pixels = torch.rand(3, 1, 12, 12)
    noise = Noise(torch.randn(3, 2, 7), torch.rand(3, 2, 2, 12, 12).clamp(0.01, 0.99))
    found = OnnxModel(path, device="cpu")(pixels, noise=noise).named()
    expected = model(pixels, noise=noise, glimpse_logits=True).named()
    missing = {"sketches"}  # which no graph gives of a drawing without a label
    assert expected.keys() - found.keys() == missing
    for name in expected.keys() - missing:
        torch.testing.assert_close(torch.as_tensor(found[name]), expected[name], rtol=1e-4, atol=1e-5)
