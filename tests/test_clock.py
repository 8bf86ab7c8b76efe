"""Seconds of the CPU, of the wall and of a GPU; for the last, torch.cuda's events are replaced by ones that tick."""

import copy
import csv
import time
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from environments import small

from hgenv.checkpoint import Checkpoint
from hgenv.cli.main import main
from hgenv.clock import Clock, Seconds
from hgenv.devices import GpuTime
from hgenv.run import Budget, cost_axes, elsewhere, run
from hgenv.runs import agents, plot
from optimizers import OPTIMIZERS

CUDA = torch.device("cuda")


class Ticking:
    """An event of a GPU whose clock goes on by a quarter of a second at every mark."""

    ticks = count()
    synchronized: ClassVar[list[int]] = []
    done = True

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing

    def record(self, stream: str) -> None:
        assert stream == "stream"
        self.at = next(Ticking.ticks)

    def query(self) -> bool:
        return Ticking.done

    def synchronize(self) -> None:
        Ticking.synchronized.append(self.at)

    def elapsed_time(self, later: "Ticking") -> float:
        return 250.0 * (later.at - self.at)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> type[Ticking]:
    """A machine whose GPU can only tell the time."""
    monkeypatch.setattr(torch.cuda, "Event", Ticking)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "stream")
    monkeypatch.setattr(Ticking, "ticks", count())
    monkeypatch.setattr(Ticking, "synchronized", [])
    monkeypatch.setattr(Ticking, "done", True)
    return Ticking


def timed(env: Any) -> Any:
    """The environment, whose calls are timed as if they were on a GPU."""
    env.gpu_time = GpuTime(CUDA)
    return env


def test_only_the_outermost_begin_and_end_are_marked(gpu: type[Ticking]) -> None:
    found = GpuTime(CUDA)
    found.end()  # nothing has begun
    for _ in range(3):
        found.begin()
        found.begin()
        found.end()
        found.end()
    assert next(gpu.ticks) == 6
    assert found.seconds() == 0.75
    assert copy.deepcopy(found).seconds() == 0.0


def test_nobody_waits_before_the_seconds_are_asked_for(gpu: type[Ticking], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "done", False)
    found = GpuTime(CUDA)
    for _ in range(3):
        found.begin()
        found.end()
    assert gpu.synchronized == []
    assert found.seconds() == found.seconds() == 0.75
    assert gpu.synchronized == [1, 3, 5], "each is waited for once"


def test_on_the_cpu_there_is_no_gpu_time() -> None:
    found = GpuTime(torch.device("cpu"))
    found.begin()
    found.end()
    assert found.seconds() == 0.0


def test_a_clock_goes_on_and_leaves_out_its_pauses() -> None:
    there = [Seconds(gpu=5.0)]
    clock = Clock([100.0, 200.0, 300.0], lambda: there[-1])
    there.append(Seconds(cpu=7.0, gpu=6.0))
    with clock.pause():
        there.append(Seconds(cpu=7.0, gpu=50.0))
        time.sleep(0.05)
    cpu, wall, gpu = clock.read()
    assert gpu == pytest.approx(301.0)
    assert 107.0 <= cpu < 107.05
    assert 200.0 <= wall < 200.04
    assert Clock().read().gpu == 0.0


def test_calls_of_an_environment_are_timed(gpu: type[Ticking]) -> None:
    env = timed(small("hgenv/ToyShading-v0"))
    env.reset(seed=0)
    env.step(env.start)
    env.evaluate(np.tile(env.start, (2, 1)))
    with pytest.raises(ValueError, match="shape"):
        env.step(np.zeros(99))
    assert elsewhere(env) == Seconds(gpu=1.0)
    env.metrics("test")
    assert elsewhere(env) == Seconds(gpu=1.0), "scoring is free"


def test_a_run_is_charged_with_gpu_seconds_and_goes_on_with_them(gpu: type[Ticking], tmp_path: Path) -> None:
    env, kept = timed(small("hgenv/ToyShading-v0")), Checkpoint(tmp_path / "kept.npz")
    rows = list(run(env, OPTIMIZERS["fixed"](), Budget(max_gpu_seconds=0.7), checkpoint=kept))
    assert [row["gpu_seconds"] for row in rows] == [0.0, 0.25, 0.5, 0.75]
    again = timed(small("hgenv/ToyShading-v0"))
    more = list(run(again, OPTIMIZERS["fixed"](), Budget(max_gpu_seconds=1.2), checkpoint=Checkpoint(kept.path)))
    assert [row["gpu_seconds"] for row in more] == [0.75, 1.0, 1.25]
    assert [row["step"] for row in more] == [3, 4, 5]
    assert [row["val_loss"] for row in more[:1]] == [rows[-1]["val_loss"]]


def test_an_agent_is_charged_with_its_learning_on_a_gpu(gpu: type[Ticking], monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a second a step, and another one for each time that it has learned."""
    env = timed(small("hgenv/ToyShading-v0"))
    agent, rows = agents.made(env, agents.AgentOptions(warmup=2), 0), list[dict]()
    monkeypatch.setattr(agents, "GpuTime", lambda device: GpuTime(CUDA))
    agents.play(env, agent, Budget(max_steps=4), rows.append)
    assert [row["gpu_seconds"] for row in rows] == [0.0, 0.25, 0.75, 1.25, 1.75]


def test_a_checkpoint_of_two_kinds_of_seconds_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "old.npz", step=3, seconds=np.zeros(2))
    with pytest.raises(ValueError, match="another version's: it has 2 kinds of seconds"):
        Checkpoint(tmp_path / "old.npz").read()


def test_gpu_seconds_are_an_axis_only_where_there_are_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none, some = [{"gpu_seconds": 0.0}, {}], [{"gpu_seconds": 0.0}, {"gpu_seconds": 0.1}]
    assert list(cost_axes(none)) == ["cpu_seconds", "train_steps", "renders"]
    assert list(cost_axes(some)) == ["cpu_seconds", "gpu_seconds", "train_steps", "renders"]
    words = ["--env", "hgenv/ToyShading-v0", "--train-steps", "2", "--max-steps", "2", "--no-figures"]
    assert main(["run", "fixed", *words, "--report-every", "1", "--out", str(tmp_path / "run")]) == 0
    panels: list[int] = []
    monkeypatch.setattr(plot.Figure, "subplots", counting(plot.Figure.subplots, panels))
    plot.curves([tmp_path / "run"], "mae", tmp_path / "a.png")
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["gpu_seconds"] for row in rows} == {"0.0"}
    rows[-1]["gpu_seconds"] = "2.5"
    with (tmp_path / "run" / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    plot.curves([tmp_path / "run"], "mae", tmp_path / "b.png")
    assert panels == [3, 4]


def counting(subplots: Any, panels: list[int]) -> Any:
    def called(figure: Any, lines: int, columns: int, **more: Any) -> Any:
        panels.append(columns)
        return subplots(figure, lines, columns, **more)

    return called
