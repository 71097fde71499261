"""The whole way in two minutes: train on real digits, save, export, run the export, and show what was seen."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stawm import export, viz
from stawm.models.model import Model
from stawm.models.pixels import to_unit
from stawm.models.resolve import config as resolve_config
from stawm.storage import shipped
from stawm.storage.pretrained import build
from stawm.text import Readable
from stawm.training import data, evaluate, train
from stawm.training.evaluation import Evaluation

PRESET = "stawm-digits"
DRAWER = "stawm-mnist-draw-6"
"""Who draws, where its weights come with the package; otherwise another model that draws and comes trained."""
IMAGES_SEEN = 90_000
"""How many images are trained on, each counted as often as it is seen: what two cores do in a minute or so."""
ROWS = 6
"""How many images the picture shows."""
DRAWN = 3
"""How many images are drawn, where the weights of a model that draws come with the package."""


@dataclass(frozen=True, kw_only=True)
class Demo(Readable):
    """What the demo came to.

    Attributes:
        out: The folder that everything was written to.
        source: What was trained on.
        model: The trained model.
        trained_on: How many images there were to train on.
        seconds: How long training took.
        evaluation: What was measured on the held-out images.
        certainty: After each glimpse, the mean probability of the answer.
        nodes: How many nodes the graph has.
        megabytes: Its size.
        agreement: The share of held-out images for which ONNX Runtime gives the model's answer.
        speed: Images a second through ONNX Runtime on the CPU.
        drawer: The model whose drawings are shown too; None where no weights of one come with the package.
    """

    out: Path
    source: str
    model: Model
    trained_on: int
    seconds: float
    evaluation: Evaluation
    certainty: tuple[float, ...]
    nodes: int
    megabytes: float
    agreement: float
    speed: float
    drawer: str | None = None

    @property
    def checkpoint(self) -> Path:
        """The model."""
        return self.out / "model.safetensors"

    @property
    def graph(self) -> Path:
        """The model as one ONNX file."""
        return self.out / "model.onnx"

    @property
    def picture(self) -> Path:
        """What the model looked at."""
        return self.out / "looks.png"

    @property
    def drawings(self) -> Path:
        """What another model drew of the same images, where there is one."""
        return self.out / "drawings.png"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        keys = ("source", "trained_on", "seconds", "nodes", "megabytes", "agreement", "speed")
        files = {name: str(getattr(self, name)) for name in ("checkpoint", "graph", "picture")}
        measured = {"evaluation": self.evaluation.as_dict(), "certainty": list(self.certainty)}
        drawn = {} if self.drawer is None else {"drawer": self.drawer, "drawings": str(self.drawings)}
        return {key: getattr(self, key) for key in keys} | measured | files | drawn

    def __str__(self) -> str:
        config: Any = self.model.config
        assert self.evaluation.error is not None
        assert self.evaluation.error_by_glimpse is not None
        low, high = self.evaluation.interval or (0.0, 1.0)
        parameters = sum(p.numel() for p in self.model.parameters())
        by_glimpse = zip(self.evaluation.error_by_glimpse, self.certainty, strict=True)
        rows = [f"  {n:>7}   {wrong:>7.2%}   {sure:>7.1%}" for n, (wrong, sure) in enumerate(by_glimpse, 1)]
        size = config.glimpse_size
        usual = tuple(config.image) == tuple(resolve_config(PRESET).image)
        form = "" if usual else f" image={','.join(map(str, config.image))}"
        drawn = [f"  {self.drawings}: what {self.drawer}, which comes trained, draws of some"] if self.drawer else []
        return "\n".join(
            [
                f"{config.name}: {config.glimpses} glimpses of {size}x{size}, memory {config.memory.name} of width "
                f"{config.memory_size}, {parameters:,} parameters",
                f"trained on {self.trained_on:,} images of {self.source} in {self.seconds:.0f} s",
                f"wrong on {self.evaluation.error:.2%} of {self.evaluation.images:,} held-out images "
                f"(95 % interval {low:.2%} to {high:.2%})",
                "",
                "  glimpse     wrong   certain",
                *rows,
                "",
                f"exported to one ONNX file ({self.nodes} nodes, {self.megabytes:.1f} MB), verified against PyTorch;",
                f"ONNX Runtime gives the same answer on {self.agreement:.2%} of the held-out images, "
                f"at {self.speed:,.0f} images/s",
                "",
                f"  {self.picture}: where it looked, what it saw, how certain it became",
                *drawn,
                f"  {self.checkpoint}: the model, with its configuration",
                f"  {self.graph}: the same for ONNX Runtime",
                "",
                "what to try next",
                f"  stawm diagnose {self.checkpoint} --data {self.source}",
                f"  stawm run {self.graph} IMAGES",
                f"  stawm train {PRESET} --data {self.source} --out runs/other memory=fast-weights glimpses=6{form}",
                "  stawm train stawm-mnist-8 --data mnist:DATA --download --out runs/mnist",
                "  stawm list",
            ]
        )


def demo(
    source: str = "digits", out: str | Path = "demo", *, seed: int = 0, quiet: bool = False, **changes: Any
) -> Demo:
    """Train, save, export, run and show a small model.

    Args:
        source: What to train on, as in `stawm.training.data.load`.
        out: The folder to write to; what an earlier demo left there is replaced.
        seed: The seed of all randomness.
        quiet: Whether to show no progress.
        **changes: Fields of the model and, as ``recipe.FIELD``, of the recipe.

    Returns:
        What it came to; printing it gives a report.
    """
    out, to_onnx = Path(out), export.to_onnx  # where the extra for exports lacks, that is said at once
    splits = data.load(source)
    heads = {"classification": {"classes": len(splits.train.class_names)}}
    fitted = {"image": splits.train.shape, "class_names": splits.train.class_names, "heads": heads}
    epochs = max(1, round(IMAGES_SEEN / len(splits.train)))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, one_thread():
        fields = {**fitted, "recipe.epochs": epochs, **changes}
        run = train(PRESET, data=splits, out=folder, seed=seed, quiet=quiet, pictures=0, **fields)
        seconds = time.perf_counter() - start
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.checkpoint, out / run.checkpoint.name)
    report = to_onnx(run.model, out / "model.onnx")
    pixels, labels = to_unit(splits.test.images[:]), splits.test.labels
    chances = _chances(run.model, pixels)
    agreement, speed = _through_onnx(out / "model.onnx", pixels, chances[:, -1].argmax(dim=-1))
    chosen = telling(chances, labels, ROWS)
    title = f"{PRESET} looks at images that it has never seen"
    viz.save(viz.looks(run.model, pixels[chosen], labels[chosen], title=title), out / "looks.png")
    return Demo(
        out=out,
        source=source,
        model=run.model,
        trained_on=len(splits.train),
        seconds=seconds,
        evaluation=evaluate(run.model, splits.test, by_glimpse=True),
        certainty=tuple(chances.max(dim=-1).values.mean(dim=0).tolist()),
        nodes=sum(report.nodes.values()),
        megabytes=report.size / 1e6,
        agreement=agreement,
        speed=speed,
        drawer=_draw(pixels[chosen[:DRAWN]], out / "drawings.png"),
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: on a busy machine, waiting for threads costs a small model more than they give."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def telling(chances: Tensor, labels: Tensor, count: int) -> Tensor:
    """Choose images worth showing: those that later glimpses decided, of different classes, and one that went wrong.

    Args:
        chances: The chance of each class after each glimpse, of shape (images, glimpses, classes).
        labels: The true classes.
        count: How many to choose.
    """
    truth = chances.gather(2, labels.view(-1, 1, 1).expand(-1, chances.shape[1], 1)).squeeze(2)
    first, last = chances[:, 0].argmax(dim=-1) == labels, chances[:, -1].argmax(dim=-1) == labels
    wrong = (~last).nonzero().flatten()[:1]
    gained = (truth[:, -1] - truth[:, 0] + (last & ~first)).argsort(descending=True)
    kept, seen = [], set(wrong.tolist())
    for spare in (False, True):
        for index in gained.tolist():
            fresh = spare or int(labels[index]) not in {int(labels[k]) for k in kept}
            if len(kept) + len(wrong) < count and index not in seen and fresh:
                kept.append(index)
                seen.add(index)
    return torch.tensor([*kept, *wrong.tolist()])


def _chances(model: Model, pixels: Tensor) -> Tensor:
    with torch.inference_mode():
        logits = model(model.normalise(pixels), glimpse_logits=True).glimpse_logits
    return logits.softmax(dim=-1)


def _draw(pixels: Tensor, path: Path) -> str | None:
    """Picture what a model whose weights come with the package draws of images; return its name, if there is one."""
    presets = {name: resolve_config(name) for name in shipped.shipped_names()}
    fitting = [n for n, c in presets.items() if getattr(c, "draws", False) and c.image[0] == pixels.shape[1]]
    if not fitting:
        return None
    name = min(fitting, key=lambda name: (name.partition(".")[0] != DRAWER, name))
    model = build(name, pretrained=True)
    fitted = F.interpolate(pixels, size=tuple(model.config.image[1:]), mode="bicubic").clamp(0, 1)
    title = f"{name} draws images of another set than it learned from"
    viz.save(viz.drawings(model, fitted, title=title), path)
    return name


def _through_onnx(path: Path, pixels: Tensor, answers: Tensor) -> tuple[float, float]:
    """Return the share of answers that ONNX Runtime gives too, and how many images a second it looks at."""
    onnx = export.OnnxModel(path, device="cpu")
    start = time.perf_counter()
    logits = onnx(pixels).logits
    taken = time.perf_counter() - start
    assert logits is not None
    return (torch.as_tensor(logits).argmax(dim=-1) == answers).float().mean().item(), len(pixels) / taken
