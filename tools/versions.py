"""Try stawm with one version of PyTorch, in an environment of its own.

``python tools/versions.py oldest`` takes the oldest that pyproject.toml allows, ``newest`` the newest that there is,
and ``2.11`` that one. It makes an environment in a folder that is taken away again (``--keep FOLDER`` keeps it),
installs PyTorch and this checkout there, and builds, runs, compiles, trains and exports small models. That takes some
minutes, the network, and about 10 GB. ``python tools/versions.py here`` tries the environment that it runs in.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
HEADS = ("classification", "drawing")


def oldest() -> str:
    """Return the oldest PyTorch that pyproject.toml allows."""
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (found,) = (need.removeprefix("torch>=") for need in needs if need.startswith("torch>="))
    return found


def requirement(version: str) -> str:
    """Return what pip is asked for."""
    if version == "newest":
        return "torch"
    return f"torch=={oldest() if version == 'oldest' else version}.*"


def try_in(folder: Path, version: str, run: Callable[..., object] = subprocess.run) -> None:
    """Make an environment with a version of PyTorch, and try it.

    Args:
        folder: Where the environment is made.
        version: As on the command line.
        run: Runs a command.
    """
    if not (folder / "pyvenv.cfg").exists():
        venv.create(folder, with_pip=True)
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    install = [python, "-m", "pip", "install", "--quiet", "--upgrade", requirement(version), f"{ROOT}[train,export]"]
    run(install, check=True, env=clean)
    run([python, str(Path(__file__).resolve()), "here"], check=True, env=clean, cwd=folder)


def small(**overrides: Any) -> Any:
    """Return a small model with both heads."""
    import stawm

    sizes: dict[str, Any] = {
        "image": (1, 12, 12),
        "glimpse_size": 6,
        "memory_size": 8,
        "hidden_size": 12,
        "glimpses": 2,
    }
    networks = {"context": {"layers": "4@3/2"}, "backbone": {"layers": "3@3/1 4@3/2"}}
    heads = {"heads": ("classification", "drawing")}
    return stawm.build("stawm-digits", seed=0, **{**sizes, **networks, **heads, **overrides})


def models() -> dict[str, dict[str, Any]]:
    """Return what is changed of the small model in each trial: every memory and locator, and a network of timm."""
    import stawm

    names = [(kind, name) for kind in ("memory", "locator") for name in stawm.list_names(kind, origin="stawm")]
    return {name: {kind: name} for kind, name in names} | {"timm": {"backbone": "timm:test_efficientnet"}}


def learn(model: Any, *, compiled: bool) -> float:
    """Make one step of training in bfloat16, and return the loss."""
    import torch

    from stawm.training.learner import Learner

    learner = Learner(model.train(), bf16=True)
    if compiled:
        torch._dynamo.reset()
        learner = torch.compile(learner, backend="aot_eager", fullgraph=True)
    pixels, labels = torch.rand(4, 1, 12, 12), torch.arange(4)
    optimiser = torch.optim.Adam(learner.parameters(), 1e-3)
    loss = learner(pixels, labels)[0]["total"]
    loss.backward()
    optimiser.step()
    return loss.item()


def export(model: Any, graph: Literal["rollout", "step"]) -> None:
    """Export a model, and compare what the file gives."""
    import torch

    import stawm

    pixels = torch.rand(3, 1, 12, 12)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("model.onnx" if graph == "rollout" else "steps")
        stawm.export.to_onnx(model, path, graph=graph, batches=(1, 3))
        found = stawm.export.OnnxModel(path, device="cpu")(pixels)
    torch.testing.assert_close(found.logits, model.predict(pixels).logits, rtol=1e-3, atol=1e-4)


def try_here() -> list[str]:
    """Build, run, train, compile and export with the PyTorch that there is; return what failed."""
    import torch

    torch.set_num_threads(1)
    failed: list[str] = []

    def attempt(name: str, call: Callable[[], object]) -> None:
        torch.manual_seed(0)
        try:
            call()
            print(f"right   {name}", flush=True)
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            print(f"FAILED  {failed[-1]}", flush=True)

    for name, overrides in models().items():
        attempt(f"look, {name}", lambda o=overrides: small(**o).predict(torch.rand(2, 1, 12, 12)))
        attempt(f"train, {name}", lambda o=overrides: learn(small(**o), compiled=False))
        attempt(f"compile and train, {name}", lambda o=overrides: learn(small(**o), compiled=True))
        attempt(f"export, {name}", lambda o=overrides: export(small(**o).eval(), "rollout"))
    attempt("export of steps", lambda: export(small().eval(), "step"))
    print(f"PyTorch {torch.__version__}, Python {sys.version.split()[0]}: {len(failed)} failed", flush=True)
    return failed


def main(arguments: Sequence[str] | None = None) -> None:
    """Try what the command line says."""
    parser = argparse.ArgumentParser(prog="python tools/versions.py", description=__doc__)
    parser.add_argument("version", help="'oldest', 'newest', 'here', or a version such as 2.11")
    parser.add_argument("--keep", type=Path, help="where the environment is made, and kept")
    given = parser.parse_args(arguments)
    if given.version == "here":
        sys.exit("\n".join(try_here()) or 0)
    with tempfile.TemporaryDirectory() as folder:
        try_in(given.keep or Path(folder), given.version)


if __name__ == "__main__":
    main()
