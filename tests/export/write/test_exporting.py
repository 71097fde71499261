"""Every kind of model can be exported, is lean, and is equal to the model."""

import json
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import pytest
import torch

import stawm
from stawm.errors import ExportError, InputError
from stawm.export import OnnxModel, VerificationError, to_onnx
from stawm.export.file.writing import write_graphs
from stawm.export.graphs.fields import available, choose, flatten
from stawm.heads.classification import ClassificationHead
from stawm.heads.output import Noise
from stawm.storage.hashing import weights_hash
from tests.export.opened import answers, opened
from tests.small import BASELINES, PRESETS, STAWMS, inputs, shaken, small, tiny

MEMORIES = stawm.list_names("memory", origin="stawm")
LOCATORS = stawm.list_names("locator", origin="stawm")
CANVASES = stawm.list_names("canvas", origin="stawm")
BACKBONES = ["conv", "timm:mobilenetv2_100", "timm:resnet18"]
BATCHES = (1, 3, 16)


def nodes_needed(path: Path) -> int:
    """What is left when ONNX Runtime has taken out all that changes no value."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path.with_suffix(".basic.onnx"))
    options.log_severity_level = 3
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return len(onnx.load(path.with_suffix(".basic.onnx")).graph.node)


def assert_lean(path: Path) -> None:
    for file in [path] if path.is_file() else [path / "glimpse.onnx", path / "read.onnx"]:
        count = len(onnx.load(file).graph.node)
        assert count <= 1.1 * nodes_needed(file), file.name


SET_APART = ("name", "class_names", "memory", "locator", "canvas")


def kind_of(preset: str) -> str:
    """What a preset is but for its numbers, and for the components that `mixed` puts in their places."""
    fields = stawm.config(preset).to_dict()
    fields = {key: value for key, value in fields.items() if key not in SET_APART}
    text = re.sub(r"-?\d[\d.]*(e-?\d+)?", "#", json.dumps(fields, sort_keys=True))
    return re.sub(r"(#\S*)(?:[, ]+\1)+", r"\1", text)  # a network is as deep as it is wide: by numbers


DISTINCT = list({kind_of(preset): preset for preset in reversed(PRESETS)}.values())[::-1]
"""The first preset of each kind: others differ from it by their numbers alone, and are exported at full size."""


def mixed(preset: str) -> dict[str, Any]:
    """Components for each preset, so that together they go through all of them."""
    if preset not in STAWMS:
        return {} if stawm.config(preset).glimpses is None else {"glimpses": 2}
    i = [name for name in DISTINCT if name in STAWMS].index(preset)
    options: dict[str, Any] = {"memory": MEMORIES[i % len(MEMORIES)], "canvas": CANVASES[i // 2 % len(CANVASES)]}
    any_size = stawm.config(preset).context_size is not None
    if not any_size:  # which not every locator looks at
        options["locator"] = LOCATORS[i % len(LOCATORS)]
    return options | {"glimpses": 1 if any_size or preset == "stawm-cifar-mnv2" else 2}


SLOW = (
    "stawm-photo",
    "stawm-recall",
    "stawm-cluttered-60",
    "stawm-cifar-mnv2",
    "dram-pairs-100",
    "dram-soft-pairs-100",
    "edram-cluttered-100",
    "mnv2-cifar",
    "ram-cluttered-60",
    "stawm-celeba-draw-32",
    "stawm-mnist-draw-8",
)
"""They take ten seconds or more each, or are much like others; their components are exported by other tests too."""
BY_STEPS = ("hebb-rosenblatt", "backpropamine", "fast-weights", "hopfield", "oja", "recurrent")
"""Memories of every form of state: factors, matrices, rows, a vector; and those whose turn is in slow presets alone."""


@pytest.mark.parametrize(
    "preset", [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in DISTINCT]
)
def test_every_preset_with_components_in_turn(preset: str, tmp_path: Path) -> None:
    model = small(preset, **mixed(preset))
    report = to_onnx(model, tmp_path / "m.onnx", outputs=available(model), batches=BATCHES)
    assert report.ok
    assert_lean(tmp_path / "m.onnx")


def test_the_components_come_all_in_turn() -> None:
    seen = [mixed(preset) for preset in DISTINCT if preset in STAWMS and preset not in SLOW]
    assert {one["memory"] for one in seen}.union(BY_STEPS) == set(MEMORIES)
    assert {one["locator"] for one in seen if "locator" in one} == set(LOCATORS)
    assert {one["canvas"] for one in seen} == set(CANVASES)


@pytest.mark.parametrize(
    "memory", [name if name in BY_STEPS else pytest.param(name, marks=pytest.mark.long) for name in MEMORIES]
)
def test_every_memory_by_steps(memory: str, tmp_path: Path) -> None:
    i = MEMORIES.index(memory)
    heads = ("classification", "drawing") if i == 0 else ("classification",)
    model = shaken(tiny(memory=memory, locator=LOCATORS[i % 3], canvas=CANVASES[i % 2], heads=heads))
    outputs = ["logits", "glimpse_logits", "pose", *(["canvas", "mu"] if i == 0 else [])]
    assert to_onnx(model, tmp_path / "m", graph="step", outputs=outputs, batches=BATCHES).ok
    assert_lean(tmp_path / "m")


@pytest.mark.parametrize("memory", [{"form": "dense"}, {"name": "fast-weights", "form": "dense"}])
def test_dense_memories_need_no_zeros(memory: dict[str, str], tmp_path: Path) -> None:
    model = shaken(tiny(memory=memory, heads="classification", glimpses=2))
    assert to_onnx(model, tmp_path / "m.onnx", batches=BATCHES).ok


def test_a_network_of_timm(tmp_path: Path) -> None:
    sizes = {"image": (3, 16, 16), "glimpse_size": 16, "glimpses": 1}
    model = tiny(backbone={"name": "timm:resnet18", "total_stride": 4}, heads="classification", **sizes)
    assert to_onnx(model, tmp_path / "m.onnx", batches=(1, 3)).ok
    assert_lean(tmp_path / "m.onnx")


@pytest.mark.parametrize("preset", ["stawm-mnist-sketchpad", "bvae-cifar"])
def test_half_precision(preset: str, tmp_path: Path) -> None:
    options = {} if preset in BASELINES else {"glimpses": 2, "canvas": "bernoulli"}
    model = small(preset, **options)
    report = to_onnx(model, tmp_path / "m.onnx", precision="fp16", batches=BATCHES)
    assert report.ok
    proto = onnx.load(tmp_path / "m.onnx")
    halves = sum(len(t.raw_data) for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16)
    assert halves > 0.6 * sum(len(t.raw_data) for t in proto.graph.initializer)
    images, _ = inputs(model)
    whole, half = answers(model.eval(), images), opened(tmp_path / "m.onnx")(images)
    assert torch.allclose(half.canvas, whole.canvas, atol=0.02)


@pytest.mark.parametrize("opset", [20, 22])
def test_later_opsets_with_the_logits_alone(opset: int, tmp_path: Path, classifier: Any) -> None:
    report = to_onnx(classifier, tmp_path / "m.onnx", glimpses=1, opset=opset, outputs=["logits"], batches=(2,))
    assert report.opset == opset
    assert [value.name for value in onnx.load(tmp_path / "m.onnx").graph.output] == ["logits"]
    output = opened(tmp_path / "m.onnx")(inputs(classifier)[0])
    assert list(flatten(output)) == ["logits"]


@pytest.mark.parametrize("opset", [17, 27])
def test_opsets_that_are_not_written(opset: int, tmp_path: Path, classifier: Any) -> None:
    with pytest.raises(InputError, match=f"opset must be from 18 to 26; .*; got {opset}"):
        to_onnx(classifier, tmp_path / "m.onnx", opset=opset)


def test_random_numbers_are_inputs_where_sampling_is_asked_for(painting: Path, painter: Any) -> None:
    onnx_model = opened(painting)
    assert onnx_model.info.inputs == ("image", "noise_latent", "noise_mask")
    images, _ = inputs(painter, batch=3)
    noise = Noise(torch.randn(3, 3, 4), torch.rand(3, 3, 1, 12, 12))
    given, expected = onnx_model(images, noise=noise), answers(painter, images, noise=noise)
    assert torch.allclose(given.canvas, expected.canvas, atol=1e-5)
    assert torch.allclose(given.masks, expected.masks, atol=1e-5)


def test_steps_with_random_numbers_are_the_rollout(painter: Any, tmp_path: Path) -> None:
    report = to_onnx(painter, tmp_path / "m", graph="step", sample=True, outputs=["canvases", "masks"], batches=BATCHES)
    assert report.ok


@pytest.mark.parametrize("glimpses", [1, 2, 3])
def test_steps_go_as_far_as_they_are_asked_to(glimpses: int, steps: Path, classifier: Any) -> None:
    images, _ = inputs(classifier, batch=4)
    found = opened(steps)(images, glimpses=glimpses)
    expected = answers(classifier, images, glimpses=glimpses, glimpse_logits=True)
    assert torch.allclose(found.logits, expected.logits, atol=1e-5)
    assert torch.allclose(found.glimpse_logits, expected.glimpse_logits, atol=1e-5)


def test_by_default_there_are_the_answer_and_the_poses(classifier: Any, painter: Any) -> None:
    assert choose(painter, None) == ("logits", "canvas", "pose", "inverse_pose")
    assert choose(classifier, None) == ("logits", "pose")
    assert choose(small("bvae-cifar"), None) == ("canvas",)


def test_no_trace_of_the_machine_is_left(rollout: Path) -> None:
    data = rollout.read_bytes()
    assert b"/stawm/" not in data
    assert b".py" not in data


def test_the_model_is_left_as_it_is(tmp_path: Path) -> None:
    model = tiny(heads="classification").train()
    before = weights_hash(model)
    to_onnx(model, tmp_path / "m.onnx", glimpses=1, batches=(2,))
    assert weights_hash(model) == before
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.loop.parameters())


@pytest.mark.parametrize("before", ["nothing", "a file", "a step graph"])
def test_a_step_graph_replaces_what_was_exported_before(before: str, tmp_path: Path) -> None:
    parts = {"init": b"1", "glimpse": b"2", "read": b"3"}
    if before == "a file":
        (tmp_path / "m").write_text("old")
    elif before == "a step graph":
        write_graphs(tmp_path / "m", dict.fromkeys(parts, b"old"))
    write_graphs(tmp_path / "m", parts)
    assert {p.stem: p.read_bytes() for p in (tmp_path / "m").iterdir()} == parts
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_failure_keeps_the_export_before(tmp_path: Path, classifier: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.onnx").write_text("before")
    monkeypatch.setattr("stawm.export.proof.reference.SLACK", 0)
    monkeypatch.setattr("stawm.export.proof.reference.FLOOR", -1)
    with pytest.raises(VerificationError):
        to_onnx(classifier, tmp_path / "m.onnx", glimpses=1, batches=(2,))
    assert (tmp_path / "m.onnx").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("graph", ["rollout", "step"])
def test_a_folder_of_other_things_is_left_alone(graph: Any, tmp_path: Path, classifier: Any) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is a folder that holds other files"):
        to_onnx(classifier, tmp_path, graph=graph, glimpses=1, batches=(2,))
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ["logit"]}, "has no output 'logit'. Did you mean 'logits'"),
        ({"outputs": ["canvas"]}, "has no output 'canvas'"),
        ({"outputs": []}, "at least one output"),
        ({"glimpses": 0}, "at least 1 glimpse; got 0"),
        ({"precision": "int4"}, "'fp32', 'fp16' or 'int8'; got 'int4'"),
        ({"graph": "both"}, "'rollout' or 'step'; got 'both'"),
    ],
)
def test_what_cannot_be_asked_for(options: dict[str, Any], message: str, tmp_path: Path, classifier: Any) -> None:
    with pytest.raises(InputError, match=message):
        to_onnx(classifier, tmp_path / "m.onnx", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unchecked")
def test_only_models_are_exported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got Linear"):
        to_onnx(torch.nn.Linear(1, 1), tmp_path / "m.onnx")  # pyright: ignore[reportArgumentType]


def test_baselines_take_no_glimpses(tmp_path: Path) -> None:
    for options in ({"glimpses": 2}, {"graph": "step"}):
        with pytest.raises(InputError, match="bvae-cifar takes no glimpses"):
            to_onnx(small("bvae-cifar"), tmp_path / "m.onnx", **options)  # pyright: ignore[reportArgumentType]


def test_a_head_without_a_step_form_is_told(tmp_path: Path, classifier: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that reads neither after each glimpse nor once after the last."""
    head = type(classifier.heads["classification"])
    monkeypatch.setattr(head, "reads", lambda self, glimpses, every=False: (1, glimpses))
    with pytest.raises(ExportError, match=r"'classification' has no step form: of 3 glimpses it reads after \(1, 3\)"):
        to_onnx(classifier, tmp_path / "m", graph="step")
    assert not (tmp_path / "m").exists()


def test_a_head_of_another_package_has_a_step_form(tmp_path: Path) -> None:
    """One that reads after every glimpse, and concludes from what it kept of all of them."""

    class Voting(ClassificationHead):
        def reads(self, glimpses: int, *, every: bool = False) -> Sequence[int]:
            return range(1, glimpses + 1)

        def conclude(self, carried: Any) -> dict[str, Any]:
            return {"logits": carried["logits"].logsumexp(dim=1).log_softmax(dim=-1)}

        def carries(self, noise: Any) -> dict[str, tuple[int, ...]]:
            return {"logits": (self.config.classes,)}

    model: Any = shaken(tiny(heads="classification", glimpses=2)).eval()
    voting = Voting(model.config.heads[0], context_features=model.loop.context.features, memory_size=8)
    voting.load_state_dict(model.heads["classification"].state_dict())
    model.heads["classification"] = voting
    for kind in ("rollout", "step"):
        assert to_onnx(model, tmp_path / kind, graph=kind, batches=(1, 3)).ok
        images = torch.rand(3, *model.config.image)
        found = OnnxModel(tmp_path / kind, device="cpu")(images)
        torch.testing.assert_close(found.logits, model(model.normalise(images)).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_at_full_size(preset: str, tmp_path: Path) -> None:
    model = stawm.build(preset, seed=0)
    report = to_onnx(model, tmp_path / "m.onnx")
    assert_lean(tmp_path / "m.onnx")
    half = to_onnx(model, tmp_path / "half.onnx", precision="fp16", batches=(1, 3))
    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text()
    (row,) = [line.split("|") for line in page.splitlines() if line.startswith(f"| `{preset}` |")]
    assert [int(row[2]), int(row[6])] == [report.nodes["rollout"], half.nodes["rollout"]], "python -m benchmarks.graphs"


@pytest.mark.long
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("graph", ["rollout", "step"])
def test_every_combination(graph: Any, memory: str, backbone: str, tmp_path: Path) -> None:
    sizes = {} if backbone == "conv" else {"image": (3, 16, 16), "glimpse_size": 16}
    network: Any = {"layers": "4@3/1"} if backbone == "conv" else {"name": backbone, "total_stride": 4}
    for number, (locator, canvas) in enumerate(product(LOCATORS, CANVASES)):
        model = tiny(memory=memory, locator=locator, canvas=canvas, backbone=network, glimpses=2, **sizes)
        assert to_onnx(model, tmp_path / f"m{number}", graph=graph, batches=(1, 3)).ok
