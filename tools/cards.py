"""Write the cards of the models that come with the package, ``docs/cards/NAME.md``, from what their files say.

``python tools/cards.py`` writes them; a test fails where one is not current.
"""

import sys
from pathlib import Path

from stawm.storage.card import card
from stawm.storage.checkpoint import inspect
from stawm.storage.file import write_atomically
from stawm.storage.shipped import shipped_names, shipped_weights

FOLDER = Path(__file__).parents[1] / "docs" / "cards"


def cards() -> dict[str, str]:
    """Return the text of every card by the name of its file."""
    found = {}
    for name in shipped_names():
        info = inspect(shipped_weights(name))
        load = f'stawm.build("{name}", pretrained=True)'
        licence, stored = "Apache-2.0, as all of stawm", info.storage
        found[f"{name}.md"] = card(info.config, info.provenance, load, licence=licence, stored=stored)
    return found


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of cards that are not as they would be written, of missing ones, and of ones too many."""
    wanted = cards()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write(folder: Path = FOLDER) -> list[str]:
    """Write the cards that are not current, and return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted, written = cards(), stale(folder)
    for name in written:
        if name in wanted:
            write_atomically(folder / name, wanted[name].encode())
        else:
            (folder / name).unlink()
    return written


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}\n" for name in write()))
