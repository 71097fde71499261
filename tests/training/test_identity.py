"""A run knows what it was begun with: images, fields, machine; and the first version's runs go on."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import InputError, StawmError
from stawm.training import data, identity, train
from stawm.training.folder import NOTE
from stawm.training.options import RunOptions
from stawm.training.run import Run
from tests.training.test_folder import FIRST_VERSION
from tests.training.tiny import BRIEF, LEAST, weights

OPTIONS = {**LEAST, **BRIEF, "recipe.epochs": 3}


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory: pytest.TempPathFactory, few: data.Splits) -> Path:
    """The folder of a run that stands within its second epoch of three."""
    out, one_step = tmp_path_factory.mktemp("broken"), Run.one_step

    def breaking(self: Run, *args: Any) -> Any:
        if self.step == 8:
            raise KeyboardInterrupt
        return one_step(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "one_step", breaking)
        with pytest.raises(KeyboardInterrupt):
            train("stawm-digits", data=few, out=out, save_every=0, **OPTIONS)
    return out


@pytest.fixture
def out(broken_off: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(broken_off, tmp_path / "run"))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, few: data.Splits) -> torch.Tensor:
    """The weights of a run that was never broken off."""
    return weights(train("stawm-digits", data=few, out=tmp_path_factory.mktemp("whole"), **OPTIONS).model)


def of_both(change: Callable[[data.ImageSet], data.ImageSet]) -> list[Callable[[data.Splits], data.Splits]]:
    return [lambda few: data.Splits(change(few.train), few.test), lambda few: data.Splits(few.train, change(few.test))]


def one_pixel(images: data.ImageSet) -> data.ImageSet:
    pixels = images.images[:].clone()
    pixels[-1, 0, -1, -1] ^= 1
    return replace(images, images=pixels)


def other_label(images: data.ImageSet) -> data.ImageSet:
    labels = images.labels.clone()
    labels[0] = (labels[0] + 1) % 10
    return replace(images, labels=labels)


CHANGES: dict[str, Callable[[data.ImageSet], data.ImageSet]] = {
    "pixel": one_pixel,
    "label": other_label,
    "order": lambda images: images.take([1, 0, *range(2, len(images))]),
    "shrunk": lambda images: images.take(slice(0, len(images) // 3)),
    "grown": lambda images: images.take([*range(len(images)), *range(len(images))]),
    "one more": lambda images: images.take([*range(len(images)), 0]),
    "classes": lambda images: replace(images, class_names=tuple("abcdefghij")),
}


@pytest.mark.parametrize("part", [0, 1], ids=["train", "test"])
@pytest.mark.parametrize("change", CHANGES)
def test_other_images_are_another_run(out: Path, few: data.Splits, change: str, part: int):
    changed = of_both(CHANGES[change])[part](few)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as refused:
        train("stawm-digits", data=changed, out=out, **OPTIONS)
    # Other class names than the model's may be refused before.
    assert f"holds another run: images.{('train', 'test')[part]}." in str(refused.value) or change == "classes"
    assert {path: path.read_bytes() for path in before} == before


def test_the_same_images_from_elsewhere_are_the_same_run(out: Path, few: data.Splits, unbroken: torch.Tensor):
    noted = {"data": "mnist:/a", "images": identity.of_images(few)}
    assert identity.differences(noted, {**noted, "data": "mnist:/b"}) == []
    assert identity.differences(noted, {**noted, "seed": 1, "data": "given"}) == ["seed is 0 there and 1 here"]
    copied = data.Splits(*(part.take(slice(None)) for part in few))
    assert torch.equal(weights(train("stawm-digits", data=copied, out=out, **OPTIONS).model), unbroken)


def test_every_difference_is_told_with_both_values():
    before = {"seed": 0, "config": {"memory": {"name": "a", "decay": 0.5}, "image": (1, 2, 2)}, "recipe": {"rate": 1}}
    after = {"seed": 1, "config": {"memory": {"name": "b", "eta": 2}, "image": [1, 2, 2]}, "recipe": {"rate": 1}}
    assert identity.differences({**before, "images": 0}, {**after, "images": 0}) == [
        "seed is 0 there and 1 here",
        "config.memory.name is 'a' there and 'b' here",
        "config.memory.eta is unknown there and 2 here",
        "config.memory.decay is 0.5 there and unknown here",
    ]


def test_an_option_that_an_older_run_does_not_know_counts_as_left_out():
    noted = {key: value for key, value in RunOptions().note().items() if key != "validation"}
    assert identity.differences(noted, RunOptions().note()) == []
    assert identity.differences(noted, RunOptions(validation=3).note()) == ["validation is 0 there and 3 here"]


def test_many_differences_are_counted():
    now = {f"k{i}": i for i in range(20)}
    with pytest.raises(InputError, match=r"k7 is unknown there and 7 here; and 12 more\. Give another folder"):
        identity.check_same({}, now, Path("run"), inexact=False)


# The machine


@pytest.mark.parametrize("name", ["threads", "processes", "device"])
def test_another_machine_is_refused_or_said(
    out: Path, few: data.Splits, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
):
    here = identity.of_machine

    def elsewhere(*args: Any) -> dict[str, Any]:
        return {**here(*args), name: 3}

    monkeypatch.setattr(identity, "of_machine", elsewhere)
    with pytest.raises(InputError, match=rf"{name} is .* there and 3 here\. .* or allow other numbers with --inexact"):
        train("stawm-digits", data=few, out=out, **OPTIONS)
    train("stawm-digits", data=few, out=out, inexact=True, **{**OPTIONS, "quiet": False})
    assert "will not end bit by bit as it would have there" in capsys.readouterr().err


def test_threads_of_a_cpu_do_not_count_on_a_gpu():
    assert identity.of_machine(torch.device("cpu"), 2) == {"device": "cpu", "threads": 1, "processes": 2}
    assert identity.of_machine(torch.device("cuda"), 1)["threads"] is None


# The first version


def test_a_run_of_the_first_version_goes_on_exactly(
    tmp_path: Path, few: data.Splits, unbroken: torch.Tensor, capsys: pytest.CaptureFixture[str]
):
    out = Path(shutil.copytree(FIRST_VERSION, tmp_path / "run"))
    resumed = train("stawm-digits", data=few, out=out, **{**OPTIONS, "quiet": False})
    assert "did not note its images: these are taken to be the same" in capsys.readouterr().err
    assert len(resumed.history) == 3
    assert resumed.history[0]["seconds"] == json.loads((FIRST_VERSION / "log.jsonl").read_text())["seconds"]
    # Bits of the machine that wrote it; the weights are those of an unbroken run as far as two machines agree.
    torch.testing.assert_close(weights(resumed.model), unbroken, rtol=1e-3, atol=1e-4)
    assert (out / NOTE).exists()


def test_of_the_first_version_what_differs_is_told_too(tmp_path: Path, few: data.Splits):
    out = Path(shutil.copytree(FIRST_VERSION, tmp_path / "run"))
    with pytest.raises(InputError, match=r"another run: seed is 0 there and 1 here\. Give"):
        train("stawm-digits", data=few, out=out, seed=1, **OPTIONS)
    with pytest.raises(
        InputError, match=r"another run: data is 'given' there and 'digits' here; .*config\.glimpses is 2"
    ):
        train("stawm-digits", data="digits", out=out, **{**OPTIONS, "glimpses": 3})


@pytest.mark.parametrize("change", ["shrunk", "grown"])
def test_no_epoch_of_it_is_ever_empty(tmp_path: Path, few: data.Splits, change: str):
    out = Path(shutil.copytree(FIRST_VERSION, tmp_path / "run"))
    other = data.Splits(CHANGES[change](few.train), few.test)
    with pytest.raises(StawmError, match=r"stands at step 8 of epoch 2, where no run on \d+ images does"):
        train("stawm-digits", data=other, out=out, **OPTIONS)


# A run that is finished


def test_a_finished_run_is_only_read(tmp_path: Path, few: data.Splits):
    first = train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file()}
    again = train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    assert (first.trained, again.trained) == (True, False)
    assert first.verdict == f"saved {first.checkpoint}"
    assert again.verdict.startswith("nothing to do: this run was finished before")
    assert again.evaluation == first.evaluation
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_its_checkpoint_is_written_again_where_it_is_gone_or_damaged(tmp_path: Path, few: data.Splits, damage: Any):
    first = train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    damage(first.checkpoint)
    again = train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    assert again.trained
    assert torch.equal(weights(stawm.load(again.checkpoint)), weights(first.model))


def test_more_epochs_in_the_folder_of_a_finished_run_are_another_run(tmp_path: Path, few: data.Splits):
    train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    with pytest.raises(InputError, match=r"another run: recipe\.epochs is 2 there and 3 here\."):
        train("stawm-digits", data=few, out=tmp_path, **OPTIONS)
