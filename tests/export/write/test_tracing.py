"""What is done around PyTorch's exporter so that every version that is allowed can write every graph."""

import onnx_ir as ir
import torch
from torch import Tensor

from stawm.export.write.tracing import own_outputs, unguarded


class Sum(torch.nn.Module):
    def forward(self, *values: Tensor) -> Tensor:
        return values[0] + values[1]


def test_a_graph_of_several_inputs_is_traced_again_without_a_check_of_them_where_pytorch_is_old() -> None:
    two, b = (torch.rand(2, 3), torch.rand(2, 3)), torch.export.Dim("b", min=2)
    program = torch.export.export(Sum(), two, dynamic_shapes=(({0: b}, {0: b}),))

    def checks() -> bool:
        return "_guards_fn" in dict(program.module().named_modules())

    with unguarded(True):
        assert not checks()
        assert torch.equal(program.module()(*two), sum(two))
    with unguarded(False):
        assert checks()
    assert checks()


def test_what_is_put_out_twice_is_two_values_of_their_own_names() -> None:
    image = ir.Value(name="image", shape=ir.Shape(["b", 2]), type=ir.TensorType(ir.DataType.FLOAT))
    node = ir.node("Relu", [image])
    seen = node.outputs[0]
    seen.name, seen.shape, seen.type = "last", image.shape, image.type
    graph = ir.Graph([image], [seen, seen, image, seen], nodes=[node], opset_imports={"": 18})
    own_outputs(graph, ["x", "h", "same", "c"])
    assert [value.name for value in graph.outputs] == ["x", "h", "same", "c"]
    assert len({*graph.outputs}) == 4
    assert [value.producer().op_type for value in graph.outputs] == ["Relu", "Identity", "Identity", "Identity"]
    assert [value.producer().inputs[0] for value in graph.outputs] == [image, seen, image, seen]
    assert image.name == "image"
    assert all((value.shape, value.type) == (image.shape, image.type) for value in graph.outputs)
    before = list(graph)
    own_outputs(graph, ["x", "h", "same", "c"])
    assert list(graph) == before
