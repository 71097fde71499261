"""What is done around PyTorch's exporter so that every version that is allowed can write every graph."""

import torch
from torch import Tensor

from stawm.export.write.tracing import unguarded


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
