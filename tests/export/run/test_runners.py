"""Buffers that stay on a device give what arrays of the host give."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from stawm.export.file.files import read_graphs
from stawm.export.run import runners
from stawm.export.run.host import HostRunner
from stawm.export.run.providers import open_session
from stawm.export.run.runners import KEPT, BoundRunner
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
    assert {size for size, _ in bound.slots} <= {*buckets, 5} if buckets else len(bound.slots) == 5


def test_buffers_of_few_sizes_are_kept(rollout: Path, classifier: Any) -> None:
    session = open_session(read_graphs(rollout)["rollout"].data, "cpu", allow_fallback=False, threads=1)
    bound = BoundRunner(session, torch.device("cpu"))
    for batch in range(1, KEPT + 3):
        bound({"image": inputs(classifier, batch)[0]})
    assert [size for size, _ in bound.slots] == list(range(3, KEPT + 3))


class Stream:
    """A stream that notes in what order it is asked for what; events are named by who recorded them."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.name, self.order = name, order

    def record_event(self) -> str:
        self.order.append(f"{self.name} records")
        return self.name

    def wait_event(self, event: str) -> None:
        self.order.append(f"{self.name} waits for {event}")

    def __enter__(self) -> None:
        self.order.append(f"on {self.name}")

    def __exit__(self, *_: object) -> None:
        self.order.append(f"off {self.name}")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("captured", [False, True])
def test_the_callers_stream_and_the_sessions_wait_for_each_other_and_the_host_for_neither(
    captured: bool, rollout: Path, classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    options: list[tuple[str, str]] = []
    theirs, ours = Stream("caller", order), Stream("session", order)
    session = open_session(read_graphs(rollout)["rollout"].data, "cpu", allow_fallback=False, threads=1)
    real = session.run_with_iobinding

    class Options(runners.ort.RunOptions):
        def add_run_config_entry(self, key: str, value: str) -> None:
            options.append((key, value))

    def run(binding: Any, given: Any) -> None:
        order.append("run")
        real(binding, given)

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: theirs)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda value, stream: order.append(f"kept for {stream.name}"))
    monkeypatch.setattr(runners.ort, "RunOptions", Options)
    monkeypatch.setattr(session, "run_with_iobinding", run)
    bound = BoundRunner(session, torch.device("cpu"), (4, 8), captured=captured, stream=ours)  # pyright: ignore
    images = inputs(classifier, 3)[0]
    found = bound({"image": images})
    assert order[:7] == [
        *("caller records", "session waits for caller", "on session", "run", "off session", "session records"),
        "caller waits for session",
    ]
    assert order[7:] == ["kept for caller"] * len(found)
    assert torch.allclose(found["logits"], HostRunner(session)({"image": images})["logits"], atol=1e-6)
    assert options == [
        ("disable_synchronize_execution_providers", "1"),
        *([("gpu_graph_id", "1")] if captured else []),
    ]
