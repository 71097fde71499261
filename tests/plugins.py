"""Distributions that are nothing but a folder: what pip leaves of a package that has entry points."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MEMORY = '''
"""A memory of another package."""

from dataclasses import dataclass

from stawm.configuration import Config as BaseConfig
from stawm.nn.memories.fast_weights import FastWeights


class Mine(FastWeights):
    """Fast weights under another name."""

    cites = ("ba2016",)

    @dataclass(frozen=True, kw_only=True)
    class Config(FastWeights.Config):
        name: str = "mine"
'''

Install = Callable[..., Path]


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution: its name, its modules by name, its entry points."""
    modules: set[str] = set()
    monkeypatch.delenv("STAWM_PLUGINS", raising=False)

    def install(name: str, sources: dict[str, str], points: dict[str, str], version: str = "1.2") -> Path:
        site = tmp_path / name
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{point} = {target}" for point, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[stawm.components]", *lines, ""]))
        for module, source in sources.items():
            (site / f"{module}.py").write_text(source)
        modules.update(sources)
        monkeypatch.syspath_prepend(site)
        importlib.invalidate_caches()
        return site

    yield install
    for module in modules:
        sys.modules.pop(module, None)
