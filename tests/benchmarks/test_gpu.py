"""The benchmark of the GPU runs here too, loses no row that was measured, and measures the most telling first."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu, measure, results
from benchmarks.budget import WARM, Budget, Case, Log, measured, read, spend
from benchmarks.measure import interleaved, machine
from stawm.storage.shipped import shipped_names

ONE = Case("inference", "p", 1, "eager", 0.0)


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("out of\nmemory")


def nothing() -> None:
    return None


def test_everything_runs_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes minutes here, and is tried in other tests: the model as it is stands in for the compiled one."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda model, **_: compiled.append(model) or model)
    out = tmp_path / "rows" / "gpu.jsonl"
    gpu.main(["--device", "cpu", "--quick", "--minutes", "1", "--out", str(out)])
    where, rows = read(out)
    assert where["torch"] == torch.__version__.partition("+")[0]
    assert [row["variant"] for row in rows] == [
        *("authors' loop", "stawm, fp32", "stawm, bf16", "stawm, bf16, compiled"),
        *("PyTorch, fp32", "PyTorch, bf16", "PyTorch compiled, bf16", "ONNX Runtime, fp32", "ONNX Runtime, fp16"),
    ]
    assert all(row["median"] > 0 and row["rounds"] == 2 for row in rows)
    assert len(compiled) == 2


@pytest.mark.parametrize("options", [["--no-onnx"], ["--no-compile"], ["--no-onnx", "--no-compile"]])
def test_what_is_left_out_is_never_made(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"--no-onnx": "ONNX", "--no-compile": "compiled"}
    monkeypatch.setattr(gpu.Maker, "__call__", lambda self, case: {case.way: lambda: nothing})
    out = tmp_path / "gpu.jsonl"
    gpu.main([*options, "--device", "cpu", "--quick", "--out", str(out)])
    assert {row["variant"] for row in read(out)[1]} == {*gpu.COST} - {ways[option] for option in options}


def test_onnx_runtime_without_cuda_is_left_out_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert gpu.without_onnx("cpu") is None
    assert "no CUDAExecutionProvider" in str(gpu.without_onnx("cuda"))


def test_the_most_telling_is_measured_first() -> None:
    cases = gpu.plan()
    order = [(case.kind, case.preset, case.way) for case in cases]
    assert order[:4] == [("training", name, way) for way in ("eager", "compiled") for name in gpu.TRAINED]
    first = cases[4:]
    shipped = {name.partition(".")[0] for name in shipped_names()}
    assert {case.preset for case in first[: 3 * len(shipped)]} == shipped
    assert {case.kind for case in first[: 3 * len(shipped)]} == {"inference"}
    assert len({*cases}) == len(cases)
    assert {case.preset for case in cases} == {*gpu.stawm.list_names("preset", origin="stawm")}
    assert {case.preset for case in gpu.plan(["stawm-digits"])} == {"stawm-digits"}


def test_one_that_fails_costs_no_other(tmp_path: Path) -> None:
    """Whether a case, a variant that is made, its first run, or a later one."""
    calls = iter(range(99))

    def late() -> None:
        if next(calls) >= WARM:
            broken()

    makers: dict[str, Any] = {
        "case": broken,
        "variant": lambda _: {"a": broken, "b": lambda: broken, "c": lambda: nothing},
        "late": lambda _: {"a": lambda: late},
        "last": lambda _: {"a": lambda: nothing},
    }
    log = Log(tmp_path / "rows")
    cases = [Case("inference", name, 1, "eager", 0.0) for name in makers]
    spend(cases, lambda case: makers[case.preset](case), log, Budget(1, rounds=2))
    rows = [(row["preset"], row.get("variant"), row.get("error")) for row in read(log.path)[1]]
    wrong = "RuntimeError: out of memory"
    assert rows == [
        ("case", None, wrong),
        *(("variant", "a", wrong), ("variant", "b", wrong), ("variant", "c", None)),
        *(("late", None, wrong), ("last", "a", None)),
    ]
    said = gpu.show(read(log.path)[1])
    assert f"- inference of `case`, batch 1, eager: {wrong}" in said
    assert said.count("| `variant` | 1 | c |") == 1


def test_what_does_not_fit_is_passed_over_for_what_does(tmp_path: Path) -> None:
    log = Log(tmp_path / "rows")
    cases = [Case("inference", name, 1, "eager", cost) for name, cost in (("long", 90.0), ("short", 1.0))]
    spend(cases, lambda _: {"a": lambda: nothing}, log, Budget(0.5, rounds=1))
    rows = read(log.path)[1]
    assert [row.get("left_out") for row in rows] == ["30 s were left", None]
    assert "There was no time for: inference of `long`, batch 1, eager." in gpu.show(rows)


def test_rows_are_on_the_disk_before_the_next_is_measured(tmp_path: Path) -> None:
    log = Log(tmp_path / "rows")

    def seen(case: Case) -> Any:
        assert len(read(log.path)[1]) == case.batch
        return {"a": lambda: nothing}

    spend([Case("inference", "p", number, "eager", 0.0) for number in range(4)], seen, log, Budget(1, rounds=1))
    assert [row.get("error") for row in read(log.path)[1]] == [None] * 4


def test_a_run_that_was_broken_off_is_read_up_to_there(tmp_path: Path) -> None:
    log = Log(tmp_path / "rows")
    log.write(ONE.row(variant="a", median=1.0))
    with log.path.open("a") as file:
        file.write('{"kind": "infer')
    assert [row["variant"] for row in read(log.path)[1]] == ["a"]
    (tmp_path / "other").write_text('{"a": 1}\n')
    with pytest.raises(SystemExit, match="holds no rows"):
        read(tmp_path / "other")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("measured for money")
    with pytest.raises(SystemExit, match="written over"):
        gpu.main(["--device", "cpu", "--quick", "--out", str(tmp_path / "rows")])
    assert (tmp_path / "rows").read_text() == "measured for money"


def test_rows_reach_the_page_with_the_machine_that_they_are_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- gpu -->\nNot measured yet\n<!-- end gpu -->\n")
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "publish", lambda name, text, _, publish=results.publish: publish(name, text, page))
    timing = {"lowest": 0.001, "highest": 0.003, "rounds": 3}
    case = Case("training", "stawm-mnist-8", 128, "eager", 0.0)
    rows = [case.row(variant=gpu.REFERENCE, median=0.01, **timing), case.row(variant="stawm", median=0.0019, **timing)]
    lines = [{"machine": {"gpu": "a card"}}, *rows]
    (tmp_path / "rows").write_text("".join(json.dumps(line) + "\n" for line in lines))
    gpu.main(["--table", str(tmp_path / "rows")])
    assert "on: gpu a card." in page.read_text()
    assert "| `stawm-mnist-8` | 128 | stawm | 1.9 (1.0 to 3.0) | 67,368 | 5.3 |" in page.read_text()
    assert "at most 2 ms wanted, 1.9 ms measured: reached" in page.read_text()


def test_no_round_begins_when_the_time_is_over() -> None:
    assert interleaved({"a": nothing}, 5, pause=0, within=0)["a"].rounds == 1
    assert interleaved({"a": nothing}, 5, pause=0)["a"].rounds == 5


def test_packages_that_are_not_there_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name.startswith("onnx"):
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(measure, "version", version)
    assert {"torch": "1", "timm": "1"}.items() <= machine().items()
    assert not [name for name in machine() if name.startswith("onnx")]


def test_a_case_without_variants_gives_no_rows() -> None:
    assert list(measured(ONE, lambda _: {}, Budget(1))) == []
