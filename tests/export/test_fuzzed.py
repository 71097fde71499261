"""Graphs whose every field may be anything: refused in our words, or opened and run, and nothing else.

What is changed keeps its seal, and most changes keep the form of the message, so that they reach what lies behind the
first checks. The quick suite tries few, and `make test-long` thousands; both print what came of them.
"""

import json
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
import torch
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from stawm.errors import StawmError
from stawm.export import OnnxModel, inspect
from stawm.export.file.contents import OPERATORS
from tests.export.broken import broken
from tests.export.hostile import HONEST

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 12, 12), dtype=np.uint8)
COUNTS: Counter[str] = Counter()
WHOLE = st.sampled_from([0, 1, -1, 2, 3, 7, 255, 1024, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, -(2**31), -(2**62)])
TEXTS = st.one_of(
    st.sampled_from(sorted(OPERATORS)),
    st.sampled_from(["", "image", "logits", "b", "If", "Loop", "../x", "com.example", "a\x1b[2J", "bilinear"]),
    st.text(max_size=8),
)
VALUES: dict[int, st.SearchStrategy[Any]] = {
    Field.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1) | st.integers(0, 20),
    Field.CPPTYPE_INT64: WHOLE,
    Field.CPPTYPE_UINT64: st.integers(0, 2**63),
    Field.CPPTYPE_FLOAT: st.sampled_from([0.0, 1.0, -1.0, 1e30, math.inf, math.nan]),
    Field.CPPTYPE_DOUBLE: st.sampled_from([0.0, 1.0, 1e300, math.nan]),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def _said() -> Iterator[None]:
    """Print what came of all that was tried; shown with `-s`, and by `make test-long`."""
    yield
    print(f"\nfuzzed graphs: {sum(COUNTS.values())} tried, " + ", ".join(f"{n} {what}" for what, n in COUNTS.items()))


def messages(message: Message) -> list[Message]:
    found = [message]
    for each in found:
        for field, value in each.ListFields():
            if field.message_type is not None:
                found += [value] if isinstance(value, Message) else list(value)
    return found


def pick(draw: Any, among: Any) -> Any:
    """One of a sequence, drawn by its place, so that a failing example is told in numbers."""
    listed = list(among)
    return listed[draw(st.integers(0, len(listed) - 1))]


def change_field(message: Message, draw: Any) -> None:
    field = pick(draw, message.DESCRIPTOR.fields)
    value = getattr(message, field.name)
    if field.message_type is not None or not isinstance(value, (int, float, str, bytes)):
        change_many(message, field, value, draw)
    elif field.cpp_type == Field.CPPTYPE_STRING:
        text = draw(TEXTS)
        setattr(message, field.name, text.encode() if isinstance(value, bytes) else text)
    elif field.cpp_type in VALUES:
        setattr(message, field.name, draw(VALUES[field.cpp_type]))


def change_many(message: Message, field: Any, value: Any, draw: Any) -> None:
    if isinstance(value, Message):
        message.ClearField(field.name)
        return
    kept = list(value)
    if not kept:
        return
    place = draw(st.integers(0, len(kept) - 1))
    act = draw(st.sampled_from(["drop", "double", "first", "change"]))
    if act == "change" and field.message_type is None:
        other = draw(TEXTS) if field.cpp_type == Field.CPPTYPE_STRING else draw(VALUES[field.cpp_type])
        kept[place] = other.encode() if isinstance(kept[place], bytes) else other
    elif act == "drop":
        del kept[place]
    elif act == "double":
        kept.append(kept[place])
    else:
        kept.insert(0, kept.pop(place))
    copies = [type(each).FromString(each.SerializeToString()) if isinstance(each, Message) else each for each in kept]
    del value[:]
    value.extend(copies)


def change_entry(proto: onnx.ModelProto, draw: Any) -> None:
    """Put something else somewhere into the JSON of the metadata."""
    entry = pick(draw, [e for e in proto.metadata_props if e.value[:1] in "{["])
    values = json.loads(entry.value)
    holder, place = values, None
    while isinstance(holder, (dict, list)) and holder:
        keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
        place = pick(draw, keys)
        if not isinstance(holder[place], (dict, list)) or draw(st.booleans()):
            holder[place] = draw(JSON)
            break
        holder = holder[place]
    entry.value = json.dumps(values)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed") / "m.onnx"


FEW_OR_MANY = settings(max_examples=25 if settings().max_examples < 100 else 1_500)


@FEW_OR_MANY
@given(data=st.data())
def test_whatever_is_changed_is_refused_in_our_words_or_runs(data: st.DataObject, place: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        for _ in range(data.draw(st.integers(1, 3))):
            if data.draw(st.integers(0, 3)) == 0:
                change_entry(proto, data.draw)
            else:
                graph = proto.graph
                among = pick(data.draw, [graph.node, graph.initializer, graph.input, graph.output, [proto]])
                whole = pick(data.draw, among) if len(among) else proto
                change_field(pick(data.draw, messages(whole)[:40]), data.draw)

    for door in (inspect, lambda path: OnnxModel(path, device="cpu", threads=1)(IMAGES)):
        try:
            door(broken(HONEST, place, change) if door is inspect else place)
        except StawmError:
            COUNTS["refused"] += door is inspect
            COUNTS["refused by the session"] += door is not inspect
            return
    COUNTS["accepted and run"] += 1


@FEW_OR_MANY
@given(data=st.data())
def test_changed_bytes_that_are_sealed_again_are_refused_in_our_words_or_run(data: st.DataObject, place: Path) -> None:
    from stawm.export.file import sealing

    body = bytearray(HONEST.read_bytes()[: -sealing.LENGTH])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        act = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if act == "set":
            body[at] = data.draw(st.integers(0, 255))
        elif act == "cut":
            del body[at : at + data.draw(st.integers(1, 50))]
        else:
            body[at:at] = data.draw(st.binary(min_size=1, max_size=8))
    place.write_bytes(sealing.seal(bytes(body)))
    try:
        OnnxModel(place, device="cpu", threads=1)(IMAGES)
    except StawmError:
        COUNTS["bytes refused"] += 1
        return
    COUNTS["bytes accepted and run"] += 1


@pytest.mark.long
@pytest.mark.parametrize("minutes", [5])
def test_threads_get_equal_answers_from_flat_memory(minutes: float) -> None:
    """Eight threads with batches of mixed sizes, against answers that were given one at a time."""
    graph = OnnxModel(HONEST.parent / "steps", device="cpu", threads=1)
    generator = np.random.default_rng(0)
    batches = [generator.random((size, 12, 12), dtype=np.float32) for size in (1, 2, 3, 5, 8, 17, 33, 64, 130, 0)]
    expected = [(graph(batch).logits, graph.look(batch, until=0.2).logits) for batch in batches]
    ends, process, calls, resident = time.monotonic() + 60 * minutes, psutil.Process(os.getpid()), Counter(), []
    lock = threading.Lock()

    def ask(thread: int) -> None:
        order = np.random.default_rng(thread)
        while time.monotonic() < ends:
            place = int(order.integers(len(batches)))
            found = (graph(batches[place]).logits, graph.look(batches[place], until=0.2).logits)
            assert all(torch.equal(a, b) for a, b in zip(found, expected[place], strict=True))
            with lock:
                calls["both"] += 1
                resident.append(process.memory_info().rss)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    warm = resident[len(resident) // 4 : len(resident) // 2]
    late = resident[-len(resident) // 4 :]
    print(f"\n8 threads, {calls['both']} times a call and a look: {max(warm):,} bytes, later {max(late):,}")
    assert max(late) < max(warm) + 2**26  # 64 MiB over some thousand calls: a leak of an answer each is more
