"""The simulation against the closed forms that there are; costs from speed.csv; the report."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from hgenv.bench.costs import Costs, cells, hybrid_gradient, probing, read_costs
from hgenv.bench.scaling import Cluster, Search, simulate
from hgenv.bench.scaling_report import ScalingOptions, machines
from hgenv.cli import main as cli

IDEAL = Cluster(overhead=0.0, straggling=0.0, failures=0.0)
PLAIN = Search("plain", rounds=5, tasks=7, task_seconds=2.0, sequential_seconds=3.0, shared_bytes=0.0)
COSTS = Costs(1.0, 4.5, 0.25, 0.5, batch=8, weights=1000, picture_bytes=100, flops=1e12)
HEADER = "env,size,weights,picture_bytes,flops,piece,cpu_seconds,samples"
PIECES = {"training step": (1.0, 8), "differentiated step": (4.5, 8), "rendering a batch": (0.5, 8),
          "validation": (0.5, 16)}  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 3, 6, 7, 50])
def test_waves_of_tasks(workers: int) -> None:
    found = simulate(PLAIN, IDEAL, workers)
    assert found.wall == pytest.approx(5 * (math.ceil(7 / workers) * 2.0 + 3.0))
    assert found.busy == pytest.approx(5 * (7 * 2.0 + 3.0))
    assert found.bytes == 0


@pytest.mark.parametrize("workers", [7, 20])
def test_handing_out_takes_its_time(workers: int) -> None:
    found = simulate(PLAIN, Cluster(overhead=0.1, straggling=0.0, failures=0.0), workers)
    assert found.wall == pytest.approx(5 * (7 * 0.1 + 2.0 + 3.0))


@pytest.mark.parametrize(("relayed", "transfers"), [(True, 3), (False, 6)])
def test_weights_reach_all_others(relayed: bool, transfers: int) -> None:
    cluster = Cluster(bytes_per_second=10.0, relayed=relayed, overhead=0.0, straggling=0.0, failures=0.0)
    found = simulate(PLAIN._replace(shared_bytes=40.0, task_seconds=100.0), cluster, 7)
    assert found.wall == pytest.approx(5 * (transfers * 4.0 + 100.0 + 3.0)), "worker 0 and six others"
    assert found.bytes == 5 * 6 * 40


def test_what_goes_with_every_task_passes_one_link() -> None:
    cluster = Cluster(bytes_per_second=10.0, overhead=0.0, straggling=0.0, failures=0.0)
    found = simulate(PLAIN._replace(task_bytes=20.0, task_seconds=100.0), cluster, 7)
    assert found.wall == pytest.approx(5 * (6 * 2.0 + 100.0 + 3.0))
    assert found.bytes == 5 * 6 * 20
    assert simulate(PLAIN._replace(task_bytes=20.0), cluster, 1).bytes == 0


def test_one_waits_for_the_slowest() -> None:
    """The largest of k exponentials has the mean of the harmonic number of k."""
    search = PLAIN._replace(rounds=4000, tasks=10)
    found = simulate(search, Cluster(overhead=0.0, straggling=0.2, failures=0.0), 10, rounds=4000)
    harmonic = sum(1 / k for k in range(1, 11))
    error = 2.0 * 0.2 * math.sqrt(sum(1 / k**2 for k in range(1, 11)) / 4000)
    assert found.wall / 4000 == pytest.approx(2.0 * (1 + 0.2 * harmonic) + 3.0, abs=4 * error)


@pytest.mark.parametrize("checkpoint", [math.inf, 500.0])
def test_what_fails_is_done_again(checkpoint: float) -> None:
    """E[seconds until t seconds pass without a failure] = (exp(rate t) - 1) (1 / rate + restart), a segment each."""
    rate, seconds, restart, seeds = 1 / 1800, 2000.0, 50.0, 600
    cluster = Cluster(overhead=0.0, straggling=0.0, failures=2.0, restart=restart)
    search = Search("fails", 1, 1, seconds, 0.0, 0.0, checkpoint=checkpoint)
    wall = [simulate(search, cluster, 1, seed=seed).wall for seed in range(seeds)]
    segment = min(checkpoint, seconds)
    expected = seconds / segment * (math.exp(rate * segment) - 1) * (1 / rate + restart)
    assert np.mean(wall) == pytest.approx(expected, abs=4 * np.std(wall) / math.sqrt(seeds))
    if checkpoint == math.inf:  # what worker 0 does alone fails alike
        alone = search._replace(tasks=0, sequential_seconds=seconds)
        wall = [simulate(alone, cluster, 1, seed=seed).wall for seed in range(seeds)]
        assert np.mean(wall) == pytest.approx(expected, abs=4 * np.std(wall) / math.sqrt(seeds))


def test_a_failure_does_not_stop_the_others() -> None:
    """The task of a worker that fails is done by another at once; the worker comes back too late."""
    cluster = Cluster(overhead=0.0, straggling=0.0, failures=3600 / 200.0, restart=1e9)
    search = Search("others", 1, 4, 10.0, 0.0, 0.0)
    walls = [simulate(search, cluster, 16, rounds=1, seed=seed).wall for seed in range(50)]
    assert min(walls) == 10.0
    assert 10.0 < max(walls) < 60.0


def test_luck_is_keyed_by_the_task() -> None:
    cluster = Cluster(overhead=0.0, failures=0.0)
    alone, many = simulate(PLAIN, cluster, 1, seed=3), simulate(PLAIN, cluster, 4, seed=3)
    assert alone.busy == pytest.approx(many.busy), "whoever does it"
    assert simulate(PLAIN, cluster, 4, seed=3) == many
    assert simulate(PLAIN, cluster, 4, seed=4) != many


def test_a_gpu_has_the_passes_of_a_core_and_renders_as_it_does() -> None:
    fast = COSTS.at(1e13)
    assert (fast.step, fast.differentiated, fast.forward) == pytest.approx((0.1, 0.45, 0.025))
    assert fast.render == COSTS.render
    assert [fast.ahead(count) for count in (0, 1, 2, 4, 8)] == pytest.approx([0.6, 0.5, 0.25, 0.125, 0.1])


def test_searches_by_hand() -> None:
    validation = 0.25 * 16 / 8
    alone = 20 * 1.5 + 4 * 3.5 + validation + 16 / 8
    pictures, weights = hybrid_gradient(COSTS, 1000, 20, 0)
    assert pictures[1:] == (50, 16, 1.0, pytest.approx(alone + 16), 0.0, 2 * 8 * 100, math.inf)
    assert weights[1:] == (50, 16, 2.0, pytest.approx(alone), 0.0, 2 * 4 * 1000, math.inf)
    probes = probing(COSTS, 1000, 20, 0, 4)
    assert probes[1:] == (10, 4, 30 + validation, 30 + validation, 12000, 0.0, math.inf)
    runs = cells(COSTS, 1000, 20, 0, 5)
    assert runs[1:] == (1, 5, pytest.approx(10 * (30 + validation)), 0.0, 0.0, 12000, 60.0)


def measured(path: Path, without: str = "") -> Path:
    lines = [f"toy,paper,1000,100,125e9,{piece},{seconds},{samples}" for piece, (seconds, samples) in PIECES.items()]
    path.write_text("\n".join([HEADER, *(line for line in lines if not without or without not in line)]) + "\n")
    return path


def test_costs_are_read(tmp_path: Path) -> None:
    assert read_costs(measured(tmp_path / "speed.csv"), "paper") == COSTS
    with pytest.raises(FileNotFoundError, match=r"no file .*none.csv: expected the speed.csv"):
        read_costs(tmp_path / "none.csv", "paper")
    for size, without in (("small", ""), ("paper", "differentiated")):
        with pytest.raises(ValueError, match=f"no speed.csv that has measured the size '{size}'"):
            read_costs(measured(tmp_path / "speed.csv", without), size)


def test_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = measured(tmp_path / "speed.csv"), tmp_path / "out"
    words = ["--train-steps", "2000", "--probes", "4", "--cells", "4", "--teraflops", "10", "--workers", "1", "16"]
    assert cli.main(["bench", "scaling", str(path), *words, "--failures", "0", "--out", str(out)]) == 0
    assert capsys.readouterr().out == (out / "report.md").read_text()
    with (out / "scaling.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 4 * 2
    for row in rows:
        assert float(row["machine_hours"]) == pytest.approx(float(row["hours"]) * int(row["workers"]))
        assert 0 < float(row["busy"]) <= 1 + 1e-9
    alone = {(row["machine"], row["search"]): float(row["hours"]) for row in rows if row["workers"] == "1"}
    for row in rows:
        assert float(row["speedup"]) == pytest.approx(alone[row["machine"], row["search"]] / float(row["hours"]))
    assert "| GPU, 10 TFLOP/s | 0.6 | 0.5 | 0.25 | 0.125 |" in (out / "report.md").read_text()
    assert (out / "scaling.png").stat().st_size > 5000


def test_machines_are_named_by_what_they_achieve() -> None:
    assert list(machines(COSTS, ScalingOptions("x", teraflops=(10.0, 2.5)))) == [
        "core", "GPU, 10 TFLOP/s", "GPU, 2.5 TFLOP/s"
    ]  # fmt: skip


def test_what_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(measured(tmp_path / "speed.csv"))
    for words, message in {
        ("--bytes-per-second", "0"): "bytes_per_second must be a finite number and > 0",
        ("--workers", "0"): "workers must be several, each an integer and >= 1 and <= 1024",
        ("--workers",): "name at least one of probes and of workers",
        ("--failures", "1e9"): "seconds without a failure did not come in 1000 attempts",
        ("--size", "medium"): "is no speed.csv that has measured the size 'medium'",
    }.items():
        assert cli.main(["bench", "scaling", path, *words, "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
