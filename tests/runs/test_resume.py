"""Runs that are cut short go on as if they had not been: the rows are the same, all of them."""

import csv
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kept_rows import rows_of
from partners import playable
from processes import interruptible

import hgenv.env
from hgenv.checkpoint import Checkpoint
from hgenv.cli.main import main
from hgenv.snapshot import load_snapshot
from optimizers import OPTIMIZERS

TOY = ["--env", "hgenv/ToyShading-v0", "--train-steps", "2", "--batch-size", "4", "--no-figures"]
PLAYERS = {
    **{name: [name] for name in OPTIMIZERS},
    "cma": ["nevergrad", "--name", "CMA"],
    "optuna-cma": ["optuna", "--sampler", "CMA-ES"],
    "reinforce-probes": ["reinforce", "--play", "probes", "--learn-sigma"],
    "ppo": ["sb3", "--algorithm", "PPO", "--rollout", "4"],
    "sac": ["sb3", "--algorithm", "SAC", "--warmup", "4"],
    "td3": ["sb3", "--algorithm", "TD3", "--warmup", "4"],
}


def cut_at(count: int, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException] = KeyboardInterrupt) -> None:
    """Environments fail in the middle of the step after so many."""
    made, calls = hgenv.env.trained, itertools.count(1)

    def trained(*arguments: Any) -> object:
        if next(calls) > count:
            raise kind
        return made(*arguments)

    monkeypatch.setattr(hgenv.env, "trained", trained)


@pytest.mark.parametrize("name", playable(PLAYERS))
def test_a_run_that_is_cut_short_twice_goes_on(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then with more budget."""
    command = ["run", *PLAYERS[name], *TOY, "--max-steps", "9", "--report-every", "2"]
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    out = str(tmp_path / "cut")
    with monkeypatch.context() as patch:
        cut_at(3, patch)
        assert main([*command[:-3], "7", *command[-2:], "--checkpoint-steps", "2", "--out", out]) == 130
        assert not (tmp_path / "cut" / "summary.json").exists()
        cut_at(2, patch)
        assert main(["resume", out]) == 130
    np.random.rand(7), random.random()  # noqa: NPY002
    assert main(["resume", out]) == 0
    assert json.loads((tmp_path / "cut" / "summary.json").read_text())["last"]["step"] == 7
    assert main(["resume", out, "--max-steps", "9"]) == 0
    assert rows_of(tmp_path / "cut") == rows_of(tmp_path / "whole")
    ours, theirs = load_snapshot(tmp_path / "cut"), load_snapshot(tmp_path / "whole")
    np.testing.assert_equal(ours, theirs)
    for kind in ("last", "best"):
        summaries = [json.loads((tmp_path / p / "summary.json").read_text())[kind] for p in ("cut", "whole")]
        for summary in summaries:
            for name in ("cpu", "wall", "gpu"):
                summary.pop(f"{name}_seconds")
        assert summaries[0] == summaries[1]


def test_a_generator_that_remembers_and_a_start_elsewhere_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--validation-size", "4", "--test-size", "2", "--train-steps", "2", "--batch-size", "2", "--no-figures"]
    command = ["run", "evolution", "--env", "hgenv/ShapeEvolution-v0", *options, "--start", "random"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main([*command, "--max-steps", "4", "--out", str(whole)]) == 0
    with monkeypatch.context() as patch:
        cut_at(2, patch)
        assert main([*command, "--max-steps", "4", "--out", str(cut)]) == 130
    assert main(["resume", str(cut)]) == 0
    assert rows_of(cut) == rows_of(whole)


def test_what_cannot_go_on_says_why_and_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["run", "fixed", *TOY, "--max-steps", "3", "--out", str(out)]) == 0
    checkpoint = (out / "checkpoint.npz").read_bytes()

    def refused(message: str, *more: str) -> None:
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        assert main(["resume", str(out), *more]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    refused("has come to the end of --max-steps 3: give it more")
    refused("has come to the end of --max-train-steps 6", "--max-train-steps", "6")
    refused("max_steps must be", "--max-steps", "0")
    (out / "checkpoint.npz").write_bytes(checkpoint[:-100])
    refused("checkpoint.npz is no .npz of plain arrays", "--max-steps", "5")
    np.savez(out / "checkpoint.npz", step=2)
    refused("checkpoint.npz is no checkpoint of a run", "--max-steps", "5")
    with np.load(io.BytesIO(checkpoint)) as content:
        np.savez(out / "checkpoint.npz", **{k: v for k, v in content.items() if k != "env.weights"})
    refused("state has the entries", "--max-steps", "5")
    (out / "checkpoint.npz").unlink()
    refused("has no checkpoint.npz", "--max-steps", "5")
    (out / "checkpoint.npz").write_bytes(checkpoint)
    rows = (out / "metrics.csv").read_bytes()
    (out / "metrics.csv").write_bytes(b"".join(rows.splitlines(keepends=True)[:2]))
    refused("has no row of step 2", "--max-steps", "5")
    (out / "metrics.csv").write_bytes(rows)
    (out / "config.json").write_text("[]")
    refused("config.json is not the configuration of a run", "--max-steps", "5")
    assert main(["resume", str(tmp_path / "nowhere")]) == 2
    assert "expected the folder of a run" in capsys.readouterr().err


# -- processes that are killed


def launched(out: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "hgenv", *words, "--out", str(out)]


def when_it_runs(process: subprocess.Popen, out: Path, rows: int = 3) -> None:
    begin = time.monotonic()
    while not (out / "metrics.csv").exists() or (out / "metrics.csv").read_bytes().count(b"\n") <= rows:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() - begin < 60
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_with_one_line_and_a_checkpoint(number: int, status: int, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = launched(out, "run", "random-search", *TOY, "--max-seconds", "100")
    with interruptible(command) as process:
        when_it_runs(process, out)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == status
    assert errors == f"interrupted: hgenv resume {out} goes on\n"
    done = len(rows_of(out))
    assert main(["resume", str(out), "--max-steps", str(done + 5)]) == 0
    assert len(rows_of(out)) == done + 6


def test_a_signal_during_import_ends_with_one_line(tmp_path: Path) -> None:
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        command = launched(tmp_path / "run", "run", "fixed", *TOY, "--import", str(tmp_path / "slow.py"))
        (tmp_path / "slow.py").write_text("import sys, time\nprint('here', flush=True)\ntime.sleep(60)\n")
        with interruptible(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(number)
            _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (status, "interrupted\n")
    assert not (tmp_path / "run").exists()


def lost(out: Path) -> tuple[int, float]:
    """The steps, and the wall seconds, of a run that come after its checkpoint."""
    with (out / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if line.endswith("\n")))
    step = int(Checkpoint(out / "checkpoint.npz").read()["step"])
    return int(rows[-1]["step"]) - step, float(rows[-1]["wall_seconds"]) - float(rows[step]["wall_seconds"])


def killed_and_resumed(out: Path, words: list[str], kills: int, seed: int, most: float) -> int:
    """Kill a run at random moments; the number of times that it was killed before it came to its end.

    No more than an interval between checkpoints is lost, which is 20 steps, or a second and what a step takes.
    """
    rng, command = random.Random(seed), launched(out, "run", *words)
    for count in range(kills):
        with interruptible(command) as process:
            try:
                _, errors = process.communicate(timeout=1.0 + rng.uniform(0.0, most))
                assert process.returncode == 0, errors
                return count
            except subprocess.TimeoutExpired:
                process.kill()
        if (out / "summary.json").exists():  # it was killed after its end
            return count
        if (out / "checkpoint.npz").exists():
            steps, seconds = lost(out)
            assert steps <= 20 or seconds <= 2.0
            command = [sys.executable, "-m", "hgenv", "resume", str(out)]
        elif out.exists():  # before its first row
            for path in out.iterdir():
                path.unlink()
    subprocess.run(command, check=True, capture_output=True)
    return kills


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    words = ["random-search", *TOY, "--max-steps", "150", "--checkpoint-steps", "20"]
    assert main(["run", *words, "--out", str(tmp_path / "whole")]) == 0
    assert killed_and_resumed(tmp_path / "cut", words, 1, 0, 1.0) == 1
    assert rows_of(tmp_path / "cut") == rows_of(tmp_path / "whole")


@pytest.mark.long
@pytest.mark.parametrize("env", ["ToyShading", "ShapeNormals", "TextureIntrinsics"])
@pytest.mark.parametrize("name", playable(PLAYERS))
def test_a_run_that_is_killed_often_goes_on(name: str, env: str, tmp_path: Path) -> None:
    """20 times at random moments; at most one interval between checkpoints is lost each time."""
    steps = {"ToyShading": "1500", "ShapeNormals": "200", "TextureIntrinsics": "200"}[env]
    words = [*PLAYERS[name], *TOY, "--env", f"hgenv/{env}-v0", "--max-steps", steps, "--checkpoint-seconds", "1"]
    assert main(["run", *words, "--out", str(tmp_path / "whole")]) == 0
    killed_and_resumed(tmp_path / "cut", words, 20, 1, 5.0)
    assert rows_of(tmp_path / "cut") == rows_of(tmp_path / "whole")


@pytest.mark.long
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_at_any_moment(number: int, status: int, tmp_path: Path) -> None:
    """30 times, from the import of torch on."""
    rng = random.Random(number)
    words = ["run", "hybrid-gradient", *TOY, "--max-seconds", "100", "--checkpoint-steps", "1"]
    for k in range(30):
        out = tmp_path / str(k)
        with interruptible(launched(out, *words)) as process:
            time.sleep(rng.uniform(0.5, 5.0))
            process.send_signal(number)
            _, errors = process.communicate(timeout=20)
        assert process.returncode == status, errors
        assert errors.count("\n") == 1
        assert errors.startswith("interrupted")
        if out.exists():
            done = len(rows_of(out))
            assert main(["resume", str(out), "--max-steps", str(done + 2)]) == 0
            assert len(rows_of(out)) == done + 3
        assert os.listdir(tmp_path) == [] or not list(tmp_path.rglob("*.partial.*"))
