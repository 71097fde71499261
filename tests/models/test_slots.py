"""The family ``slots``: what it gives, what is random in it, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import stawm
from stawm.errors import ConfigError, InputError
from stawm.export import to_onnx
from stawm.export.file.files import read_graphs
from stawm.export.file.metadata import contradictions
from stawm.export.file.proto import shapes_of
from stawm.heads.output import Noise
from stawm.models.slots import Slots
from stawm.nn.recurrent import GRUCell
from stawm.nn.slot_attention import Places
from stawm.training.masks import mask_iou
from tests.small import inputs, shaken, tensors
from tests.strategies import assert_near, seeds
from tests.training.data.test_figure_ground import flat_photographs, some_digits

TINY: dict[str, Any] = {"image": (3, 12, 12), "slots": 3, "hidden_size": 8, "heads.drawing.latent": 6}
EXACT = 1e-9


def tiny(**overrides: Any) -> Slots:
    """A small model with slots, in float64."""
    model = stawm.build("slots-figure-ground", seed=0, **{**TINY, "backbone.layers": "4@3/1p1 5@3/2p1", **overrides})
    return shaken(model).double()


def test_what_it_gives() -> None:
    model = tiny().eval()
    found = {name: tuple(value.shape) for name, value in tensors(model(inputs(model)[0])).items()}
    assert found == {"canvas": (2, 3, 12, 12), "masks": (2, 3, 1, 12, 12), "sketches": (2, 3, 3, 12, 12)}
    assert (model.config.masked, model.config.draws, model.config.has_latent) == (True, True, False)
    assert model.config.glimpses is None


@settings(max_examples=5, deadline=None)
@given(seed=seeds, n=st.integers(1, 4), iterations=st.integers(1, 3))
def test_slots_have_no_order(seed: int, n: int, iterations: int) -> None:
    """Starts in another order give the same slots, masks and pictures in that order, and the same canvas."""
    model = tiny(slots=n, iterations=iterations).eval()
    images, order = inputs(model, seed=seed)[0], torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    before, slots = model(images), model.look(images)[0]
    model.start.data = model.start.data[order]
    after = model(images)
    assert_near(model.look(images)[0], slots[:, order], EXACT)
    assert before.masks is not None
    assert before.canvas is not None
    assert after.masks is not None
    assert after.canvas is not None
    assert_near(after.masks, before.masks[:, order], EXACT)
    assert_near(after.canvas, before.canvas, EXACT)
    assert_near(after.masks.sum(dim=1), torch.ones(2, 1, 12, 12, dtype=torch.float64), EXACT)


def test_every_place_is_shared_out_whole() -> None:
    model = tiny().eval()
    shares = model.look(inputs(model)[0])[1]
    assert shares.shape == (2, 3, 36)
    assert_near(shares.sum(dim=1), torch.ones(2, 36, dtype=torch.float64), EXACT)


def test_starts_are_random_while_training_alone() -> None:
    model = tiny()
    images, _ = inputs(model)

    def masks(seed: int, **options: Any) -> torch.Tensor:
        return tensors(model(images, generator=torch.Generator().manual_seed(seed), **options))["masks"]

    assert torch.equal(masks(1), masks(1))
    assert not torch.equal(masks(1), masks(2))
    assert torch.equal(masks(1, sample=False), masks(2, sample=False))
    zero = Noise(latent=torch.zeros(2, 3, 6, dtype=torch.float64))
    assert torch.equal(masks(1, noise=zero), masks(1, sample=False))
    with pytest.raises(InputError, match=r"latent noise must be of shape \(2, 3, 6\)"):
        model(images, noise=Noise(latent=torch.zeros(2, 1, 6)))


def test_every_parameter_learns() -> None:
    model = tiny()
    images, labels = inputs(model)
    parts = model.loss(model(images), images, labels)
    assert set(parts) == {"reconstruction", "total"}
    parts["total"].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_loss_is_the_squared_error_summed_over_the_batch() -> None:
    model = tiny().eval()
    images, labels = inputs(model)
    output = model(images)
    assert output.canvas is not None
    assert_near(model.loss(output, images, labels)["total"], (output.canvas - images).square().sum(), EXACT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heads.drawing.beta": 1.0}, "with beta 0, as nothing"),
        ({"heads.drawing.sketch_size": 8}, "sketch_size null"),
        ({"heads": ("classification",)}, "has one head, 'drawing'"),
        ({"backbone": {"name": "dense"}, "backbone.layers": [4]}, "backbone must be 'conv', without a hidden layer"),
        ({"backbone.hidden": 4}, "backbone must be 'conv', without a hidden layer"),
        ({"backbone.layers": "8@33/1"}, "does not fit"),
        ({"slots": 0}, "slots must be"),
        ({"iterations": 0}, "iterations must be"),
    ],
)
def test_what_it_refuses(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tiny(**changes)


def test_nothing_is_drawn_from_latents_that_are_given() -> None:
    from stawm.models.latents import from_prior

    with pytest.raises(InputError, match="does not draw from a latent"):
        from_prior(tiny())


def test_its_gru_is_that_of_pytorch() -> None:
    ours, theirs = GRUCell(4, 3).double(), torch.nn.GRUCell(4, 3).double()
    theirs.load_state_dict(ours.state_dict())
    x, h = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    assert_near(ours(x, h), theirs(x, h), EXACT)


def test_places_are_told_apart_by_how_far_they_are_from_each_side() -> None:
    grid = Places(2, (2, 3)).grid
    assert grid[0].tolist() == [0, 0, 1, 1]
    assert grid[-1].tolist() == [1, 1, 0, 0]
    assert grid[1].tolist() == [0, 0.5, 1, 0.5]


def test_small_slots_are_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose slots are right in one image, in whatever order, is right by the size of slots alone."""
    from stawm.training.data import ImageSet, figure_ground

    images, masks = figure_ground.paste(some_digits(8, 7), flat_photographs([20], 1, (12, 12)), (12, 12), 0)
    some = ImageSet(images, torch.zeros(8, dtype=torch.long), ("x",), masks)
    model = tiny(slots=2).float().eval()

    def answer(pixels: torch.Tensor) -> Any:
        true = masks.float()
        found = torch.stack([true, 1 - true], dim=1)
        found[::2] = found[::2].flip(1)
        return type("Output", (), {"masks": found})

    monkeypatch.setattr(model, "forward", answer)
    found = mask_iou(model, some, some)
    assert (found.learned, found.by_glimpse) == (1.0, (1.0,))


def test_its_graph_with_the_noise_of_the_starts_is_verified(tmp_path: Path) -> None:
    assert to_onnx(tiny().float().eval(), tmp_path / "m.onnx", sample=True, outputs="all", batches=(1, 2)).ok
    file = read_graphs(tmp_path / "m.onnx")["rollout"]
    shapes = shapes_of(file.proto)
    assert contradictions(file.info, shapes) == []
    for name, shape in {"masks": ("b", 4, 1, 12, 12), "noise_latent": ("b", 4, 6)}.items():
        assert shapes[name][2:] == shape[2:]
        (fault,) = contradictions(file.info, shapes | {name: shape})
        assert "by the metadata there are 3" in fault
