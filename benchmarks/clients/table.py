"""The lines of all clients as a table: ``python -m benchmarks.clients.table FILES``."""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

CLOSE = {"fp32": 1e-3, "opset20": 1e-3, "fp16-weights": 1e-2, "fp16": 5e-2}
"""How far logits may be off by the form; a wrong graph is off by far more, rounding by far less."""


def rows(lines: list[dict[str, Any]]) -> list[list[str]]:
    """Return a row for each client, version and form, over all presets."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        groups[line["client"], line["version"], line["form"]].append(line)
    return [[*key, *_said(key[2], group)] for key, group in sorted(groups.items())]


def _said(form: str, group: list[dict[str, Any]]) -> list[str]:
    presets = ", ".join(line["preset"].removeprefix("stawm-") for line in group)
    errors = [line["error"] for line in group if "error" in line]
    gaps = [gap for line in group for gap in line.get("gaps", {}).items()]
    most: dict[str, float] = {}
    for name, gap in gaps:
        most[name] = max(most.get(name, 0), gap)
    shown = ", ".join(f"{name} {gap:.1e}" for name, gap in sorted(most.items()))
    right = bool(most) and all(gap <= CLOSE[form] for gap in most.values())
    return [presets, shown or "–", "refuses: " + errors[0] if errors else "right" if right else "off"]


def main() -> None:
    """Print the table."""
    lines = [json.loads(line) for file in sys.argv[1:] for line in Path(file).read_text().splitlines()]
    print("| client | version | form | presets | largest gap | verdict |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows(lines):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
