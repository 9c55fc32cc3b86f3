import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from dlcore import __main__, bench
from dlcore.bench import inputs, process, report, runner
from dlcore.bench.cases import CASES, FAMILIES
from dlcore.bench.goals import GOALS

TINY = "call relu"


def run(*arguments):
    return __main__.main(["bench", *arguments])


def timed(threads=1, group="call", **medians):
    return {
        "family": "call",
        "name": "x",
        "mode": "fwd",
        "group": group,
        "threads": threads,
        "flops": 0,
        "bytes": 8e6,
        "times": {name.replace("_", "+"): {"median": t} for name, t in medians.items()},
        "failed": {},
    }


def test_every_case_is_named_once_and_says_why():
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.why for case in CASES)
    assert {goal.group for goal in GOALS} <= {case.group for case in CASES}


@pytest.mark.parametrize("kind", sorted({case.kind for case in CASES}))
def test_every_kind_has_inputs_and_contenders(kind):
    from dlcore.bench import with_dlcore, with_numpy

    case = min((c for c in CASES if c.kind == kind), key=lambda c: c.flops + c.reads)
    if case.reads < 1e7:
        assert inputs.make(case)
    assert callable(getattr(with_dlcore, kind))
    assert all(
        "numpy" not in c.peers or hasattr(with_numpy, kind)
        for c in CASES
        if c.kind == kind
    )


def test_patterns():
    assert bench.select([], CASES) == list(CASES)
    assert {case.family for case in bench.select(["gemm"], CASES)} == {"gemm"}
    few = bench.select(["conv2d b1 64x56* fwd", "call relu"], CASES)
    assert {case.family for case in few} == {"conv2d", "call"}
    assert all(case.id.endswith("fwd") for case in few)


def test_a_tiny_case(tmp_path, capsys):
    path = tmp_path / "result.json"
    assert (
        run(TINY, "--quick", "--threads", "1", "--peers", "numpy", "--json", str(path))
        == 0
    )
    assert "call relu on 16 elements" in capsys.readouterr().out
    result = json.loads(path.read_text())
    (row,) = result["cases"]
    assert set(row["times"]) == {"dlcore", "numpy"} and not row["failed"]
    assert row["ratio"] > 0 and row["difference"] == 0
    assert result["machine"]["isa"] and result["versions"]["numpy"]
    assert result["limits"]["1"]["fma float32"] > 1e9


def test_a_peer_that_is_not_installed(tmp_path, monkeypatch, capsys):
    absent = "raise ModuleNotFoundError(\"No module named 'torch'\")\n"
    (tmp_path / "torch.py").write_text(absent)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", path)
    assert run(TINY, "--quick", "--threads", "1", "--peers", "numpy", "torch") == 0
    assert "not compared with torch: ModuleNotFoundError" in capsys.readouterr().out


def test_plot(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra demo")
    report.plot([timed(dlcore=1e-3, numpy=2e-3)], tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nonsense"], "no case matches 'nonsense'"),
        (["--threads", "0"], "--threads must be from 1"),
        (["--json", "/nonsense/a.json"], "cannot write /nonsense/a.json"),
    ],
)
def test_bad_arguments(arguments, message, capsys):
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("figure", process.FIGURES[:3], ids=lambda figure: figure.id)
def test_figures_of_a_process(figure):
    row = process.run(figure)
    assert row["value"] >= 0 and "met" in row
    assert figure.id in process.line(row)


def test_a_figure_that_fails(monkeypatch):
    monkeypatch.setattr(process.sys, "executable", "/bin/false")
    row = process.run(process.FIGURES[-1])
    assert not row["met"] and "FAILED" in process.line(row)


def test_list(capsys):
    assert run("--list") == 0
    out = capsys.readouterr().out
    assert all(family in out for family in FAMILIES)


def test_a_wrong_result_is_not_timed(monkeypatch):
    monkeypatch.setattr(runner, "difference", lambda *_: 1.0)
    (case,) = bench.select([TINY], CASES)
    with runner.Bench(1, ["numpy"], quick=True) as one:
        row = one.run(case)
    assert not row["times"] and "differs" in row["failed"]["dlcore"]
    assert "FAILED" in report.line(row)


def test_a_contender_that_dies_is_reported(monkeypatch):
    (case,) = bench.select([TINY], CASES)
    with runner.Bench(1, ["numpy"], quick=True) as one:
        one.contender("numpy").ask("prepare", case.id)
        one.contender("numpy").process.kill()
        row = one.run(case)
        assert (
            "no answer" in row["failed"]["numpy"] or "ended" in row["failed"]["numpy"]
        )
        assert "dlcore" in row["times"]
        assert "numpy" in one.run(case)["times"]  # a fresh process


def test_difference():
    assert runner.difference([[1.0, 2.0]], [[1.0, 2.0]]) == 0
    assert runner.difference([[1.0, 2.1]], [[1.0, 2.0]]) == pytest.approx(0.05)
    for wrong in ([], [[1.0]], [[float("nan"), 2.0]]):
        assert runner.difference(wrong, [[1.0, 2.0]]) == float("inf")


def test_who_takes_turns_with_a_plain_pass():
    limited = {case.group for case in CASES if "limit" in runner.peers_of(case, [])}
    assert limited == {"attention decode", "elementwise 1e7 out="}


def test_judgement():
    limits = {"fma float32": 1e11, "read 8388608": 8e9, "copy 8388608": 16e9}
    row = report.judge(
        timed(dlcore=1e-3, numpy=3e-3, torch=2e-3, torch_m=1.5e-3), limits
    )
    assert (row["best_peer"], row["ratio"]) == ("torch", 2.0)
    assert row["recycled_ratio"] == 1.5
    assert row["of_limit"] == pytest.approx(0.5) and row["rate"] == pytest.approx(8.0)


def test_goals():
    rows = [timed(dlcore=2e-7, numpy=4e-7), timed(dlcore=4e-7, numpy=4e-7)]
    (goal,) = report.goals([report.judge(row, {}) for row in rows])
    assert goal["got"] == pytest.approx(0.4) and not goal["met"]
    assert report.mean([1.0, 4.0]) == pytest.approx(2.0)
    assert "NOT MET" in report.summary(rows)


def test_a_result_becomes_tables(tmp_path, monkeypatch, capsys):
    script = Path(__file__).parent.parent / "benchmarks" / "render.py"
    if not script.exists():
        pytest.skip("benchmarks/ is not beside tests/")
    spec = importlib.util.spec_from_file_location("render", script)
    render = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(render)

    kept = tmp_path / "result.json"
    run(TINY, "--quick", "--threads", "1", "--peers", "numpy", "--json", str(kept))
    (tmp_path / "docs").mkdir()
    marks = "before\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nafter\n"
    for name in ("docs/performance.md", "README.md"):
        (tmp_path / name).write_text(marks)
    monkeypatch.setattr(render, "ROOT", tmp_path)
    render.main([str(kept)])
    for name in ("docs/performance.md", "README.md"):
        text = (tmp_path / name).read_text()
        assert text.startswith("before\n") and text.endswith("after\n")
        assert "old" not in text and "| --- |" in text
    assert "call relu on 16 elements" in (tmp_path / "docs/performance.md").read_text()
