"""Training learns, repeats itself under a seed, goes on exactly, and stops at numbers that are none."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import stawm
from stawm.errors import CheckpointError, ConfigError, InputError
from stawm.storage import shipped
from stawm.storage.checkpoint import WEIGHTS
from stawm.training import DivergedError, data, evaluate, train, trainer
from stawm.training import state as states
from stawm.training.loop import LAST_GOOD, _memory_rates
from stawm.training.recipes import find
from stawm.training.report import LOG
from stawm.training.run import Run
from stawm.training.state import FOLDER
from tests.training.tiny import TINY, weights

SHORT: dict[str, Any] = {"recipe.epochs": 3, "recipe.batch": 16, "cpu": True, "quiet": True}


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k not in ("seconds", "images_per_second")} for entry in history]


def test_it_learns(tmp_path: Path):
    before = evaluate(stawm.build("stawm-digits", seed=0), data.load("digits").test).error
    result = train("stawm-digits", data="digits", out=tmp_path, cpu=True, quiet=True, **{"recipe.epochs": 4})
    assert before is not None
    assert result.evaluation.error is not None
    assert result.evaluation.error < 0.25 < before
    assert len(result.history) == 4
    assert not result.model.training


def test_the_checkpoint_is_the_model_with_its_provenance(tmp_path: Path, few: data.Splits):
    result = train("stawm-digits", data=few, out=tmp_path, seed=5, **TINY, **SHORT)
    loaded = stawm.load(tmp_path / WEIGHTS)
    assert torch.equal(weights(loaded), weights(result.model))
    assert evaluate(loaded, few.test, by_glimpse=True) == result.evaluation
    provenance = stawm.inspect(tmp_path / WEIGHTS).provenance
    assert provenance["seed"] == 5
    assert provenance["recipe"]["epochs"] == 3
    assert provenance["test"]["error"] == result.evaluation.error


def test_the_log_is_the_history(tmp_path: Path, few: data.Splits):
    result = train("stawm-digits", data=few, out=tmp_path, **TINY, **SHORT)
    logged = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert logged == json.loads(json.dumps(result.history))
    assert [entry["epoch"] for entry in logged] == [1, 2, 3]
    assert {"step", "rate", "loss", "rates", "error", "images_per_second"} <= set(logged[0])


def test_a_seed_repeats_a_run_and_another_one_does_not(tmp_path: Path, few: data.Splits):
    runs = [
        train("stawm-digits", data=few, out=tmp_path / str(i), seed=s, **TINY, **SHORT) for i, s in enumerate((0, 0, 1))
    ]
    first, again, other = (weights(run.model) for run in runs)
    assert torch.equal(first, again)
    assert timeless(runs[0].history) == timeless(runs[1].history)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("heads", "every"), [("classification", 5.0), ("drawing", 0.0)])
def test_a_run_that_was_broken_off_goes_on_exactly(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, heads: str, every: float
):
    model = {**TINY, "heads": heads, "class_names": [], "mean": [0.0], "std": [1.0]}
    unbroken = train("stawm-digits", data=few, out=tmp_path / "a", **model, **SHORT)
    one_step = Run.one_step

    def breaking(self: Run, *args: Any) -> Any:
        if self.step == 8:
            raise KeyboardInterrupt
        return one_step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "one_step", breaking)
        with pytest.raises(KeyboardInterrupt):
            train("stawm-digits", data=few, out=tmp_path / "b", save_every=every, **model, **SHORT)
    assert not (tmp_path / "b" / WEIGHTS).exists()
    kept = states.load(tmp_path / "b" / FOLDER)
    assert kept is not None
    assert kept["run"]["step"] == (8 if every == 0 else 5)
    log = tmp_path / "b" / LOG
    log.write_text(log.read_text() + '{"epoch": 2, "st')  # torn
    torch.manual_seed(99)
    resumed = train("stawm-digits", data=few, out=tmp_path / "b", **model, **SHORT)
    assert torch.equal(weights(unbroken.model), weights(resumed.model))
    assert timeless(unbroken.history) == timeless(resumed.history)
    assert len((tmp_path / "b" / LOG).read_text().splitlines()) == 3


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path, few: data.Splits):
    before = torch.get_rng_state()
    train("stawm-digits", data=few, out=tmp_path, **TINY, **SHORT)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_finished_run_is_not_run_again(tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch):
    first = train("stawm-digits", data=few, out=tmp_path, **TINY, **SHORT)
    monkeypatch.setattr(Run, "one_step", None)
    assert torch.equal(
        weights(train("stawm-digits", data=few, out=tmp_path, **TINY, **SHORT).model), weights(first.model)
    )


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, few: data.Splits) -> Path:
    """The folder of a run that is over, and was made on enlarged images, so that they may be resized."""
    out = tmp_path_factory.mktemp("begun")
    train("stawm-digits", data=few, out=out, **TINY, **SHORT)
    return out


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"precision": "bf16"}, "precision is 'fp32' there and 'bf16' here"),
        ({"validation": 20}, "validation is 0 there and 20 here"),
        ({"train_images": 70}, "train_images is None there and 70 here"),
        ({"compile": True}, "compile is False there and True here"),
        ({"resize": True}, "resize is False there and True here"),
        ({"start": "{start}"}, "start is None there and '[0-9a-f]{64}' here"),
        ({"recipe.rate": 0.5}, r"recipe\.rate is 0\.004 there and 0\.5 here"),
        ({"recipe.augmentation.flip": True}, r"recipe\.augmentation\.flip is False there and True here"),
        ({"dropout": 0.25, "seed": 1}, r"seed is 0 there and 1 here; config\.dropout is 0\.\d+ there and 0\.25 here"),
        ({"memory": "hopfield"}, r"config\.memory\.name is 'hebb-rosenblatt' there and 'hopfield' here; .*"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(
    begun: Path, tmp_path: Path, few: data.Splits, other: dict[str, Any], said: str
):
    stawm.save(stawm.build("stawm-digits", **TINY), tmp_path / "m.safetensors")
    given = {k: tmp_path / "m.safetensors" if v == "{start}" else v for k, v in other.items()}
    with pytest.raises(InputError, match=rf"holds another run: {said}\. Give another folder"):
        train("stawm-digits", data=few, out=begun, **TINY, **SHORT, **given)


@pytest.mark.parametrize("other", [{"quiet": False}, {"pictures": 0}, {"save_every": 0}, {"download": True}])
def test_what_decides_no_number_may_be_another_when_a_run_goes_on(begun: Path, few: data.Splits, other: dict[str, Any]):
    again = train("stawm-digits", data=few, out=begun, **{**TINY, **SHORT, **other})
    assert len(again.history) == 3


def at_step(step: int, change: Any) -> Any:
    """One step, before which the model is changed where it is a certain one."""
    one_step = Run.one_step

    def changed(self: Run, *args: Any) -> Any:
        if self.step == step:
            change(self)
        return one_step(self, *args)

    return changed


def poison(run: Run) -> None:
    next(run.model.parameters()).data.fill_(torch.nan)


def explode(run: Run) -> None:
    run.model.memory.config = run.model.memory.config.replace(normalise=None)
    run.model.memory.raw_eta.data.fill_(1e6)
    run.model.heads["classification"].classifier.linear.bias.data[0] = 1e5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (poison, r"diverged at step 7: its loss or gradient is not finite\. The largest \|e\|² was nan"),
        (explode, r"diverged at step 7: its loss is \d.*, and was 2\..*diagnosis: .*are no contractions"),
    ],
)
def test_diverging_stops_with_the_step_and_keeps_the_weights_before(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, change: Any, said: str
):
    with monkeypatch.context() as patch:
        patch.setattr(Run, "one_step", at_step(6, change))
        with pytest.raises(DivergedError, match=said) as stopped:
            train("stawm-digits", data=few, out=tmp_path, **TINY, **SHORT)
    assert "diagnosis: " in str(stopped.value)
    assert f"The weights of step 5 are kept in {tmp_path / LAST_GOOD}" in str(stopped.value)
    kept = states.load(tmp_path / FOLDER)
    assert kept is not None
    assert kept["run"]["step"] == 5
    good = stawm.load(tmp_path / LAST_GOOD)
    assert all(torch.equal(w, kept["run"]["average"][name]) for name, w in good.state_dict().items())
    again = train("stawm-digits", data=few, out=tmp_path / "again", start=tmp_path / LAST_GOOD, **TINY, **SHORT)
    assert again.evaluation.error is not None


def test_diverging_at_once_says_that_nothing_is_kept(tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Run, "one_step", at_step(0, poison))
    with pytest.raises(DivergedError, match=r"diverged at step 1: .*No state was saved before"):
        train("stawm-digits", data=few, out=tmp_path, **TINY, **SHORT)
    assert not (tmp_path / LAST_GOOD).exists()


def test_everything_is_checked_before_training(tmp_path: Path, few: data.Splits):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"):
        train("stawm-digits", data=few, out=tmp_path / "file", **TINY, **SHORT)
    with pytest.raises(ConfigError, match="'epochs'"):
        train("stawm-digits", data=few, out=tmp_path, **TINY, **{"recipe.epoch": 3})
    enlarged = data.ImageSet(few.test.images.repeat(1, 1, 2, 2), few.test.labels, few.test.class_names)
    for part in (data.Splits(few.train, enlarged), data.Splits(enlarged, few.test)):
        with pytest.raises(InputError, match=r"takes images of 1x16x16; got [34]0 of 1x32x32"):
            train("stawm-digits", data=part, out=tmp_path / "x", validation=10, **TINY, **SHORT)
    heads = {"classification": {"classes": 3}}
    with pytest.raises(InputError, match="takes images of 1x32x32; got 72 of 1x16x16"):
        train("stawm-cifar-draw-16", data=few, out=tmp_path / "x", **SHORT)
    with pytest.raises(InputError, match="10 classes, the model tells 3 apart"):
        train("stawm-digits", data=few, out=tmp_path / "x", heads=heads, class_names=[], **TINY, **SHORT)


def test_every_memory_trains_and_logs_its_rates(tmp_path: Path, few: data.Splits):
    names = stawm.list_names("memory", origin="stawm")
    assert len(names) == 10
    for name in names:
        short = {**SHORT, "recipe.epochs": 1}
        result = train("stawm-digits", data=few, out=tmp_path / name, memory=name, **TINY, **short)
        rates = getattr(result.model.memory, "rates", None)
        assert set(result.history[-1].get("rates", {})) == set(() if rates is None else rates._fields), name


def test_a_rate_may_be_many_numbers():
    class Rates(NamedTuple):
        decay: Tensor
        gain: float

    def logged(rates: Any) -> dict[str, Any]:
        model = nn.Module()
        model.memory = SimpleNamespace(rates=rates)
        return _memory_rates(model)

    assert logged(Rates(torch.tensor([0.5, 0.25]), 0.5)) == {"decay": [0.5, 0.25], "gain": 0.5}
    assert logged(0.5) == logged(None) == _memory_rates(nn.Module()) == {}


def test_bf16_trains(tmp_path: Path, few: data.Splits):
    result = train("stawm-digits", data=few, out=tmp_path, precision="bf16", **TINY, **SHORT)
    assert all(torch.isfinite(w).all() for w in result.model.state_dict().values())


def test_a_validation_part_is_held_out_of_training(tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch):
    seen: list[torch.Tensor] = []
    one_step = Run.one_step

    def watching(self: Run, raw: torch.Tensor, *args: Any) -> Any:
        seen.append(raw)
        return one_step(self, raw, *args)

    monkeypatch.setattr(Run, "one_step", watching)
    result = train("stawm-digits", data=few, out=tmp_path, validation=20, **TINY, **SHORT)
    rows = {tuple(image.flatten().tolist()) for batch in seen for image in batch}
    held = {tuple(image.flatten().tolist()) for image in few.train.images[-20:]}
    assert len(rows) == 52
    assert not rows & held
    assert result.history[-1]["images"] == 20
    assert result.evaluation.images == 40


def test_thresholds_are_fitted_on_all_training_images(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch
):
    fitted = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        fitted.append(kwargs["fit"])
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(trainer, "evaluate", noted)
    train("stawm-digits", data=few, out=tmp_path, validation=20, train_images=30, **TINY, **SHORT)
    assert len(fitted) == 1
    assert fitted[0] is few.train


def test_it_can_learn_from_the_first_images_alone(tmp_path: Path, few: data.Splits):
    some = train("stawm-digits", data=few, out=tmp_path / "a", validation=20, train_images=30, **TINY, **SHORT)
    cut = data.Splits(few.train.take(slice(0, 30)), few.train.take(slice(-20, None)))
    same = train("stawm-digits", data=cut, out=tmp_path / "b", **TINY, **SHORT)
    for name, weight in some.model.state_dict().items():
        assert torch.equal(weight, same.model.state_dict()[name]), name
    assert some.history[-1]["error"] == same.history[-1]["error"]
    with pytest.raises(InputError, match="There are 52 images to take from; 53 were asked for"):
        train("stawm-digits", data=few, out=tmp_path / "c", validation=20, train_images=53, **TINY, **SHORT)


def test_every_fault_of_the_arguments_is_told_together(tmp_path: Path, few: data.Splits, unchecked: None):
    wrong: dict[str, Any] = {"seed": -1, "save_every": True, "glimpses": 0, "recipe.epoch": 3, "precisoin": "bf16"}
    with pytest.raises(ConfigError) as error:
        train("stawm-digits", data=few, out=tmp_path, **wrong)
    assert [
        fault.partition(";")[0].partition("It has")[0].partition("Fields of")[0] for fault in error.value.faults
    ] == [
        "options: seed must be an integer in [0, 4294967295]",
        "options: save_every must be a number in [0, inf)",
        "No option of a run and no field of a model is named 'precisoin'. Did you mean 'precision'? ",
        "stawm-digits: glimpses must be an integer in [1, 10000]",
        "The recipe has no field 'epoch'. Did you mean 'epochs'? ",
    ]
    with pytest.raises(InputError, match="72 images"):
        train("stawm-digits", data=few, out=tmp_path, validation=72, **TINY, **SHORT)


def test_it_starts_from_weights_that_ship(tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch):
    stawm.save(stawm.build("stawm-digits", seed=7, **TINY), tmp_path / "stawm-digits.safetensors")
    monkeypatch.setattr(shipped, "weights_folder", lambda: tmp_path)
    by_name = train("stawm-digits", data=few, out=tmp_path / "a", start="stawm-digits", **TINY, **SHORT)
    start = tmp_path / "stawm-digits.safetensors"
    by_path = train("stawm-digits", data=few, out=tmp_path / "b", start=start, **TINY, **SHORT)
    for name, weight in by_name.model.state_dict().items():
        assert torch.equal(weight, by_path.model.state_dict()[name]), name
    noted = stawm.inspect(by_name.checkpoint).provenance
    assert (noted["start"], noted["start_sha256"]) == ("stawm-digits", stawm.inspect(start).sha256)
    with pytest.raises(CheckpointError, match="No weights come with stawm for 'stawm-cifar-mnv2'"):
        train("stawm-digits", data=few, out=tmp_path / "c", start="stawm-cifar-mnv2", **TINY, **SHORT)


def test_a_disk_without_room_stops_before_training(tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(states.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match="to keep its state"):
        train("stawm-digits", data=few, out=tmp_path, **TINY, **SHORT)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_the_size_of_a_state_is_known_before(tmp_path: Path, few: data.Splits, optimiser: str):
    """Exact but for what pickle adds: the names, the shapes, and the step of each weight."""
    sizes = {"memory_size": 64, "hidden_size": 128, "glimpses": 3}
    options = {"recipe.optimiser": optimiser, "recipe.epochs": 1, "cpu": True, "quiet": True}
    train("stawm-digits", data=few, out=tmp_path, **sizes, **options)
    newest = states.latest(tmp_path / FOLDER)
    assert newest is not None
    run = Run(stawm.config("stawm-digits", **sizes), find("fast", "stawm-digits", optimiser=optimiser), cpu=True)
    assert run.state_bytes() <= newest.stat().st_size <= run.state_bytes() * 1.1
