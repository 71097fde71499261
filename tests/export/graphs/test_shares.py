"""The rollout graph gives the shares that `explain` gives; what cannot have them says so."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import InputError
from stawm.export import OnnxModel
from stawm.export.graphs.fields import available, choose
from tests.small import tiny


def test_a_graph_gives_the_shares_that_explain_gives(classifier: Any, rollout: Path):
    pixels = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    found, expected = OnnxModel(rollout)(pixels), stawm.explain(classifier, pixels)
    assert found.shares is not None
    assert found.logits is not None
    assert torch.allclose(found.shares, expected.shares, atol=1e-5)
    assert torch.allclose(found.logits - found.shares.sum(dim=1), expected.bias, atol=1e-5)


def test_shares_are_an_output_where_they_are_asked_for_and_there():
    assert "shares" in available(tiny())
    assert "shares" not in choose(tiny(), None)
    for without in (tiny(heads="drawing"), tiny(memory="backpropamine")):
        assert "shares" not in available(without)
        with pytest.raises(InputError, match="has no output 'shares'"):
            choose(without, ["shares"])


def test_a_step_graph_sends_who_asks_for_shares_to_a_rollout():
    assert "shares" not in choose(tiny(), "all", "step")
    with pytest.raises(InputError, match=r"A step graph has no output 'shares'.*use a rollout"):
        choose(tiny(), ["logits", "shares"], "step")
