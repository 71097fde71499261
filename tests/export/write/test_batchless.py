"""A component may ask for its batch's size; the graph then says the same without it, or a message names who and how."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from stawm.errors import ExportError
from stawm.export import to_onnx
from stawm.export.graphs.graph import Graph
from stawm.export.write.passes import STRANGE, clean
from stawm.export.write.sizes import Size
from stawm.export.write.tracing import trace, unplain
from stawm.nn.locators.affine import Affine
from tests.small import shaken, tiny


class Several(Graph):
    """A graph of several functions of images of 6x6, one output for each: one trace serves them all."""

    def __init__(self, *functions: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.functions = {f"y{i}": function for i, function in enumerate(functions)}
        self.inputs, self.outputs = ("image",), tuple(self.functions)

    def compute(self, given: Any) -> dict[str, Tensor]:
        """Return what each gives."""
        return {name: function(given["image"]) for name, function in self.functions.items()}


def empties(x: Tensor) -> Tensor:
    return torch.zeros(x.shape[0], 6, 6) @ x[:, 0] + torch.full((x.shape[0], 1, 1), 0.5)


def repeats(x: Tensor) -> Tensor:
    return torch.eye(3).repeat(x.shape[0], 2, 2) @ x[:, 0] + torch.eye(6).repeat(x.shape[0], 1, 1)


def tokens(x: Tensor) -> Tensor:
    return torch.cat([torch.arange(6.0).expand(x.shape[0], 2, 6), x[:, 0]], dim=1)


def picks(x: Tensor) -> Tensor:
    return x.flatten(1)[torch.arange(len(x)), x.flatten(1).argmax(dim=1)]


def flags(x: Tensor) -> Tensor:
    return torch.where(torch.zeros(x.shape[0], 6, dtype=torch.bool) | (x[:, 0, 0] > 0.5), 1.0, x[:, 0, 1])


def counts(x: Tensor) -> Tensor:
    return (torch.ones(x.shape[0], dtype=torch.int64) + 1)[:, None] * x[:, 0, 0]


def writes(x: Tensor) -> Tensor:
    w = x.new_zeros(x.shape[0], 6, 6)
    w[:, 2] = x[:, 0, 1]
    return w


def sides(x: Tensor) -> Tensor:
    """Numbers that are made of shapes, but of no batch."""
    return (
        x[:, 0].topk(x.shape[-1] // 2, dim=2).values.reshape(x.shape[0], -1)
        + F.unfold(x, 2, stride=2).sum((1, 2))[:, None]
    )


def second_axis(x: Tensor) -> Tensor:
    return torch.zeros(2, x.shape[0], 5) + x[:, 0, 0, :5]


def thumbnails(x: Tensor) -> Tensor:
    return F.interpolate(F.interpolate(x, size=(4, 5), mode="bilinear"), size=(9, 6))


def warped(x: Tensor) -> Tensor:
    theta = torch.tensor([[0.5, 0.1, 0.0], [0.0, 0.8, 0.2]]).expand(len(x), 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, [len(x), 1, 4, 4], align_corners=False), align_corners=False)


def rows(x: Tensor) -> Tensor:
    """Something for each of several rows of each image."""
    flat = x.flatten(0, 2)
    ids = torch.full((flat.shape[0],), 2.0)
    return (torch.stack([flat[:, 0], torch.zeros_like(flat[:, 0])], dim=1).sum(dim=1) + ids).unflatten(0, (-1, 6))


def infinite(x: Tensor) -> Tensor:
    """What is spread over the batch stays as it is, whatever is in the images."""
    return torch.full((x.shape[0], 2), 3.0)


FORMS = (empties, repeats, tokens, picks, flags, counts, writes, sides, second_axis, thumbnails, warped, rows, infinite)


@pytest.fixture(scope="module")
def plain() -> Any:
    """The graph of all forms, cleaned, and what is left in it."""
    graph = Several(*FORMS)
    traced = trace(graph, {"image": torch.rand(2, 1, 6, 6)}, 18)
    return graph, traced, clean(traced)


def run(traced: ir.Model, x: Tensor) -> list[np.ndarray]:
    session = ort.InferenceSession(ir.to_proto(traced).SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(None, {"image": x.numpy()})]


def test_no_shape_is_asked_for(plain: Any) -> None:
    _, traced, left = plain
    assert left == []
    assert not Counter(node.op_type for node in traced.graph).keys() & {*STRANGE}
    assert all(value.shape[0] == "b" for value in traced.graph.inputs)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_values_are_pytorchs_at_any_batch(batch: int, plain: Any) -> None:
    graph, traced, _ = plain
    x = torch.rand(batch, 1, 6, 6, generator=torch.Generator().manual_seed(batch))
    for form, found, expected in zip(FORMS, run(traced, x), graph(x), strict=True):
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5, err_msg=form.__name__)


@pytest.mark.parametrize("pixel", [float("nan"), float("inf"), -1.0])
def test_what_is_the_same_for_all_images_is_so_whatever_they_hold(pixel: float, plain: Any) -> None:
    _, traced, _ = plain
    assert (run(traced, torch.full((3, 1, 6, 6), pixel))[-1] == 3).all()


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5), st.integers(1, 4), st.integers(1, 9))
def test_sizes_are_reckoned_as_their_batch_would_be(times: int, more: int, other: int, by: int, batch: int) -> None:
    def at(size: Any) -> int:
        return size.times * batch + size.more if isinstance(size, Size) else size

    size = Size(times or 1, more)
    assert at(size + other) == at(other + size) == at(size) + other
    assert at(size - other) == at(size) - other
    assert at(other - size) == other - at(size)
    assert at(size * by) == at(by * size) == at(size) * by
    assert at((size * by) // by) == at(size)
    assert not isinstance(size - size, Size)


@pytest.mark.parametrize("work", [lambda b: b * b, lambda b: b // b, lambda b: (b + 1) // 2])
def test_what_is_no_multiple_of_the_batch_is_left_alone(work: Any) -> None:
    with pytest.raises(TypeError):
        work(Size(1))


class Context(nn.Module):
    """A component of another package."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) + self.more(x)

    def more(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Alone(Graph):
    """A graph of nothing but a component."""

    inputs, outputs = ("image",), ("y",)

    def __init__(self, component: nn.Module) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"context": component})

    def compute(self, given: Any) -> dict[str, Tensor]:
        """Return what the component gives."""
        return {"y": self.model["context"](given["image"])}


def refuse(component: nn.Module) -> str:
    """Return the message of an export that cannot be."""
    graph, example = Alone(component), {"image": torch.rand(2, 1, 6, 6)}
    try:
        return unplain(clean(trace(graph, example, 18)), graph, example)
    except ExportError as error:
        return str(error)


class Loops(Context):
    def more(self, x: Tensor) -> Tensor:
        return torch.stack([image.sum() for image in x])[:, None]


class Averages(Context):
    def more(self, x: Tensor) -> Tensor:
        return x.sum((1, 2, 3))[:, None] / float(x.shape[0])


class Numbers(Context):
    def more(self, x: Tensor) -> Tensor:
        return torch.arange(3 * x.shape[0]).view(-1, 3).sum(dim=1, keepdim=True) * 0.1


class Dice(Context):
    def more(self, x: Tensor) -> Tensor:
        return torch.randn_like(x[:, 0, 0, :1])


class Eigen(Context):
    def more(self, x: Tensor) -> Tensor:
        return torch.linalg.eigh(x[:, 0] @ x[:, 0].mT)[0][:, :1]


class Decides(Context):
    def more(self, x: Tensor) -> Tensor:
        return x[:, 0, 0, :1] if x.sum() > 0 else -x[:, 0, 0, :1]


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Loops, ["makes a number of the batch's size", "in x]", "no loop over the images"]),
        (Averages, ["makes a number of the batch's size", "float(x.shape[0])", "no float()"]),
        (Numbers, ["aten.arange", "needs Range", "torch.arange(3 * x.shape[0])", "as x * 0"]),
        (Dice, ["aten.randn_like", "torch.randn_like", "never draws random numbers"]),
        (Eigen, ["linalg_eigh", "torch.linalg.eigh"]),
        (Decides, ["if x.sum() > 0"]),
    ],
)
def test_the_message_names_component_operation_and_cure(cls: Any, words: list[str]) -> None:
    message = refuse(cls())
    for word in (f"context ({cls.__name__})", "test_batchless.py:", *words):
        assert word in message


def test_nothing_is_written_of_a_model_that_cannot_be_exported(tmp_path: Path) -> None:
    class Counting(Affine):
        def glimpse(self, image: Tensor, pose: Tensor) -> Tensor:
            return super().glimpse(image, pose) * int(image.shape[0])

    model = tiny(heads="classification", glimpses=1)
    model.loop.locator = Counting(glimpse_size=6, image_size=(12, 12))
    with pytest.raises(ExportError, match=r"loop.locator \(Counting\), at test_batchless.py:\d+ .*int\(image.shape"):
        to_onnx(model, tmp_path / "m.onnx", batches=(1, 3))
    assert list(tmp_path.iterdir()) == []


class Sampling(Affine):
    """A locator of another package, written with PyTorch's own functions."""

    def glimpse(self, image: Tensor, pose: Tensor) -> Tensor:
        size = [len(image), image.shape[1], self.glimpse_size, self.glimpse_size]
        grid = F.affine_grid(pose.unflatten(1, (2, 3)), size, align_corners=False)
        return F.grid_sample(image, grid, align_corners=False)


def test_a_locator_that_counts_its_images_is_exported_for_any_number(tmp_path: Path) -> None:
    model = tiny(heads="classification", glimpses=2)
    model.loop.locator = Sampling(glimpse_size=6, image_size=(12, 12))
    assert to_onnx(shaken(model), tmp_path / "m.onnx", batches=(1, 3)).ok


def test_python_counts_as_before_when_a_trace_is_over() -> None:
    assert "len" not in globals()
    assert re.fullmatch("builtins", len.__module__)
