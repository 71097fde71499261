"""Buffers that stay on a device give what arrays of the host give."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from stawm.export.file.files import read_graphs
from stawm.export.run.providers import open_session
from stawm.export.run.runners import KEPT, BoundRunner, HostRunner
from tests.small import inputs


@pytest.mark.parametrize("buckets", [(), (2, 4)])
def test_bound_buffers_give_the_same_from_several_threads(
    buckets: tuple[int, ...], rollout: Path, classifier: Any
) -> None:
    """The path of GPUs, with its buffers on the CPU."""
    data = read_graphs(rollout)["rollout"].data
    session = open_session(data, "cpu", allow_fallback=False, threads=1)
    bound, plain = BoundRunner(session, torch.device("cpu"), buckets), HostRunner(session)
    batches = [inputs(classifier, batch=1 + seed % 5, seed=seed)[0] for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda images: bound({"image": images}), batches))
    for images, output in zip(batches, found, strict=True):
        for name, value in plain({"image": images}).items():
            assert torch.allclose(output[name], value, atol=1e-6), name
    assert set(bound.slots) <= {*buckets, 5} if buckets else set(bound.slots) == {1, 2, 3, 4, 5}


def test_buffers_of_few_sizes_are_kept(rollout: Path, classifier: Any) -> None:
    session = open_session(read_graphs(rollout)["rollout"].data, "cpu", allow_fallback=False, threads=1)
    bound = BoundRunner(session, torch.device("cpu"))
    for batch in range(1, KEPT + 3):
        bound({"image": inputs(classifier, batch)[0]})
    assert list(bound.slots) == list(range(3, KEPT + 3))
