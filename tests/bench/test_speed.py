"""Where the seconds go: the table's columns, ratios of one run, what cannot be measured, interruptions, the GPU."""

import csv
import multiprocessing
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from hgenv.bench import speed, speed_report
from hgenv.bench.gpu import covered, gpu_use
from hgenv.bench.speed import Piece, Seconds, Subject, Watched
from hgenv.cli import main as cli
from hgenv.learning.gradient import Score
from hgenv.learning.training import SGD, Adam, InnerOptimizer
from hgenv.options import EnvOptions, build
from hgenv.sizes import of_size
from hgenv.tasks.shape_normals import ShapeNormals
from hgenv.tasks.toy_shading import ToyShading

TOY = ["bench", "speed", "hgenv/ToyShading-v0", "--train-steps", "3", "--repeats", "2", "--points", "2", "--steps", "2"]
ALONE = ["--workers", "1", "--render-workers", "0"]
PIECES = ["training step", "bare PyTorch step", "differentiated step", "rendering a batch", "validation"]


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "speed.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_piece_is_measured_with_its_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--workers", "1", "2", "--render-workers", "0", "2", "--gradient", "score", "--out", str(tmp_path)]
    assert cli.main([*TOY, *words]) == 0
    shown = capsys.readouterr().out
    assert shown == (tmp_path / "table.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in shown.splitlines() if line.startswith("| ")]
    assert rows[0] == ["piece", "wall ms", "CPU ms", "ratio", "samples a core-second", "units a second", "waiting"]
    probes, steps = ["probes, 1 worker", "probes, 2 workers"], [f"environment step, {n} render workers" for n in (0, 2)]
    assert [row[0] for row in rows[1:]] == [*PIECES, *probes, *steps, "environment step with its gradient"]
    assert re.fullmatch(r"[\d.]+ \[[\d.]+, [\d.]+\]", rows[1][1])
    assert "small: 4304 weights, 1280 bytes and 0.02253 MFLOP a sample" in shown
    found = table_of(tmp_path)
    assert [float(row["waiting"] or -1) >= 0 for row in found] == [row["render_workers"] != "" for row in found]
    assert all(0 < float(row["waiting"]) < 1 for row in found if row["waiting"])
    assert not {"gpu_busy", "gpu_peak_bytes"} & found[0].keys()
    assert {int(row["samples"]) for row in found if row["piece"] in ("probes", "environment step")} == {3 * 8}
    assert (tmp_path / "speed.png").stat().st_size > 5000


def test_ratios_are_of_the_same_run(tmp_path: Path) -> None:
    assert cli.main([*TOY, *ALONE, "--out", str(tmp_path)]) == 0
    rows = {row["piece"]: row for row in table_of(tmp_path)}
    cpu = {piece: float(row["cpu_seconds"]) for piece, row in rows.items()}
    for piece in PIECES:
        assert float(rows[piece]["ratio"]) == pytest.approx(cpu[piece] / cpu["training step"])
    assert cpu["differentiated step"] > 1.5 * cpu["training step"]
    assert [float(rows[piece]["ratio"]) for piece in ("probes", "environment step")] == [1.0, 1.0]


def test_rows_by_hand() -> None:
    task = ToyShading()
    subject, env = Subject.of(task, EnvOptions()), Watched(task, EnvOptions())
    nothing = lambda: None  # noqa: E731
    pieces = [
        Piece("probes", nothing, 2, 160, "probes, 1 worker", env, workers="1"),
        Piece("probes", nothing, 2, 160, "probes, 1 worker", env, workers="auto"),
        Piece("environment step", nothing, 1, 160, "environment step, 0 render workers", env, render_workers="0"),
        Piece("training step", nothing, 4, 8),
        Piece("validation", nothing, 1, 16, "training step"),
    ]
    times = {
        "probes, 1 worker": [Seconds(4.0, 3.0, 0.0)],
        "probes, workers auto": [Seconds(wall, 9.0, 0.0) for wall in (1.0, 8.0, 2.0)],
        "environment step, 0 render workers": [Seconds(5.0, 5.0, 1.0), Seconds(5.0, 5.0, 2.0), Seconds(5.0, 5.0, 9.0)],
        "training step": [Seconds(7.0, 0.5, 0.0)],
        "validation": [Seconds(1.0, 0.25, 0.0)],
    }
    rows = {row.label: row for row in speed.rows_of("toy", "small", subject, pieces, times)}
    faster = rows["probes, workers auto"]
    assert (faster.ratio, faster.wall_seconds, faster.wall_low, faster.wall_high) == (0.5, 2.0, 1.5, 5.0)
    assert rows["environment step, 0 render workers"].waiting == pytest.approx(0.4)
    assert rows["validation"].ratio == 0.5, "of CPU seconds, as it is of one thread"
    cells = speed_report.table(list(rows.values()), 3).splitlines()[9].split(" | ")
    assert cells == ["| probes, workers auto", "2000 [1500, 5000]", "9000", "0.50 of probes, 1 worker", "17.8", "0.5",
                     "- |"]  # fmt: skip


@pytest.mark.parametrize("rule", [Adam(learning_rate=0.01), SGD()])
def test_the_bare_loop_trains_to_the_same_weights(rule: InnerOptimizer) -> None:
    torch.manual_seed(0)
    subject = Subject.of(ToyShading(), EnvOptions(inner=rule))
    learner = subject.learner
    network = learner.model.network(learner.model.initial)
    bare = speed.bare_loop(subject, network, 5)
    assert bare is not None
    bare()
    weights = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    ours = learner.trained(learner.start(), [subject.batch] * 5).weights
    assert not torch.equal(ours, learner.model.initial)
    torch.testing.assert_close(weights, ours, rtol=1e-4, atol=1e-6)


def test_waiting_is_that_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Watched(ToyShading(), EnvOptions(train_steps=3))
    env.step(env.start)
    assert len(env.waited) == 3 + 1, "of every batch, and of the end"
    clock = iter(np.arange(100.0))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(speed.time, "process_time", lambda: 0.0)
    env.workers.seconds[0] = 2.0
    seconds = speed.timed(Piece("environment step", lambda: env.step(env.start), 2, 24, env=env), env.device)
    assert seconds.waited == 4 / 2, "those before do not count"
    assert seconds.wall == 9 / 2, "of two units, and the clock is read eight times in between"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "paper"], "size must be one of small for ToyShading, got 'paper'"),
        (["--workers", "many"], "workers must be 1 to 1024, 'auto', 'ray' or 'ray://HOST:PORT', got 'many'"),
        (["--render-workers", "-1"], "render_workers must be several, each an integer and >= 0 and <= 256"),
        (["--repeats", "0"], "repeats must be an integer and >= 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*TOY, *words, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["--size", "small"], ["--sizes", "small", "--device"]])
def test_the_parser_refuses_what_is_no_option_of_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([*TOY, *words])
    assert words[-1] in capsys.readouterr().err


def test_something_has_to_be_measured() -> None:
    for nothing in ({"sizes": ()}, {"workers": ()}, {"render_workers": ()}):
        with pytest.raises(ValueError, match="name at least one of sizes, of workers and of render_workers"):
            speed.SpeedOptions(**nothing)  # type: ignore[arg-type]


def test_an_interruption_leaves_no_process_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timed = speed.timed

    def interrupted(piece: Piece, device: torch.device) -> Seconds:
        found = timed(piece, device)
        if piece.workers == "2":
            assert multiprocessing.active_children()
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(speed, "timed", interrupted)
    assert cli.main([*TOY, "--workers", "2", "--out", str(tmp_path / "out")]) == 130
    assert multiprocessing.active_children() == []
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().err == "interrupted\n"


def test_the_time_that_kernels_cover() -> None:
    assert covered([]) == 0
    assert covered([(0, 1), (2, 4)]) == 3
    assert covered([(3, 5), (0, 4), (1, 2), (5, 6)]) == 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: how busy a GPU is was not measured")
def test_a_step_at_paper_size_keeps_a_gpu_busy() -> None:
    task = build(ShapeNormals, of_size(ShapeNormals, "paper"))
    subject = Subject.of(task, EnvOptions(device="cuda", gradient=Score()))
    use = gpu_use(speed.plain(subject, 4), subject.device)
    assert 0.8 <= use.busy <= 1.0
    assert use.peak_bytes > 4 * len(subject.learner.model.initial)
