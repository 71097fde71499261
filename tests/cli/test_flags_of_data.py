"""The flags that choose data arrive: what is loaded, how it is resized, what is held out of it."""

from typing import Any

import pytest

import stawm
from stawm import training
from stawm.storage import pretrained
from stawm.training import data
from tests.cli.hearing import run

RULES = (([], False), (["--resize"], "crop"), (["--resize", "crop"], "crop"), (["--resize=squeeze"], "squeeze"))
"""How images are resized, by what is typed."""


def test_everything_is_measured_and_fitted_on_what_is_not_measured(heard: Any, digits: Any):
    splits = data.load("digits")
    heard(data, "load", splits)
    calls = heard(training, "evaluate")
    run("eval", "m", "--data", "mnist:x")
    assert calls == {"args": (digits, splits.test), "by_glimpse": True, "by_class": True, "fit": splits.train}
    run("eval", "m", "--data", "mnist:x", "--validation", 10)
    assert (len(calls["fit"]), len(calls["args"][1])) == (len(splits.train) - 10, 10)


@pytest.mark.parametrize("command", ["eval", "diagnose"])
def test_the_data_of_a_command_arrive(heard: Any, digits: Any, command: str):
    splits = data.load("digits")
    calls = heard(data, "load", splits)
    run(command, "m", "--data", "mnist:x")
    assert (calls["args"], calls["resize"], calls["download"]) == (("mnist:x",), False, False)
    assert (calls["image"], calls["held_out"]) == ((1, 16, 16), 0.2)
    run(command, "m", "--data", "mnist:x", "--download", "--held-out", 1)
    assert (calls["resize"], calls["download"], calls["held_out"]) == (False, True, 1)
    for flags, rule in RULES:
        run(command, "--data", "mnist:x", *flags, "m")
        assert (calls["resize"], calls["download"]) == (rule, False)


def test_resize_alone_does_what_the_model_keeps(heard: Any, monkeypatch: pytest.MonkeyPatch):
    model = stawm.build("stawm-digits", resize="squeeze", memory_size=8, hidden_size=16, glimpses=2).eval()
    monkeypatch.setattr(pretrained, "find_model", lambda given: model)
    calls = heard(data, "load", data.load("digits"))
    for flags, rule in (([], False), (["--resize"], "squeeze"), (["--resize", "crop"], "crop")):
        run("diagnose", "m", "--data", "mnist:x", *flags)
        assert calls["resize"] == rule


def test_a_rule_of_resizing_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run("eval", "m", "--data", "digits", "--resize=stretch")
    assert "must be crop or squeeze, or nothing; got 'stretch'" in capsys.readouterr().err
