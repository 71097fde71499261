"""Every preset of another paper does what a preset has to: it learns by both recipes, and comes back from a file.

It is drawn, cited, described, and exported too. A preset that is added to these families is tried with the others.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.catalog.families import FAMILIES
from stawm.export import to_onnx
from stawm.export.graphs.fields import choose
from stawm.export.graphs.plan import Plan, make_graphs
from stawm.export.run.walk import roll
from stawm.registry import find
from stawm.storage import checkpoint
from stawm.training import evaluate, recipes, train
from stawm.training.data import ImageSet
from stawm.training.run import Run
from tests.small import PEERS, PRESETS, inputs, shaken, small
from tests.training.tiny import BRIEF, weights

OF_OTHERS = [name for name in PRESETS if name in PEERS]
PAIRS: dict[str, Any] = {"data.digits": 2, "data.target": "pair"}
SMALLER = ("glimpses", "hidden_size", "feature_size")


def test_every_family_of_other_papers_is_tried():
    ours = {"stawm", "baseline"}
    family = {name: getattr(stawm.config(name), "family", None) for name in PRESETS}
    tried = {family[name] for name in OF_OTHERS}
    assert tried - ours == {*FAMILIES} - ours
    of_families = {name for name in PRESETS if family[name] not in ours}
    of_papers = {name for name in PRESETS if name.startswith(("stn-", "ram-", "dram-", "edram-", "draw-", "slots-"))}
    assert of_families | of_papers == {*OF_OTHERS}


@pytest.mark.parametrize("recipe", ["paper", "fast"])
@pytest.mark.parametrize("name", OF_OTHERS)
def test_it_learns_by_both_recipes_and_comes_back_from_a_file(name: str, recipe: str, tmp_path: Path):
    config = small(recipes.trained_preset(recipe, name)).config
    run = Run(config, recipes.find(recipe, config.name, draws=config.draws), cpu=True)
    before = weights(run.model)
    images, targets = inputs(run.model, batch=4)
    parts = run.one_step((255 * images).to(torch.uint8), targets, steps_per_epoch=2)
    assert all(bool(part.isfinite()) for part in parts.values())
    assert not torch.equal(before, weights(run.model))
    checkpoint.save(run.result, tmp_path / "m.safetensors")
    again: Any = stawm.load(tmp_path / "m.safetensors")
    assert again.config == config
    assert torch.equal(weights(again), weights(run.result.cpu()))


@pytest.mark.parametrize("name", OF_OTHERS)
def test_it_is_drawn(name: str):
    viz = pytest.importorskip("stawm.viz")
    model = shaken(small(name))
    pixels, _ = inputs(model)
    if model.config.glimpses is None and model.config.draws:
        figure = viz.reconstructions(model, pixels)
    elif model.config.glimpses is None:
        labels = torch.tensor([0, 1])
        figure = viz.evaluation(evaluate(model, ImageSet((255 * pixels).to(torch.uint8), labels), by_class=True))
    else:
        figure = viz.drawings(model, pixels) if model.config.draws else viz.looks(model, pixels)
    assert figure.axes


@pytest.mark.parametrize("name", OF_OTHERS)
def test_it_is_cited_and_described(name: str):
    own = find("preset", name).cites
    assert own
    assert all(f"{{{key}," in stawm.cite(name) for key in own)
    assert name in str(stawm.describe(name))
    assert stawm.list_names("preset", origin="stawm").count(name) == 1


@pytest.mark.parametrize("name", OF_OTHERS)
def test_its_graphs_give_what_it_gives(name: str):
    model = shaken(small(name)).eval()
    images, _ = inputs(model, batch=3)
    fields, count = choose(model, None), model.config.glimpses
    expected = model(images).named()
    whole = make_graphs(model, Plan("rollout", count, fields, False))["rollout"]
    found = [whole.run({"image": images})]
    if count is not None:
        parts = make_graphs(model, Plan("step", count, fields, False))
        takes = {part: graph.inputs for part, graph in parts.items()}
        found.append(roll(lambda part, given: parts[part].run(given), takes, {"image": images}, count, every=False))
    for given in found:
        for field in fields:
            torch.testing.assert_close(given[field], expected[field], atol=1e-5, rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("recipe", ["paper", "fast"])
@pytest.mark.parametrize("name", OF_OTHERS)
def test_a_whole_run_becomes_a_verified_file(name: str, recipe: str, tmp_path: Path):
    sizes = small(name).config.to_dict()
    how: dict[str, Any] = {key: sizes[key] for key in SMALLER if sizes.get(key) is not None}
    how |= {**BRIEF, "recipe.epochs": 1, **({"glimpses": 2} if "glimpses" in how else {})}
    if stawm.config(name).image[1] > 28:
        how |= {"data": "clutter", "data.things": "digits", "data.digit_size": (8, 12), "data.scenes": 32}
        how |= {"data.pieces": 2, "data.piece_size": 4, **(PAIRS if "pairs" in name else {})}
    else:
        how |= {"data": "digits", "resize": True, "train_images": 64}
    result = train(name, out=tmp_path / "run", recipe=recipe, **how)
    assert to_onnx(result.model, tmp_path / "m.onnx", batches=(1, 2)).ok
