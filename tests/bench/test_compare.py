"""The comparison of optimizers: statistics by hand, cells that are kept, failures that are named."""

import csv
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from kept_rows import rows_of
from processes import interruptible

from hgenv.bench import statistics
from hgenv.bench.compare import METHODS, Cell, CompareOptions, cells
from hgenv.bench.statistics import Result
from hgenv.cli import main as cli
from hgenv.run import Budget
from hgenv.runs.folder import best_row
from hgenv.runs.writer import sole_writer
from optimizers import OPTIMIZERS

TOY = "hgenv/ToyShading-v0"


def result(label: str, seed: int, test: float, env: str = TOY, curve: list[float] | None = None) -> Result:
    tests = np.array(curve or [90.0, test])
    axes = {"cpu_seconds": 1.0, "gpu_seconds": 0.0, "train_steps": 100.0, "renders": 800.0}
    line = {axis: unit * np.arange(len(tests)) for axis, unit in axes.items()} | {"test": tests}
    return Result(env, "default", label, seed, Path(), {"test.mae": test, "step": 1.0}, axes, line, {})


def test_the_curve_follows_the_best_validated_snapshot() -> None:
    rows = [
        {
            "cpu_seconds": float(k),
            "gpu_seconds": 0.0,
            "train_steps": 10.0 * k,
            "renders": 80.0 * k,
            "validation.mae": v,
            "test.mae": t,
        }
        for k, (v, t) in enumerate([(9.0, 50.0), (5.0, 20.0), (7.0, 10.0), (4.0, 25.0)])
    ]
    curve = statistics.curve(
        [*rows, {"cpu_seconds": 4.0, "gpu_seconds": 0.0, "train_steps": 40.0, "renders": 320.0}], "mae"
    )
    assert curve["test"].tolist() == [50.0, 20.0, 20.0, 25.0]
    assert curve["renders"].tolist() == [0.0, 80.0, 160.0, 240.0]
    spoilt = [rows[0], rows[1], rows[2] | {"validation.mae": np.nan, "test.mae": np.nan}]
    assert statistics.curve(spoilt, "mae")["test"].tolist() == [50.0, 20.0, 20.0]
    assert best_row(spoilt[::-1], "mae") is rows[1]


def test_costs_to_a_level_and_bands_by_hand() -> None:
    r = result("a", 0, 20.0, curve=[50.0, 30.0, 20.0])
    assert r.cost_to(30.0) == {"cpu_seconds": 1.0, "gpu_seconds": 0.0, "train_steps": 100.0, "renders": 800.0}
    assert r.cost_to(10.0)["renders"] == np.inf
    x, middle, low, high = statistics.median_and_band([r, result("a", 1, 10.0, curve=[50.0, 40.0, 10.0])], "renders", 3)
    assert x.tolist() == [800.0, 1200.0, 1600.0]
    assert (middle.tolist(), low.tolist(), high.tolist()) == ([35.0, 35.0, 15.0], [30, 30, 10], [40, 40, 20])


def test_ranks_are_of_whole_groups_only() -> None:
    results = [result("a", 0, 1.0), result("b", 0, 2.0), result("a", 1, 5.0), result("b", 1, 4.0), result("a", 2, 0.0)]
    assert statistics.ranks(results) == {"a": 1.5, "b": 1.5}
    assert statistics.ranks([*results, result("b", 2, 1.0)]) == {"a": pytest.approx(4 / 3), "b": pytest.approx(5 / 3)}


def test_labels_presets_and_controls() -> None:
    o = CompareOptions(envs=(TOY,), optimizers=("cma", "x=fixed --start a b=c", "random-beta"))
    methods = dict(o.methods())
    assert list(methods) == ["fixed", "cma", "x", "random-beta"]
    assert methods["cma"] == ["nevergrad", "--name", "CMA", "--train-steps", "10"]
    assert methods["x"] == ["fixed", "--start", "a", "b=c"]
    for bad in (("x=fixed --seed 3",), ("x=cma --max-steps 3",), ("x=fixed --resolution 16",), ("x=",)):
        with pytest.raises(ValueError, match=r"must be the same for all|names no optimizer"):
            CompareOptions(envs=(TOY,), optimizers=bad)
    with pytest.raises(ValueError, match="is a control"):
        CompareOptions(envs=(TOY,), optimizers=("fixed=evolution",))
    with pytest.raises(ValueError, match="must differ"):
        CompareOptions(envs=(TOY, TOY))
    for bad in (
        ("a/b=fixed",),
        ("a=fixed", "a=random-beta"),
        ("random-fixed=fixed",),
        ("good=fixed",),
        ("fixed --start x",),
    ):
        with pytest.raises(ValueError, match="label"):
            CompareOptions(envs=(TOY,), optimizers=bad)
    with pytest.raises(ValueError, match="seeds must be"):
        CompareOptions(seeds=1)
    with pytest.raises(KeyError, match="unknown environment"):
        CompareOptions(envs=("hgenv/Nothing-v0",))
    with pytest.raises(ValueError, match="good names one start for each of 1 environments, got 2"):
        CompareOptions(good=("a.json", "b.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPTIMIZERS, "cma", OPTIMIZERS["fixed"])
        assert dict(CompareOptions(optimizers=("cma", "evolution")).methods())["cma"] == ["cma"]
    assert len(METHODS) == len(dict(CompareOptions().methods())) - 2


def test_random_starts_are_the_same_for_all_and_references_keep_theirs(tmp_path: Path) -> None:
    optimizers, starts = ("reinforce", "wide=score --spread 0.2"), ("default", "random")
    o = CompareOptions((TOY,), str(tmp_path), optimizers, seeds=2, starts=starts, good=("good.json",))
    todo = cells(o, Budget(max_steps=1), ["--batch-size", "4"])
    assert len(todo) == 2 * 2 * 5, "no random-fixed: fixed beta from random starts is that"
    assert len({cell.folder for cell in todo}) == len(todo)
    for cell in todo:
        begin = ["--start", "random", "--start-seed", str(cell.seed)]
        text = " ".join(cell.words)
        assert (" ".join(begin) in text) == (cell.starts == "random" and cell.label != "good")
        assert ("--start good.json" in text) == (cell.label == "good")
        assert ("--spread 0.2" in " ".join(cell.again)) == (cell.label == "wide")
        assert ("--spread found" in " ".join(cell.again)) == (cell.label not in ("wide", "random-beta")), (
            "as what it is"
        )
    with pytest.raises(ValueError, match="starts must be default, random or both"):
        CompareOptions((TOY,), starts=("random", "random"))
    only = CompareOptions((TOY,), str(tmp_path), ("reinforce",), seeds=2)
    assert sum(cell.label == "random-fixed" for cell in cells(only, Budget(max_steps=1), [])) == only.random_fixed


def test_the_horizon_profile_is_of_the_best_snapshot_until_then(tmp_path: Path) -> None:
    cell = Cell(TOY, "default", "x", 0, tmp_path / "x-s0", [], ["fixed"], (200, 300, 1000))
    cell.retrained.mkdir()
    rows = ["step,train_steps,validation.mae,test.mae", "0,0,90,91", "5,100,30,33", "10,200,20,25", "15,300,25,20"]
    (cell.retrained / "metrics.csv").write_text("\n".join([*rows, "50,1000,10,11\n"]))
    assert statistics.profile(cell, "mae") == {}, "it is not over"
    (cell.retrained / "summary.json").write_text('{"ended": "budget"}')
    found = statistics.profile(cell, "mae")
    assert {end: row["test.mae"] for end, row in found.items()} == {200: 25.0, 300: 25.0, 1000: 11.0}


def words(out: Path, *more: str) -> list[str]:
    options = ["--max-steps", "2", "--seeds", "2", "--random-fixed", "3", "--retrain-steps", "20", "--workers", "2"]
    return ["bench", TOY, "--out", str(out), *options, *more]


@pytest.mark.slow
def test_a_comparison_makes_its_report_keeps_cells_and_names_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = ["broken=nevergrad --name Nonsense", "diverging=fixed --inner-learning-rate 1e30"]
    (good := tmp_path / "good.json").write_text('{"light.mean": 0.4, "convex.probability": 0.75}')
    optimizers = ["--good", str(good), "--optimizers", "cma", *faulty, "--", "--test-size", "8"]
    assert cli.main(words(tmp_path, *optimizers)) == 1
    assert "not measured: broken-s0: nevergrad" in capsys.readouterr().err
    failure = json.loads((tmp_path / "ToyShading-v0" / "broken-s0.failed.json").read_text())
    assert failure["reason"].startswith("nevergrad ")
    assert "Traceback" in failure["output"]
    report = (tmp_path / "report.md").read_text()
    assert report.count("\n| cma | ") == report.count("\n| random-beta | ") == 5, (
        "of the optimizers, two of pairs, two of metrics"
    )
    assert report.count("\n| broken-s") == 2
    assert "has no optimizer 'Nonsense'" in report
    assert "\n| diverging-s1 | diverged: all 2 steps failed |" in report
    assert "\n| diverging | " not in report, "it is not ranked"
    assert all(f"\n| {name} | " in report for name in ("fixed", "random-beta", "good", "best", "median", "worst"))
    assert "\n| good | 2 of 2 | " in report
    page = (tmp_path / "report.html").read_text()
    assert page.count('<figure class="chart">') == 2, "random beta is better than fixed, so that there is a profile"
    assert page.count("what broken-s0 wrote") == 1
    plan = json.loads((tmp_path / "bench.json").read_text())
    assert plan["command"].startswith("hgenv bench hgenv/ToyShading-v0 --out")
    assert "broken=nevergrad --name Nonsense" in plan["bench"]["optimizers"]
    with (tmp_path / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 2 + 3
    nats = {row["optimizer"]: float(row["narrowness"]) for row in rows}
    assert nats["fixed"] == nats["good"] == 0.0 < nats["cma"], "of what was found from the start"
    assert np.isnan(nats["random-beta"])
    assert all(float(row["retrained_20"]) > 0 for row in rows)
    kept = {path: path.stat().st_mtime for path in tmp_path.rglob("metrics.csv")}
    reasons = {path: path.stat().st_mtime for path in tmp_path.rglob("*.failed.json")}
    assert len(reasons) == 4
    (tmp_path / "ToyShading-v0" / "fixed-s1" / "summary.json").unlink()  # as if it had been interrupted
    assert cli.main(words(tmp_path, *optimizers)) == 1
    again = {path: path.stat().st_mtime for path in tmp_path.rglob("metrics.csv")}
    renewed = {path.parent.name for path in kept if again[path] != kept[path]}
    assert renewed == {"fixed-s1", "fixed-s1-retrained"}, "what was found anew is retrained anew"
    told = (tmp_path / "report.md").read_text()
    assert told.partition("### Against")[2] == report.partition("### Against")[2], (
        "all but the seconds of the first table"
    )
    assert all(path.stat().st_mtime == when for path, when in reasons.items()), "nor is what failed tried again"
    assert cli.main(words(tmp_path, "--retry", *optimizers)) == 1
    assert all(path.stat().st_mtime != when for path, when in reasons.items()), "unless it is asked for"
    capsys.readouterr()
    other = words(tmp_path, *optimizers)
    other[other.index("--retrain-steps") + 1] = "40"
    plan = json.loads((tmp_path / "bench.json").read_text())
    for changed in (words(tmp_path, *optimizers[:-1], "9"), other):
        assert cli.main(changed) == 2
        assert "was made by" in capsys.readouterr().err
        assert json.loads((tmp_path / "bench.json").read_text()) == plan, "what is refused changes no plan"
    for option in ("--start", "--seed", "--max-steps", "--no-figures"):
        assert cli.main(words(tmp_path, *optimizers, option, "1")) == 2
        assert "cannot go to every run" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(words(tmp_path, "--optimizers", "x=evolution --no-such-option 1"))
    with FileLock(tmp_path / ".lock"):
        assert cli.main(words(tmp_path, *optimizers)) == 2
        assert f"{tmp_path} is being written by another process" in capsys.readouterr().err
    assert cli.main(words(tmp_path, "--optimizers", "cmaa")) == 2
    assert "unknown optimizer 'cmaa'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["bench"], ["bench", "nonsense"], ["bench", "hgenv/Nothing-v0"]])
def test_mistakes_are_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    shown = "".join(capsys.readouterr())
    assert "name an environment, or one of fidelity" in shown or "unknown environment" in shown


@pytest.mark.slow
def test_an_interrupted_comparison_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hgenv", *words(tmp_path, "--max-seconds", "100", "--optimizers", "cma")]
    command[command.index("--max-steps") : command.index("--max-steps") + 2] = []
    with interruptible(command) as process:
        begin = time.monotonic()
        while not list(tmp_path.rglob("metrics.csv")) and time.monotonic() - begin < 60:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert not [*tmp_path.rglob("summary.json"), *tmp_path.rglob("*.failed.json")]
    assert not cells_of(tmp_path), "a cell still runs"


def cells_of(out: Path) -> list[int]:
    """The processes that write below a folder."""
    running = [Path(f"/proc/{pid}/cmdline") for pid in os.listdir("/proc") if pid.isdigit()]
    return [int(path.parent.name) for path in running if path.exists() and str(out).encode() in path.read_bytes()]


def killed(out: Path, more: list[str], when: float) -> None:
    """A comparison whose process is killed; its cells end."""
    with interruptible([sys.executable, "-m", "hgenv", *words(out, *more)]) as process:
        begin = time.monotonic()
        while not list(out.rglob("checkpoint.npz")) and process.poll() is None and time.monotonic() - begin < 60:
            time.sleep(0.1)
        time.sleep(when)
        process.kill()
        process.wait()
    begin = time.monotonic()
    while cells_of(out):
        assert time.monotonic() - begin < 5.0, "a cell still runs"
        time.sleep(0.1)


def compare_killed(out: Path, kills: int, more: list[str]) -> None:
    """Its cells' rows are those of runs on their own."""
    for k in range(kills):
        killed(out, more, k * 0.7)
    assert cli.main(words(out, *more)) == 0
    made = {path.parent: json.loads(path.read_text())["words"] for path in out.rglob("config.json")}
    assert made
    for cell, ran in made.items():
        alone = cell.with_name(f"{cell.name}-alone")
        assert cli.main(["run", *ran[:-1], str(alone)]) == 0
        assert rows_of(cell) == rows_of(alone)


@pytest.mark.slow
def test_a_killed_comparison_leaves_no_cell_and_goes_on(tmp_path: Path) -> None:
    more = ["--max-steps", "99", "--random-fixed", "0", "--retrain-steps", "--optimizers", "random-step"]
    compare_killed(tmp_path, 1, [*more, "--", "--train-steps", "2"])


@pytest.mark.long
def test_a_comparison_that_is_killed_often_goes_on(tmp_path: Path) -> None:
    more = ["--max-steps", "200", "--random-fixed", "1", "--retrain-steps", "200", "--optimizers", "evolution", "sac"]
    compare_killed(tmp_path, 10, more)


def test_a_cell_that_another_process_writes_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cell := tmp_path / "ToyShading-v0" / "fixed-s1").mkdir(parents=True)
    with sole_writer(cell):
        assert cli.main(words(tmp_path, "--optimizers", "evolution")) == 2
    assert f"{cell} is being written by process {os.getpid()} on" in capsys.readouterr().err
    assert not list(tmp_path.rglob("config.json"))
