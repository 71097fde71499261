"""Folders, Triton, Ray and the command line."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stawm
from stawm.cli import graphs as commands
from stawm.cli.parser import make_parser
from stawm.errors import ExportError, InputError
from stawm.export import DeviceError, OnnxModel, VerificationError, to_onnx
from stawm.export.bulk import Predictor
from stawm.export.file.metadata import GraphInfo
from stawm.export.graphs.fields import OnnxOutput
from stawm.export.serve.folder import find_images, run_folder
from stawm.export.triton import write_repository
from tests.export.broken import broken, set_metadata, set_weight
from tests.export.opened import opened
from tests.small import small, tiny


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12), dtype=np.uint8)
    for name, picture in zip(("a.png", "b.PNG", "more/c.bmp"), pixels, strict=True):
        Image.fromarray(picture).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def read(path: Path) -> torch.Tensor:
    with Image.open(path) as file:
        return torch.from_numpy(np.array(file))


def test_a_folder_is_searched_in_order(pictures: Path) -> None:
    assert [p.name for p in find_images(pictures)] == ["a.png", "b.PNG", "c.bmp"]
    (pictures / "none").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        find_images(pictures / "none")
    with pytest.raises(InputError, match="nowhere"):
        find_images(pictures / "nowhere")


def test_images_of_a_folder_are_classified(pictures: Path, rollout: Path, classifier: Any) -> None:
    graph = opened(rollout, batch_size=2)
    found = run_folder(graph, pictures)
    pixels = torch.stack([read(path) for path in find_images(pictures)])
    logits = classifier(classifier.normalise(pixels[:, None] / 255)).logits
    assert [answer.label for answer in found.answers] == logits.argmax(1).tolist()
    assert [answer.confidence for answer in found.answers] == pytest.approx(logits.exp().amax(1).tolist(), rel=1e-4)
    assert [answer.name for answer in found.answers] == [str(n) for n in logits.argmax(1).tolist()]
    assert json.loads(json.dumps(found.as_dict()))["answers"][2]["path"].endswith("c.bmp")
    assert "glimpses" in str(found).splitlines()[0]


def test_numbers_and_labels_of_other_heads_are_told_by_name(pictures: Path) -> None:
    heads = [{"name": "regression", "values": 2, "names": ["x", "y"]}, {"name": "multilabel", "flags": 3}]
    model = tiny(heads=heads, class_names=[])
    answers = run_folder(model, pictures)
    first, output = answers.answers[0], model.predict(read(answers.answers[0].path)[None, None])
    assert first.further is not None
    assert first.further["values"] == pytest.approx(dict(zip("xy", output.extra["values"][0].tolist(), strict=True)))
    assert [*first.further["flag_logits"]] == ["0", "1", "2"]
    assert (first.label, first.name, first.error) == (None, None, None)
    assert f"x {first.further['values']['x']:.4g}, y " in str(answers)
    assert answers.as_dict()["answers"][0]["further"] == first.further


def test_looking_at_a_folder_takes_as_many_glimpses_as_needed(pictures: Path, steps: Path) -> None:
    graph = opened(steps)
    assert {answer.glimpses for answer in run_folder(graph, pictures, until=0.01).answers} == {1}
    assert {answer.glimpses for answer in run_folder(graph, pictures, until=1.0).answers} == {3}


class Drawer(OnnxModel):
    """Stands for a graph: draws every image a tenth brighter than it is."""

    def __init__(self, info: GraphInfo) -> None:
        self.info, self.batch_size = info, 2

    def __call__(self, pixels: Any, **options: Any) -> OnnxOutput:
        return OnnxOutput(canvas=pixels + 0.1)


def test_the_error_of_a_drawing_is_that_of_its_pixels(pictures: Path, painting: Path, tmp_path: Path) -> None:
    """The painter's mean is 0.3 and its deviation 0.35: against normalised images the error would be others."""
    drawer: Any = Drawer(opened(painting).info)
    found = run_folder(drawer, pictures, save=tmp_path / "drawn")
    assert [answer.error for answer in found.answers] == pytest.approx([0.01] * 3, rel=1e-4)
    for answer in found.answers:
        assert answer.drawing is not None
        wanted = (read(answer.path).float() + 25.5).clamp(0, 255)
        assert (read(answer.drawing).float() - wanted).abs().max() <= 0.5 + 1e-3
    assert {answer.label for answer in found.answers} == {None}
    assert {answer.glimpses for answer in found.answers} == {3}


def test_what_is_drawn_is_measured_and_saved(pictures: Path, painting: Path, tmp_path: Path) -> None:
    found = run_folder(opened(painting), pictures, save=tmp_path / "drawn")
    assert all(answer.error is not None and 0 <= answer.error <= 1 for answer in found.answers)
    assert all(answer.drawing is not None and read(answer.drawing).shape == (12, 12) for answer in found.answers)
    again = run_folder(opened(painting), pictures / "a.png", save=tmp_path / "drawn")
    assert again.answers[0].drawing == tmp_path / "drawn" / "a-1.png"


def test_batches_of_a_frame_are_classified(rollout: Path) -> None:
    predict = Predictor(rollout, device="cpu")
    pixels = np.random.default_rng(1).integers(0, 256, (4, 12, 12), dtype=np.uint8)
    found = predict({"image": pixels, "path": np.arange(4)})
    assert sorted(found) == ["class_name", "confidence", "label", "path"]
    assert found["label"].tolist() == opened(rollout)(pixels).logits.argmax(1).tolist()
    assert found["class_name"].tolist() == [str(label) for label in found["label"]]
    with pytest.raises(InputError, match="no column 'image'; there are pixels"):
        predict({"pixels": pixels})


def test_a_graph_that_only_draws_classifies_nothing(tmp_path: Path) -> None:
    to_onnx(small("bvae-cifar"), tmp_path / "m.onnx", batches=(2,))
    with pytest.raises(InputError, match="gives no logits"):
        Predictor(tmp_path / "m.onnx")({"image": np.zeros((2, 32, 32, 3), dtype=np.uint8)})


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # Ray uses what it has itself deprecated
def test_the_docs_example_of_ray_runs_with_two_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
    page = (Path(__file__).parents[3] / "docs" / "deploy.md").read_text()
    example = page.partition("```py\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    to_onnx(small("stawm-digits"), "digits.onnx", batches=(2,))
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (150, 16, 16), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "images" / f"{number}.png")
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    try:
        exec(example, {})
    finally:
        ray.shutdown()
    lines = [line for path in (tmp_path / "answers").iterdir() for line in path.read_text().splitlines()]
    found = {Path(row["path"]).name: row["label"] for row in map(json.loads, lines)}
    expected = run_folder(opened(tmp_path / "digits.onnx"), tmp_path / "images").answers
    assert found == {answer.path.name: answer.label for answer in expected}


def test_a_model_repository(rollout: Path, tmp_path: Path) -> None:
    served = write_repository(rollout, tmp_path / "models", max_batch=64)
    assert served.folder == tmp_path / "models" / "stawm-digits"
    assert (served.folder / "1" / "model.onnx").read_bytes() == rollout.read_bytes()
    assert (served.folder / "labels.txt").read_text().splitlines() == list("0123456789")
    again = write_repository(rollout, tmp_path / "models", max_batch=64)
    assert again.version == 2
    assert sorted(p.name for p in served.folder.iterdir()) == ["1", "2", "config.pbtxt", "labels.txt"]
    assert opened(served.folder / "1" / "model.onnx").info.preset == "stawm-digits"
    assert "tritonserver --model-repository=" in str(served)


def test_the_configuration_is_of_tritons_own_schema(rollout: Path, painting: Path, tmp_path: Path) -> None:
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="needs the extra 'triton'")
    from google.protobuf import text_format

    for path, name in ((rollout, "reader"), (painting, "painter")):
        served = write_repository(path, tmp_path, name=name, max_batch=64, delay=500)
        config = text_format.Parse((served.folder / "config.pbtxt").read_text(), schema.ModelConfig())
        assert (config.name, config.backend, config.max_batch_size) == (name, "onnxruntime", 64)
        assert list(config.dynamic_batching.preferred_batch_size) == [8, 32]
        assert config.dynamic_batching.max_queue_delay_microseconds == 500
        info = opened(path).info
        assert [tensor.name for tensor in config.input] == list(info.inputs)
        assert [tensor.name for tensor in config.output] == list(info.outputs)
        assert all(tensor.data_type == schema.TYPE_FP32 for tensor in (*config.input, *config.output))
        assert list(config.input[0].dims) == [1, 12, 12]
        labels = {tensor.name: tensor.label_filename for tensor in config.output if tensor.label_filename}
        assert labels == {"logits": "labels.txt"}
        assert json.loads(config.parameters["stawm.mean"].string_value) == [0.3]


def test_a_configuration_says_what_was_asked_for(rollout: Path, tmp_path: Path) -> None:
    served = write_repository(rollout, tmp_path, name="a", max_batch=4, delay=0)
    text = (served.folder / "config.pbtxt").read_text()
    assert "max_batch_size: 4\n" in text
    assert "preferred_batch_size: [4]" in text
    assert "max_queue_delay_microseconds: 0" in text
    assert 'input { name: "image" data_type: TYPE_FP32 dims: [1, 12, 12] }' in text
    assert 'output { name: "logits" data_type: TYPE_FP32 dims: [10] label_filename: "labels.txt" }' in text
    assert 'output { name: "pose" data_type: TYPE_FP32 dims: [3, 6] }' in text
    assert 'key: "stawm.std" value { string_value: "[0.35]" }' in text
    write_repository(rollout, tmp_path, name="b", max_batch=128)
    assert "preferred_batch_size: [8, 32, 128]" in (tmp_path / "b" / "config.pbtxt").read_text()


@pytest.mark.parametrize("options", [{"max_batch": 0}, {"delay": -1}])
def test_what_triton_cannot_be_asked_for(options: dict[str, int], rollout: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_batch must be at least 1 and delay at least 0"):
        write_repository(rollout, tmp_path, **options)  # pyright: ignore[reportArgumentType]
    assert list(tmp_path.iterdir()) == []


def test_a_version_is_the_next_number_beside_other_folders(rollout: Path, tmp_path: Path) -> None:
    for name in ("1", "3", "notes"):
        (tmp_path / "stawm-digits" / name).mkdir(parents=True)
    assert write_repository(rollout, tmp_path).version == 4


def test_a_file_that_contradicts_itself_is_not_served(rollout: Path, tmp_path: Path) -> None:
    def change(proto: Any) -> None:
        set_metadata(proto, "stawm.graph", lambda text: text.replace('"glimpses": 3', '"glimpses": 4'))

    with pytest.raises(ExportError, match="contradicts its graph: pose is"):
        write_repository(broken(rollout, tmp_path / "m.onnx", change), tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_triton_serves_rollouts(steps: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a step graph"):
        write_repository(steps, tmp_path)


def parse(*words: str) -> argparse.Namespace:
    return make_parser().parse_args(words)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    args = parse(*words)
    args.run(args)
    return capsys.readouterr().out


def test_the_commands(
    classifier: Any, rollout: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, graph = tmp_path / "m.safetensors", tmp_path / "m.onnx"
    stawm.save(classifier, checkpoint)
    said = call(
        capsys,
        *("export", str(checkpoint), str(graph), "--glimpses", "1", "--outputs", "logits, pose"),
        *("--triton", str(tmp_path / "models"), "--json"),
    )
    assert json.loads(said)["ok"]
    assert json.loads(said)["triton"]["version"] == 1
    assert "ok  values" in " ".join(call(capsys, "verify", str(graph), str(checkpoint)).split(" "))
    answers = json.loads(call(capsys, "run", str(graph), str(pictures), "--device", "cpu", "--json"))["answers"]
    assert [answer["glimpses"] for answer in answers] == [1, 1, 1]
    assert "confidence" in call(capsys, "run", str(graph), str(pictures), "--device", "cpu")
    with pytest.raises(DeviceError, match="an NVIDIA"):
        call(capsys, "verify", str(graph), str(checkpoint), "--device", "cuda")
    with pytest.raises(DeviceError, match="an NVIDIA"):
        call(capsys, "export", str(checkpoint), str(tmp_path / "gpu.onnx"), "--glimpses", "1", "--device", "tensorrt")
    commands.inspect(argparse.Namespace(file=graph, json=True))
    assert json.loads(capsys.readouterr().out)["glimpses"] == 1
    assert commands.is_graph(str(graph))
    assert not commands.is_graph(str(checkpoint))


def test_a_command_that_finds_a_difference_reports_it_and_raises(
    classifier: Any, rollout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stawm.save(classifier, tmp_path / "m.safetensors")
    bad = broken(rollout, tmp_path / "m.onnx", lambda p: set_weight(p, "model.loop.what.bias", lambda b: b + 0.01))
    args = parse("verify", str(bad), str(tmp_path / "m.safetensors"), "--json")
    with pytest.raises(VerificationError, match="memory_input at glimpse 1 is off by"):
        args.run(args)
    said = json.loads(capsys.readouterr().out)
    assert not said["ok"]
    assert [check["name"] for check in said["checks"] if not check["ok"]] == ["values"]
