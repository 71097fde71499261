"""Captured steps: the numbers of plain ones, recorded once for each form; and nothing in a step waits for a GPU."""

import contextlib
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import stawm
from stawm.errors import InputError, StawmError
from stawm.heads.base import PLACES
from stawm.training import data
from stawm.training.captured import Captured
from stawm.training.learner import Learner
from stawm.training.recipes import Recipe, find, trained_preset
from stawm.training.run import Run
from tests.training.tiny import TINY, weights

WARM = 3
"""How often a step is made before it is recorded."""


class OnCpu(Captured):
    """Captured steps without the check of the device."""

    def __init__(self, learner: Learner) -> None:
        self.learner, self.device, self.recorded = learner, torch.device("cpu"), {}


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """What was recorded, by a stand-in that makes steps to warm up as PyTorch does, and plays by making them anew."""
    found: list[nn.Module] = []

    def record(module: nn.Module, samples: tuple[torch.Tensor, ...], **options: Any) -> nn.Module:
        assert options == {"allow_unused_input": True}
        for _ in range(WARM):
            learned = [made for made in module(*samples) if made.requires_grad]
            torch.autograd.grad(learned, list(module.parameters()), allow_unused=True)
        found.append(module)
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: kept_generator())
    return found


@contextlib.contextmanager
def kept_generator() -> Any:
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


def run_of(recipe: Recipe, wrap: Callable[[Any], Any] = lambda learner: learner, **changes: Any) -> Run:
    run = Run(stawm.config("stawm-digits", **{**TINY, "dropout": 0.5, **changes}), recipe, cpu=True)
    run.learner = wrap(run.learner)
    return run


def test_captured_steps_are_plain_steps(few: data.Splits, recordings: list[nn.Module]):
    """Also what is random, and the running statistics, which making a recording would move."""
    recipe = Recipe(name="r", epochs=1)
    plain, captured = run_of(recipe), run_of(recipe, OnCpu)
    for _ in range(2):
        losses = [run.one_step(few.train.images[:8], few.train.labels[:8], 10)["total"] for run in (plain, captured)]
        assert losses[0] == losses[1]
    assert torch.equal(weights(plain.model), weights(captured.model))
    assert len(recordings) == 1


def test_each_form_is_recorded_once(few: data.Splits, recordings: list[nn.Module]):
    """A smaller last batch, and batch normalisation that is frozen, are forms of their own."""
    run = run_of(Recipe(name="r", epochs=4, frozen_norm=0.5), OnCpu)
    for _ in range(4):
        for size in (8, 5):
            run.one_step(few.train.images[:size], few.train.labels[:size], 2)
    assert len(recordings) == 4


def test_labels_by_name_are_told_apart(recordings: list[nn.Module]):
    run = run_of(Recipe(name="r", epochs=1), OnCpu)
    images, labels = torch.zeros(2, *run.model.config.image, dtype=torch.uint8), torch.zeros(2, dtype=torch.long)
    for given in (labels, {"classification": labels}, {"classification": labels + 1}):
        run.one_step(images, given, 10)
    assert len(recordings) == 2


def test_only_a_gpu_captures():
    with pytest.raises(InputError, match=r"capture is for an NVIDIA GPU, and this run is on the device 'cpu'\."):
        Run(stawm.config("stawm-digits", **TINY), Recipe(name="r", epochs=1), cpu=True, capture=True)


def test_a_compiled_model_is_not_captured():
    with pytest.raises(InputError, match="does by itself what compile does on a GPU: leave one"):
        Run(stawm.config("stawm-digits", **TINY), Recipe(name="r", epochs=1), cpu=True, compile=True, capture=True)


def test_a_step_that_cannot_be_recorded_is_said_so(few: data.Splits, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nFor debugging ...")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: kept_generator())
    run = run_of(Recipe(name="r", epochs=1), OnCpu)
    told = r"cannot be recorded on this GPU \(CUDA error: .* is capturing\): train without --capture\.$"
    with pytest.raises(StawmError, match=told):
        run.one_step(few.train.images[:8], few.train.labels[:8], 10)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu_captured_steps_are_plain_steps(few: data.Splits, precision: str):
    found = []
    for capture in (False, True):
        config = stawm.config("stawm-digits", **TINY, dropout=0.5)
        run = Run(config, Recipe(name="r", epochs=1), precision=precision, capture=capture)
        images, labels = few.train.images[:8].to(run.device), few.train.labels[:8].to(run.device)
        found.append([run.one_step(images, labels, 10)["total"].item() for _ in range(4)])
    assert found[1] == pytest.approx(found[0], rel=1e-3 if precision == "bf16" else 1e-5)


class Waits(TorchDispatchMode):
    """Notes what brings numbers from the CPU to another device: a GPU would be waited for, and cannot record it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {x.device.type for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor) and x.ndim}
        every = given | {x.device.type for x in tree_leaves(made) if isinstance(x, torch.Tensor)}
        if "cpu" in given and "meta" in every:
            self.found.append(f"{func} {here()}")
        return made


class Constants(TorchFunctionMode):
    """Notes tensors that are made of Python's numbers on another device than the CPU, and lists that index one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        if name in ("tensor", "as_tensor", "new_tensor"):
            of_numbers = not isinstance(args[-1], torch.Tensor) and made.device.type == "meta"
        else:
            index = args[1] if name in ("__getitem__", "__setitem__") else ()
            of_numbers = any(isinstance(each, list) for each in (index if isinstance(index, tuple) else (index,)))
        if of_numbers:
            self.found.append(f"{name} {here()}")
        return made


def here() -> str:
    """Return where in the package something was called."""
    frames = [frame for frame in traceback.extract_stack() if "/stawm/" in frame.filename]
    return " < ".join(f"{frame.filename.rpartition('/stawm/')[2]}:{frame.lineno}" for frame in frames[:-4:-1])


@pytest.fixture
def without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast knows no device without numbers."""
    plain, enabled = torch.autocast, torch.is_autocast_enabled

    def autocast(device: str, *args: Any, **options: Any) -> Any:
        return contextlib.nullcontext() if device == "meta" else plain(device, *args, **options)

    monkeypatch.setattr(torch, "autocast", autocast)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *device: "meta" not in device and enabled(*device))


SOME = (
    "draw-cluttered-100",
    "edram-cluttered-100",
    "ram-cluttered-60",
    "slots-figure-ground",
    "stawm-cifar-draw-16",
    "stawm-figure-ground",
    "stawm-mnist-sketchpad",
    "stawm-pairs-100",
    "stn-cluttered-60",
)
OTHERS = sorted({*stawm.list_names("preset", origin="stawm")} - {*SOME, "stawm-recall"})
"""All but the one that learns answers to questions, which are other targets."""


CHANGED = (
    ("draw-cluttered-100", {"locator.scales": 2}),
    ("edram-cluttered-100", {"locator.square": True}),
    ("stawm-figure-ground", {"locator.square": True}),
)
"""Fields that no preset sets, and that constants depend on."""


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        *((name, {}) for name in SOME),
        *CHANGED,
        *(pytest.param(name, {}, marks=pytest.mark.long) for name in OTHERS),
    ],
)
def test_nothing_in_a_step_waits_for_a_gpu(
    preset: str, changes: dict[str, Any], without_autocast: None, unchecked: None
):
    """On a device that holds no numbers: what asks for one fails there, and what brings one is noted."""
    config = stawm.config(trained_preset("fast", preset), **changes)
    config = config.replace(glimpses=2) if (config.glimpses or 0) > 2 else config
    recipe = find("fast", config.name, draws=config.draws)
    model = stawm.build(config).to("meta").train()
    learner = Learner(model, label_smoothing=recipe.label_smoothing, pose_clip=recipe.pose_clip)
    labels: Any = torch.zeros(2, dtype=torch.long, device="meta")
    if model.learns_places:
        boxes = torch.zeros(2, getattr(config, "answers", 1), 4, dtype=torch.long, device="meta")
        labels = {**dict.fromkeys((n for n, head in model.named_heads.items() if head.targets), labels), PLACES: boxes}
    with Waits() as waits, Constants() as constants:
        parts, _ = learner(torch.rand(2, *config.image, device="meta"), labels)
        parts["total"].backward()
    assert waits.found == constants.found == []
