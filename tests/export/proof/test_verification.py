"""Verification refuses broken files, each for what is wrong with it."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import stawm
from stawm.errors import ExportError, InputError
from stawm.export import Report, VerificationError, to_onnx, verify
from stawm.export.file.files import read_graphs
from stawm.export.proof.verdicts import resolution
from stawm.export.proof.verification import examine
from tests.export.broken import broken, consumers, producer, replace_input, set_metadata, set_weight
from tests.small import shaken, tiny

BATCHES = (1, 3, 16)


def refused(path: Path, model: Any) -> Report:
    with pytest.raises(VerificationError) as caught:
        verify(path, model, batches=BATCHES)
    return caught.value.report


def failures(report: Report) -> dict[str, str]:
    return {check.name: check.detail for check in report.failures}


def test_an_intact_file_is_proved_equal(rollout: Path, classifier: Any) -> None:
    report = verify(rollout, classifier, batches=BATCHES)
    assert report.ok
    assert {"model", "checker", "names", "axes", "CUDA kernels", "batches", "live memory", "values", "classes"} <= {
        check.name for check in report.checks
    }
    names = {c.output for c in report.comparisons}
    assert names >= {"pose", "glimpses", "memory_input", "recall.classification", "glimpse_logits", "logits"}
    assert {c.glimpse for c in report.comparisons if c.output == "pose"} == {1, 2, 3}


def test_the_tolerance_is_far_below_what_is_compared(rollout: Path, classifier: Any) -> None:
    report = verify(rollout, classifier, batches=BATCHES)
    assert all(c.tolerance < 1e-4 * c.scale for c in report.comparisons)


def test_a_wrong_weight_is_seen_where_it_first_acts(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        set_weight(proto, "model.loop.emitter.hidden.weight", lambda w: w * (1 + 1e-2 * (w == w.max())))

    found = failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))
    assert list(found) == ["values"]
    assert found["values"].startswith("pose at glimpse 1 is off by")


def test_a_wrong_recurrent_weight_is_seen_at_the_second_glimpse(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        set_weight(proto, "model.loop.aggregator_rnn.weight_ih", lambda w: 0.99 * w)

    found = failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))
    assert found["values"].startswith("pose at glimpse 2 is off by")


def test_a_transposed_write_is_seen_in_the_memory(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    """Reads with E and F exchanged are those of the transposed W; the first write is symmetric."""

    def change(proto: onnx.ModelProto) -> None:
        last = consumers(proto, "memory_input", "MatMul")[-1]
        transposes = [
            n for n in proto.graph.node if n.op_type == "Transpose" and "Concat" in _makers(proto, n.input[0])
        ]
        (keys,) = [node for node in transposes if node.input[0] != "memory_input"]
        responses = keys.input[0]
        replace_input(keys, responses, "memory_input")
        replace_input(last, "memory_input", responses)
        _sort(proto)

    found = failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))
    assert list(found) == ["values"]
    assert found["values"].startswith("recall.classification at glimpse 2 is off by")


def test_a_dropped_decay_is_seen_at_the_second_read(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    n = classifier.config.glimpses

    def change(proto: onnx.ModelProto) -> None:
        (weights,) = [t for t in proto.graph.initializer if list(t.dims) == [n, n]]
        set_weight(proto, weights.name, lambda D: np.where(D > 0, D.max(), D).astype(np.float32))

    found = failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))
    assert list(found) == ["values"]
    assert found["values"].startswith("recall.classification at glimpse 2 is off by")


def test_nearest_sampling_is_seen(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        for node in proto.graph.node:
            for attribute in node.attribute:
                if attribute.name == "mode" and node.op_type == "GridSample":
                    attribute.s = b"nearest"

    found = failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))
    assert found["sampling"] == "sampling is 'nearest' and not bilinear"
    assert found["values"].startswith("glimpses at glimpse 1 is off by")


def test_a_frozen_batch_is_seen(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        for value in (*proto.graph.input, *proto.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 2

    found = failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))
    assert "the batch of image is fixed at 2" in found["axes"]
    assert "cannot run it" in found["batches"]


def test_outputs_in_another_order_are_seen(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        outputs = list(proto.graph.output)
        del proto.graph.output[:]
        proto.graph.output.extend(reversed(outputs))

    found = failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))
    assert list(found) == ["names"]


def test_swapped_outputs_are_seen(painting: Path, painter: Any, tmp_path: Path) -> None:
    """Both poses have the same form, so that only their values tell them apart."""

    def change(proto: onnx.ModelProto) -> None:
        swap = {"pose": "inverse_pose", "inverse_pose": "pose"}
        for node in proto.graph.node:
            for names in (node.input, node.output):
                names[:] = [swap.get(name, name) for name in names]

    found = failures(refused(broken(painting, tmp_path / "m.onnx", change), painter))
    assert list(found) == ["values"]
    assert re.match("(inverse_)?pose at glimpse 1 is off by", found["values"])


def test_one_glimpse_fewer_is_seen(classifier: Any, tmp_path: Path) -> None:
    to_onnx(classifier, tmp_path / "short.onnx", glimpses=2, batches=(1,))

    def change(proto: onnx.ModelProto) -> None:
        set_metadata(proto, "stawm.graph", lambda text: text.replace('"glimpses": 2', '"glimpses": 3'))

    found = failures(refused(broken(tmp_path / "short.onnx", tmp_path / "m.onnx", change), classifier))
    assert found["axes"] == "pose is (b, 2, 6) and not (b, 3, 6)"
    assert found["metadata"] == "pose is (b, 2, 6), by the metadata there are 3 glimpses"


def test_shape_arithmetic_is_seen(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.node.insert(0, helper.make_node("Shape", ["image"], ["size"]))

    assert "1 Shape" in failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))["plain arithmetic"]


def test_a_weight_that_is_there_twice_is_seen(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        large = next(tensor for tensor in proto.graph.initializer if tensor.name == "model.loop.glimpse_down.weight")
        proto.graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(large), "again"))
        node = next(node for node in reversed(proto.graph.node) if large.name in node.input)
        replace_input(node, large.name, "again")

    found = failures(refused(broken(rollout, tmp_path / "m.onnx", change), classifier))
    assert found == {"sharing": "1 weights are stored more than once"}


def test_inputs_that_were_merged_are_seen(steps: Path, classifier: Any, tmp_path: Path) -> None:
    """What an exporter does to example inputs that are one tensor."""
    for part in ("init", "glimpse", "read"):
        broken(steps / f"{part}.onnx", tmp_path / f"{part}.onnx", lambda proto: None)

    def change(proto: onnx.ModelProto) -> None:
        for node in consumers(proto, "state.emission_c", "Mul"):
            replace_input(node, "state.emission_c", "state.aggregator_c")

    broken(steps / "glimpse.onnx", tmp_path / "glimpse.onnx", change)
    found = failures(refused(tmp_path, classifier))
    assert found["inputs"] == "glimpse: state.emission_c is not used"
    assert found["values"].startswith("pose at glimpse 2 is off by")


def test_a_model_with_other_weights_is_told(rollout: Path) -> None:
    other = shaken(tiny(heads="classification"), scale=0.2)
    assert failures(refused(rollout, other)) == {"model": "made of a model with other weights"}


def test_another_configuration_is_told(rollout: Path, painter: Any) -> None:
    assert "another configuration" in failures(refused(rollout, painter))["model"]


def test_a_dead_memory_proves_nothing_and_leaves_no_file(tmp_path: Path) -> None:
    model = tiny(heads="classification")
    model.loop.what.weight.data.zero_()
    model.loop.what.bias.data.zero_()
    with pytest.raises(VerificationError, match="live memory: classification reads only zeros"):
        to_onnx(model, tmp_path / "m.onnx", glimpses=1, batches=(2,))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_number_is_equal_to_nothing(tmp_path: Path) -> None:
    model = tiny(heads="classification")
    model.heads.classification.classifier.linear.bias.data[0] = float("nan")
    with pytest.raises(VerificationError, match="values: logits is off by inf"):
        to_onnx(model, tmp_path / "m.onnx", glimpses=1, batches=(2,))


def test_a_model_that_rounding_decides_cannot_be_verified(rollout: Path, classifier: Any) -> None:
    report = verify(rollout, classifier, batches=BATCHES)
    chaotic = [dataclasses.replace(c, tolerance=c.scale) for c in report.comparisons]
    assert not resolution(chaotic).ok
    assert "is 1 of the greatest value" in resolution(chaotic).detail
    assert resolution(report.comparisons).ok


def test_a_failure_says_what_and_where(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        set_weight(proto, "model.loop.emitter.pose.bias", lambda b: b + 0.1)

    report = refused(broken(rollout, tmp_path / "m.onnx", change), classifier)
    assert "FAILED  pose" in str(report)
    said = json.loads(json.dumps(report.as_dict()))
    assert not said["ok"]
    assert any(c["output"] == "pose" and c["glimpse"] == 1 and not c["ok"] for c in said["comparisons"])
    with pytest.raises(ExportError, match="pose at glimpse 1 is off by"):
        verify(tmp_path / "m.onnx", classifier, batches=(2,))


def test_a_truncated_file_is_not_opened(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(rollout.read_bytes()[:-1000])
    with pytest.raises(ExportError, match="is truncated or was altered"):
        verify(path, classifier)


def test_a_changed_byte_is_found(rollout: Path, classifier: Any, tmp_path: Path) -> None:
    data = bytearray(rollout.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ExportError, match="was altered after it was written"):
        verify(tmp_path / "m.onnx", classifier)


@pytest.mark.usefixtures("unchecked")
def test_verify_takes_models(rollout: Path) -> None:
    with pytest.raises(InputError, match=r"made; got str\."):
        verify(rollout, "stawm-digits")  # pyright: ignore[reportArgumentType]


def test_the_same_file_passes_for_a_model_that_trains(rollout: Path, classifier: Any) -> None:
    """Dropout and batch statistics are off in what is compared."""
    model = stawm.build(classifier.config)
    model.load_state_dict(classifier.state_dict())
    assert model.training
    assert examine(rollout, read_graphs(rollout), model, (2,)).ok
    assert model.training


def _makers(proto: onnx.ModelProto, name: str) -> str:
    return producer(proto, name).op_type if any(name in node.output for node in proto.graph.node) else ""


def _sort(proto: onnx.ModelProto) -> None:
    """Bring nodes back into an order in which each comes after what it needs."""
    known = {value.name for value in (*proto.graph.input, *proto.graph.initializer)} | {""}
    waiting, done = list(proto.graph.node), []
    while waiting:
        ready = [node for node in waiting if set(node.input) <= known]
        assert ready
        done += ready
        known |= {name for node in ready for name in node.output}
        waiting = [node for node in waiting if node not in ready]
    del proto.graph.node[:]
    proto.graph.node.extend(done)
