"""The commands of the page about one's own data do what it says, in its order."""

import re
from pathlib import Path

import pytest

from stawm import cli

PAGE = Path(__file__).parents[2] / "docs" / "own-data.md"


@pytest.mark.long
def test_the_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], {})
    commands = re.findall(r"^stawm (.*)$", text, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["train", "eval", "export", "run"]
    said = ""
    for command in commands:
        quick = ["recipe.epochs=20", "--pictures", "0"] if command.startswith("train") else []
        assert cli.main([*command.split(), *quick]) == 0
        out, err = capsys.readouterr()
        said += out + err
    for line in re.findall(r"^(?:images|classes|mean) .*from .*$", text, re.MULTILINE):
        assert line in said
    answers = re.findall(r"^shapes/test/(\w+)/\d+\.png\s+(\w+)", said, re.MULTILINE)
    assert len(answers) == 150
    assert sum(true == answer for true, answer in answers) > 75
