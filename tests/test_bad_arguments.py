"""Whatever is given to a public call: an answer, or a StawmError that says what is wrong; no error from inside."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stawm
from stawm import hub, interop, registry
from stawm.errors import LONGEST, StawmError
from stawm.storage.checkpoint import load_weights
from stawm.storage.pretrained import find_model, resolve_weights
from tests.configuration.test_limits import nested
from tests.small import tiny


class Hostile:
    """An object whose every method fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise RuntimeError("no str")


def _circle() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["self"] = found
    return found


BAD: dict[str, Any] = {
    "None": None,
    "True": True,
    "zero": 0,
    "negative": -1,
    "a fraction": 1.5,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "a huge integer": 10**5_000,
    "a complex number": 1j,
    "an empty string": "",
    "a blank": "  ",
    "a null character": "a\0b",
    "a lone surrogate": "\ud800",
    "a long string": "x" * 100_000,
    "a path upwards": "../x",
    "colons": ":::",
    "dots": "...",
    "bytes": b"x",
    "an empty list": [],
    "a list": ["x", 1],
    "an empty mapping": {},
    "a mapping of numbers": {1: 2},
    "a mapping without a name": {"name": None},
    "a deep mapping": nested(3_000),
    "a dotted key": {".".join("x" * 900): 1},
    "a circle": _circle(),
    "a set": {1, 2},
    "a function": len,
    "a class": dict,
    "an object": object(),
    "a hostile object": Hostile(),
    "an array": np.zeros((2, 2)),
    "a tensor": torch.zeros(2),
    "a module": torch.nn.Linear(1, 1),
    "a path": Path("nowhere/x"),
    "no path": Path(),
}


MODEL: Any = tiny(heads="classification")

CALLS: dict[str, Callable[[Any], Any]] = {
    "build": lambda x: stawm.build(x),
    "build(pretrained)": lambda x: stawm.build("stawm-digits", pretrained=x),
    "build(partial)": lambda x: stawm.build("stawm-digits", pretrained=True, partial=x),
    "build(sha256)": lambda x: stawm.build("stawm-digits", pretrained=True, sha256=x),
    "build(seed)": lambda x: stawm.build("stawm-digits", seed=x),
    "build(glimpses)": lambda x: stawm.build("stawm-digits", glimpses=x),
    "build(memory)": lambda x: stawm.build("stawm-digits", memory=x),
    "build(backbone.layers)": lambda x: stawm.build("stawm-digits", **{"backbone.layers": x}),
    "build(heads)": lambda x: stawm.build("stawm-digits", heads=x),
    "build(class_names)": lambda x: stawm.build("stawm-digits", class_names=x),
    "build(image)": lambda x: stawm.build("stawm-digits", image=x),
    "build(mean)": lambda x: stawm.build("stawm-digits", mean=x),
    "build(unknown)": lambda x: stawm.build("stawm-digits", nothing=x),
    "build(a mapping)": lambda x: stawm.build({"preset": "stawm-digits", "memory": x}),
    "build(a preset)": lambda x: stawm.build({"preset": x}),
    "config": lambda x: stawm.config(x),
    "config(canvas)": lambda x: stawm.config("stawm-digits", canvas=x),
    "config(family)": lambda x: stawm.config({**stawm.config("stawm-digits").to_dict(), "family": x}),
    "config(name)": lambda x: stawm.config({**stawm.config("stawm-digits").to_dict(), "name": x}),
    "build_component(kind)": lambda x: stawm.build_component(x, "oja"),
    "build_component": lambda x: stawm.build_component("memory", x, memory_size=4),
    "build_component(size)": lambda x: stawm.build_component("memory", "oja", memory_size=x),
    "describe": lambda x: stawm.describe(x),
    "describe(kind)": lambda x: stawm.describe("oja", x),
    "cite": lambda x: stawm.cite(x),
    "list_names": lambda x: stawm.list_names(x),
    "list_names(pattern)": lambda x: stawm.list_names("preset", x),
    "list_names(exclude)": lambda x: stawm.list_names("preset", exclude=x),
    "list_names(origin)": lambda x: stawm.list_names("preset", origin=x),
    "register(kind)": lambda x: stawm.register(x, "bad-argument"),
    "register(name)": lambda x: stawm.register("preset", x)({"preset": "stawm-digits"}),
    "register(target)": lambda x: stawm.register("memory", "bad-argument")(x),
    "register(a preset)": lambda x: (stawm.register("preset", "bad-argument")(x), stawm.config("bad-argument")),
    "register(summary)": lambda x: stawm.register("preset", "bad-argument", summary=x)({}),
    "register(cites)": lambda x: (
        stawm.register("preset", "bad-argument", cites=x)({"preset": "stawm-digits"}),
        stawm.cite("bad-argument"),
    ),
    "register(origin)": lambda x: stawm.register("preset", "bad-argument", origin=x)({}),
    "register(recipes)": lambda x: stawm.register("preset", "bad-argument", recipes=x)({}),
    "find": lambda x: registry.find("memory", x),
    "entries": lambda x: registry.entries(x),
    "load": lambda x: stawm.load(x),
    "load(device)": lambda x: stawm.load(SHIPPED, device=x),
    "load(dtype)": lambda x: stawm.load(SHIPPED, dtype=x),
    "load(sha256)": lambda x: stawm.load(SHIPPED, sha256=x),
    "inspect": lambda x: stawm.inspect(x),
    "find_model": lambda x: find_model(x),
    "resolve_weights": lambda x: resolve_weights(x),
    "load_weights": lambda x: load_weights(MODEL, x),
    "load_weights(model)": lambda x: load_weights(x, SHIPPED),
    "save(model)": lambda x: stawm.save(x, "never-written.safetensors"),
    "save(path)": lambda x: stawm.save(MODEL, x),
    "save(provenance)": lambda x: stawm.save(MODEL, "saved.safetensors", provenance=x),
    "save(dtype)": lambda x: stawm.save(MODEL, "saved.safetensors", dtype=x),
    "hub.save_pretrained(model)": lambda x: hub.save_pretrained(x, "never"),
    "hub.save_pretrained(folder)": lambda x: (
        hub.save_pretrained(MODEL, x) if not isinstance(x, str) or "/" not in x else None
    ),
    "hub.save_pretrained(provenance)": lambda x: hub.save_pretrained(MODEL, "folder", provenance=x),
    "hub.from_pretrained": lambda x: hub.from_pretrained(x),
    "hub.from_pretrained(revision)": lambda x: hub.from_pretrained("user/name", revision=x),
    "hub.from_pretrained(sha256)": lambda x: hub.from_pretrained("user/name", sha256=x),
    "hub.from_pretrained(option)": lambda x: hub.from_pretrained("user/name", nothing=x),
    "hub.download": lambda x: hub.download(x),
    "hub.push_to_hub": lambda x: hub.push_to_hub(MODEL, x),
    "interop.load_authors_state_dict": lambda x: interop.load_authors_state_dict(MODEL, x),
    "interop.load_authors_state_dict(model)": lambda x: interop.load_authors_state_dict(x, {}),
    "interop.load_authors_state_dict(value)": lambda x: interop.load_authors_state_dict(MODEL, {"qdown.weight": x}),
}
SHIPPED = resolve_weights("stawm-mnist-8")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unchecked: None) -> None:
    """In a folder of its own, without a network, and with a registry that is thrown away."""
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))


@pytest.mark.parametrize("call", CALLS)
def test_bad_arguments(call: str) -> None:
    """The bad arguments are tried together: they are many, and each takes a moment."""
    raised = []
    for words, given in BAD.items():
        try:
            with contextlib.redirect_stdout(None):
                CALLS[call](given)
        except StawmError as error:
            if len(str(error)) > LONGEST:
                raised.append(f"{words}: {len(str(error))} characters")
        except Exception as error:
            raised.append(f"{words}: {type(error).__name__}: {str(error)[:100]}")
    assert not raised, "\n".join(raised)


def test_weights_are_never_silently_random() -> None:
    for words, given in BAD.items():
        if given is not True:
            with pytest.raises(StawmError):
                stawm.build("stawm-digits", pretrained=given)
            assert words
