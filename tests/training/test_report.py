"""What a run says: a log, TensorBoard, pictures."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import stawm
from stawm.errors import StawmError
from stawm.training import data, train
from stawm.training.loop import Tally
from stawm.training.report import BOARD, PICTURES, Board, Display, Log, draw_pictures, flat
from tests.training.tiny import TINY

SHORT: dict[str, Any] = {"recipe.epochs": 5, "recipe.batch": 16, "cpu": True, "quiet": True}
BOTH: dict[str, Any] = {"heads": ("classification", "drawing")}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, few: data.Splits) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("drawn")
    return out, train("stawm-digits", data=few, out=out, pictures=2, **TINY, **BOTH, **SHORT).history


def board(out: Path) -> EventAccumulator:
    found = EventAccumulator(str(out / BOARD))
    found.Reload()
    return found


def test_curves_are_on_the_board(drawn: tuple[Path, list[dict[str, Any]]]):
    out, history = drawn
    found = board(out)
    losses = {f"train/loss/{name}" for name in ("classification", "reconstruction", "kl", "total")}
    watched = {"train/gradient_norm", "train/largest_input", "train/images_per_second"}
    measured = {"epoch/error", "epoch/mse", "epoch/rate", "epoch/loss/total", "epoch/rates/eta"}
    assert losses | watched | measured <= set(found.Tags()["scalars"])
    assert not {f"epoch/{name}" for name in ("epoch", "step", "seconds", "images")} & set(found.Tags()["scalars"])
    errors = [(event.step, event.value) for event in found.Scalars("epoch/error")]
    assert errors == [(entry["step"], pytest.approx(entry["error"])) for entry in history]
    assert [event.step for event in found.Scalars("train/gradient_norm")] == [1, 21]
    assert found.Scalars("train/gradient_norm")[0].value > 0


def test_pictures_are_on_the_board_and_in_files(drawn: tuple[Path, list[dict[str, Any]]]):
    out, _ = drawn
    names = [f"epoch-{epoch:03d}-{name}.png" for epoch in (2, 4) for name in ("drawings", "looks")]
    assert sorted(path.name for path in (out / PICTURES).iterdir()) == names
    for path in (out / PICTURES).iterdir():
        with Image.open(path) as picture:
            assert picture.width > 100
    assert [event.step for event in board(out).Images("looks")] == [10, 20]


def test_no_pictures_where_there_are_none_to_make(few: data.Splits, tmp_path: Path):
    assert draw_pictures(stawm.build("bvae-cifar"), few.test, "") == {}
    train("stawm-digits", data=few, out=tmp_path, pictures=0, **TINY, **{**SHORT, "recipe.epochs": 1})
    assert not (tmp_path / PICTURES).exists()


def test_pictures_are_of_the_first_eight_images_with_their_classes(few: data.Splits):
    model = stawm.build("stawm-digits", **TINY)
    axes = draw_pictures(model, few.test, "a title")["looks"].axes
    scenes = axes[:: TINY["glimpses"] + 2]
    assert [axis.texts[0].get_text() for axis in scenes] == [f"label: {k}" for k in few.test.labels[:8].tolist()]
    nameless = stawm.build("stawm-digits", class_names=[], **TINY)
    assert not draw_pictures(nameless, few.test, "")["looks"].axes[0].texts


def test_the_bar_tells_epoch_losses_and_what_was_measured():
    bar = Display(3, 10, 12, quiet=True)

    def told() -> tuple[Any, ...]:
        task = bar.bar.tasks[0]
        return task.description, task.completed, task.total, task.fields["loss"], task.fields["measured"]

    assert told() == ("epoch 2/3", 12, 30, "", "")
    bar.step(19, {"classification": 0.123456, "kl": 2.0, "total": 2.123456}, 5.0)
    bar.measured({"error": 0.0312, "mse": 0.01})
    assert told() == ("epoch 2/3", 19, 30, "classification 0.123  kl 2", "  error 3.12%  mse 0.0100")
    bar.step(30, {"kl": 1.0}, 5.0)
    bar.measured({})
    assert told() == ("epoch 3/3", 30, 30, "kl 1", ""), "the last step belongs to the last epoch"


@pytest.mark.parametrize("quiet", [True, False])
def test_a_quiet_bar_shows_nothing(capsys: pytest.CaptureFixture[str], quiet: bool):
    with Display(1, 2, quiet=quiet) as bar:
        bar.step(1, {"kl": 1.0}, 5.0)
    shown = "".join(capsys.readouterr())
    assert (shown == "") == quiet


def test_a_run_that_goes_on_hides_what_it_says_again(tmp_path: Path):
    first = Board(tmp_path, 0)
    for step in (1, 2, 3):
        first.numbers({"a": 1.0}, step)
    first.close()
    again = Board(tmp_path, 1)
    again.numbers({"a": 2.0}, 2)
    again.close()
    assert [(event.step, event.value) for event in board(tmp_path).Scalars("train/a")] == [(1, 1.0), (2, 2.0)]


def test_numbers_inside_are_found():
    assert flat({"a": 1, "b": {"c": 0.5, "d": {"e": 2}}, "f": "word", "g": [1, 2]}) == {"a": 1, "b/c": 0.5, "b/d/e": 2}


def test_a_log_begins_with_the_history(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    log = Log(path, [{"epoch": 1}])
    log.write({"epoch": 2, "error": 0.5})
    assert path.read_text() == '{"epoch": 1}\n{"epoch": 2, "error": 0.5}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_log_that_cannot_be_written_names_what_is_kept(
    tmp_path: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    write = Log.write
    monkeypatch.setattr(Log, "write", lambda self, entry: (full if entry["epoch"] == 2 else write)(self, entry))
    with pytest.raises(StawmError, match=r"No space left on device\). .*step-000000005\.pt is kept"):
        train("stawm-digits", data=few, out=tmp_path, **TINY, **SHORT)


def test_a_tally_weighs_by_images_and_goes_on():
    tally = Tally()
    tally.add({"a": torch.tensor(2.0)}, 3)
    gone_on = Tally(**tally.state())
    gone_on.add({"a": torch.tensor(6.0)}, 1)
    assert gone_on.seen == 4
    assert gone_on.sums["a"].item() / gone_on.seen == 3.0
    assert gone_on.seconds >= tally.seconds
    assert gone_on.speed > 0
