"""A readout that is trained on kept glimpses learns what the whole model would."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import ConfigError
from stawm.training import data, train
from stawm.training.data.augment import Augmentation
from stawm.training.evaluation import evaluate
from stawm.training.learner import Learner
from stawm.training.readout import ReadoutLearner, ReadoutRun, answer, can_keep, keep
from stawm.training.recipes import Recipe
from stawm.training.run import Run

TINY: dict[str, Any] = {"memory_size": 8, "hidden_size": 16, "glimpses": 3}
DRAWING = stawm.config("stawm-digits", heads="drawing", class_names=(), mean=(0.0,), std=(1.0,), **TINY)
CLASSES = {"classification": {"dropout": 0.0}}
READOUT = stawm.config("stawm-digits", trainable="readout", heads=CLASSES, mean=(0.0,), std=(1.0,), **TINY)
SHORT: dict[str, Any] = {"recipe.epochs": 3, "recipe.batch": 16, "cpu": True, "quiet": True, "pictures": 0}


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawing") / "drawing.safetensors"
    stawm.save(stawm.build(DRAWING, seed=3), path)
    return path


def model_of(drawing: Path, **changes: Any) -> Any:
    return stawm.build(READOUT, pretrained=str(drawing), seed=0, **changes).train()


@pytest.mark.parametrize("memory", stawm.list_names("memory"))
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_its_gradients_are_the_whole_models(few: data.Splits, memory: str, smoothing: float):
    model: Any = stawm.build(READOUT, memory=memory, seed=0).train()
    kept = keep(model, few.train)
    pixels, labels = few.train.images[:20].float() / 255, few.train.labels[:20]
    learned = [p for p in model.parameters() if p.requires_grad]
    found = []
    for learner, inputs in (
        (Learner(model, label_smoothing=smoothing), (pixels,)),
        (ReadoutLearner(model, label_smoothing=smoothing), (kept.context[0, :20], kept.memory_input[0, :20])),
    ):
        parts, largest = learner(*inputs, labels)
        found.append((parts, largest, torch.autograd.grad(parts["total"], learned, allow_unused=True)))
    (parts, largest, gradients), (of_kept, largest_kept, gradients_of_kept) = found
    torch.testing.assert_close(of_kept, parts)
    torch.testing.assert_close(largest_kept, largest)
    assert any(gradient is not None and gradient.any() for gradient in gradients)
    for gradient, other in zip(gradients, gradients_of_kept, strict=True):
        torch.testing.assert_close(other, gradient)


def test_a_run_on_kept_glimpses_is_the_run_on_images(tmp_path: Path, few: data.Splits, drawing: Path):
    """In batches of other sizes a product rounds otherwise: equal to float arithmetic, not bit by bit."""
    plain = {"recipe.augmentation": dict.fromkeys(("rotation", "shift", "scale", "shear"), 0.0)}
    sgd = {"recipe.optimiser": "sgd", "recipe.rate": 0.1}
    of_kept, of_images = (
        train(READOUT, data=few, out=tmp_path / str(k), start=drawing, transfer_passes=k, **SHORT, **sgd, **plain)
        for k in (1, 0)
    )
    start = model_of(drawing).state_dict()
    for name, weight in of_images.model.state_dict().items():
        torch.testing.assert_close(of_kept.model.state_dict()[name], weight, rtol=1e-4, atol=1e-5)
        assert name.startswith(("heads.", "memory.")) or torch.equal(weight, start[name])
    assert of_kept.model.memory.rates != model_of(drawing).memory.rates
    losses = [[entry["loss"]["total"] for entry in run.history] for run in (of_kept, of_images)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_is_measured_is_what_the_model_answers(tmp_path: Path, few: data.Splits, drawing: Path):
    run = train(READOUT, data=few, out=tmp_path, start=drawing, **SHORT)
    measured = evaluate(run.model, few.test)
    assert {key: run.history[-1][key] for key in ("images", "error")} == {"images": 40, "error": measured.error}
    model, kept = run.model, keep(run.model, few.test)
    with torch.no_grad():
        logits = model(model.normalise(few.test.images.float() / 255)).logits
        torch.testing.assert_close(answer(model, kept.seen(0, slice(None))).logits, logits)


def test_answers_that_are_not_finite_are_no_measurement(few: data.Splits, drawing: Path):
    recipe = Recipe(name="short", epochs=1)
    run: Any = ReadoutRun(READOUT, recipe, passes=1, cpu=True, start=drawing)
    prepared = run.prepare(few.test)
    run.result.heads["classification"].classifier.linear.bias.data[2] = torch.nan
    said = "error not measured: what the model gives is not finite for 40 of 40 images"
    assert run.measure(prepared) == {"images": 40, "unanswered": 40, "notes": (said,)}


def test_passes_are_augmented_each_by_itself(few: data.Splits, drawing: Path):
    model = model_of(drawing)
    plain = keep(model, few.test)
    turned = keep(model, few.test, passes=2, augmentation=Augmentation(rotation=90), seed=1)
    assert turned.memory_input.shape == (2, *plain.memory_input.shape[1:])
    passes = [plain.memory_input[0], *turned.memory_input]
    assert all(not torch.allclose(passes[i], passes[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    again = keep(model, few.test, passes=2, augmentation=Augmentation(rotation=90), seed=1)
    assert torch.equal(again.memory_input, turned.memory_input)


def test_a_single_pass_sees_the_images_as_they_are(tmp_path: Path, few: data.Splits, drawing: Path):
    """Once looked at, an image would be the same in every epoch: augmented, it would only be worse."""
    plain, turned = (
        train(READOUT, data=few, out=tmp_path / str(degrees), start=drawing, transfer_passes=1, recipe=recipe, **SHORT)
        for degrees, recipe in (
            (degrees, Recipe(name="r", epochs=3, augmentation=Augmentation(rotation=degrees))) for degrees in (0, 90)
        )
    )
    for name, weight in plain.model.state_dict().items():
        assert torch.equal(turned.model.state_dict()[name], weight), name


def test_a_step_takes_one_pass_for_each_image(few: data.Splits, drawing: Path):
    recipe = Recipe(name="r", epochs=1, augmentation=Augmentation(rotation=90))
    run = ReadoutRun(READOUT, recipe, passes=3, start=drawing, cpu=True)
    kept = run.prepare(few.train, learn=True)
    rows = torch.arange(72)
    context, memory_input = run.inputs(rows, torch.Generator().manual_seed(0))
    taken = (kept.memory_input == memory_input).all(dim=(2, 3))
    assert taken.any(dim=0).all()
    assert taken.any(dim=1).all()
    assert context.shape == (72, run.model.loop.context.features)


def test_paper_looks_anew_in_each_step_and_ours_once(
    tmp_path: Path, few: data.Splits, drawing: Path, monkeypatch: pytest.MonkeyPatch
):
    kinds: list[type] = []
    one_step = Run.one_step

    def watching(self: Run, *args: Any) -> Any:
        kinds.append(type(self))
        return one_step(self, *args)

    monkeypatch.setattr(Run, "one_step", watching)
    for name in ("paper", "fast"):
        recipe = Recipe(name=name, epochs=1, frozen_passes=int(name == "fast"))
        train(READOUT, data=few, out=tmp_path / name, recipe=recipe, start=drawing, **{**SHORT, "recipe.epochs": 1})
    assert kinds == [Run] * 5 + [ReadoutRun] * 5


def test_what_it_needs_is_told(tmp_path: Path, few: data.Splits, drawing: Path):
    with pytest.raises(ConfigError, match="give the checkpoint of the drawing model"):
        train(READOUT, data=few, out=tmp_path, **SHORT)
    with pytest.raises(ConfigError, match="learns all"):
        train("stawm-digits", data=few, out=tmp_path, transfer_passes=1, **TINY, **SHORT)
    both = stawm.config(READOUT, heads=("classification", "drawing"))
    with pytest.raises(ConfigError, match="transfer_passes must be 0"):
        train(both, data=few, out=tmp_path, start=drawing, transfer_passes=2, **SHORT)


@pytest.mark.parametrize("preset", stawm.list_names("preset", origin="stawm"))
def test_the_self_supervised_presets_can_be_kept(preset: str):
    assert can_keep(stawm.config(preset)) == preset.endswith("-selfsup")


def test_the_memory_comes_with_its_weights(tmp_path: Path, few: data.Splits):
    """Rates of a bounded memory mean something else in a free one: what is trained has that of the checkpoint."""
    readout = {"preset": "stawm-digits", "trainable": "readout", "heads": CLASSES}
    for constrained in (True, False):
        path = tmp_path / f"{constrained}.safetensors"
        memory = {"constrained": constrained, "normalise": 0.5 if constrained else None}
        stawm.save(stawm.build(DRAWING, memory=memory, seed=3), path)
        options: dict[str, Any] = {**SHORT, "recipe.epochs": 1, "start": path, "recipe.rate": 1e-9}
        run = train(readout, data=few, out=tmp_path / str(constrained), **options)
        assert (run.model.config.memory.constrained, run.model.config.memory.normalise) == (*memory.values(),)
        assert (run.model.config.mean, run.model.config.glimpses) == ((0.0,), 3)
        torch.testing.assert_close(run.model.memory.rates.eta, torch.tensor(0.4))
        with pytest.raises(ConfigError, match=f"constrained={constrained}, and are of another form"):
            train(readout, data=few, out=tmp_path / "x", memory={"constrained": not constrained}, **options)
