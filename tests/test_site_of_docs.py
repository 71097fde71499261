"""The site: every page in the navigation, every public name, command, component and preset on a page, no network."""

import argparse
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import stawm
from stawm.cli.parser import make_parser
from stawm.registry import Kind
from tools import site

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, in which Python's functions are named."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)
CONFIG: Any = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)


def leaves(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [leaf for inner in (nav.values() if isinstance(nav, dict) else nav) for leaf in leaves(inner)]


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return site.pages()


def test_every_page_is_in_the_navigation_once(made: dict[str, str]) -> None:
    """A new page of docs/ needs a line in mkdocs.yml."""
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(leaves(CONFIG["nav"])) == sorted(written | made.keys())
    assert [*map(str, (next(iter(part)) for part in CONFIG["nav"]))] == ["Start", "Guides", "Understand", "Reference"]


def test_every_public_name_has_its_place(made: dict[str, str]) -> None:
    for page, module in site.MODULES.items():
        listed = re.findall(rf"^::: {re.escape(module)}\.(\w+)$", made[f"reference/{page}.md"], re.MULTILINE)
        assert len(listed) == len(set(listed))
        if module in (
            "stawm",
            "stawm.training",
            "stawm.export",
        ):  # whose names are known without importing what they are
            names = {name for name in importlib.import_module(module).__all__ if not name.startswith("_")}
            assert set(listed) == names - (stawm._MODULES.keys() if module == "stawm" else set())
        assert len(listed) > 1


def test_every_public_module_has_a_page() -> None:
    pages = {page if page == "stawm" else f"stawm.{page}" for page in site.MODULES}
    assert {f"stawm.{name}" for name in stawm._MODULES} <= pages


def test_every_command_is_on_the_page_of_commands_with_its_options(made: dict[str, str]) -> None:
    parser: Any = make_parser()
    (group,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    parts = re.split(r"^## `stawm ([\w-]+)`$", made["reference/commands.md"], flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert told.keys() == group.choices.keys()
    for name, command in group.choices.items():
        assert all(option in told[name] for option in command._option_string_actions)


def test_every_component_and_preset_is_told(made: dict[str, str]) -> None:
    for kind in Kind:
        page = made["reference/presets.md" if kind is Kind.PRESET else "reference/components.md"]
        depth = "##" if kind is Kind.PRESET else "###"
        assert all(f"\n{depth} `{name}` {{ #" in page for name in stawm.list_names(kind, origin="stawm"))
    assert "| `delta` |" in made["reference/components.md"]
    assert "trains `stawm-mnist-8.fast`" in made["reference/presets.md"]


def test_nothing_of_the_site_comes_from_elsewhere() -> None:
    assert CONFIG["theme"]["font"] is False
    assert not {"extra_css", "extra_javascript"} & CONFIG.keys()


@pytest.mark.parametrize(
    ("markdown", "place", "expected"),
    [
        ("[a](export.md#x)", "deploy.md", "[a](export.md#x)"),
        ("[a](../CHANGELOG.md)", "deploy.md", "[a](project/changes.md)"),
        ("[a](docs/export.md#b)", "project/contributing.md", "[a](../export.md#b)"),
        ("[a](SECURITY.md)", "project/conduct.md", "[a](security.md)"),
        ("[a](../README.md)", "deploy.md", "[a](index.md)"),
        ("[how](../tests/test_paper.py)", "paper.md", "how (`tests/test_paper.py`)"),
        ("[tests/test_paper.py](../tests/test_paper.py)", "paper.md", "tests/test_paper.py"),
        ("[the script](pictures.py)", "memories.md", "the script (`docs/pictures.py`)"),
        ("[a](https://example.org/b.md) [c](#d)", "paper.md", "[a](https://example.org/b.md) [c](#d)"),
        ("![a](images/looks.png)", "paper.md", "![a](images/looks.png)"),
        ("```python\n[a](../x.py)\n```\n", "paper.md", "```python\n[a](../x.py)\n```\n"),
    ],
)
def test_links_lead_to_where_it_stands_on_the_site(markdown: str, place: str, expected: str) -> None:
    assert site.relinked(markdown, place) == expected


def test_a_formula_becomes_mathml() -> None:
    pytest.importorskip("latex2mathml", reason="needs the extra 'site'")
    found = site.on_page_content(r'<p><span class="arithmatex">\(a &lt; b\)</span></p>', None, None, None)
    assert found.startswith("<p><math")
    assert "<mo>&#x0003C;</mo>" in found
    assert "arithmatex" not in found


@pytest.mark.long
def test_the_site_is_built_strictly_and_asks_for_nothing(tmp_path: Path) -> None:
    """Strictly: MkDocs then fails where a link or an anchor leads nowhere, or a name cannot be documented."""
    pytest.importorskip("mkdocs", reason="needs the extra 'site'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|source|iframe)[^>]*\ssrc="(https?:[^"]+)"', text)
        loaded += re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect|preload)"[^>]*href="(https?:[^"]+)"', text)
        assert not loaded, page.name
        assert "arithmatex" not in text
    assert 'id="stawm.build"' in (tmp_path / "reference" / "stawm.html").read_text()
