"""The loop, run folders, the command line."""

import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from kept_rows import rows_of
from partners import playable
from processes import interruptible

from hgenv import run
from hgenv.beta.noise import stream_keys
from hgenv.cli import main as cli
from hgenv.cli import options as cli_options
from hgenv.cli import run as cli_run
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import Score
from hgenv.options import EnvOptions
from hgenv.registry import TASKS
from hgenv.runs import folder
from hgenv.snapshot import load_snapshot
from hgenv.tasks.shape_normals import ShapeNormals
from optimizers import OPTIMIZERS

TINY = [
    "--validation-size", "6", "--test-size", "4", "--train-steps", "2",
    "--batch-size", "2", "--validation-images", "4", "--report-every", "2",
]  # fmt: skip


def hgenv(*words: str) -> int:
    return cli.main(list(words))


@pytest.mark.parametrize("optimizer", playable([*OPTIMIZERS, "sb3"], quick=("fixed", "hybrid-gradient", "sb3")))
def test_same_seed_same_rows_and_a_whole_run_folder(optimizer: str, tmp_path: Path) -> None:
    # TBPSA's first generation alone would be longer than this run.
    options = [*TINY, "--max-steps", "6", *(["--name", "OnePlusOne"] if optimizer == "nevergrad" else [])]
    for name, more in (("a", []), ("b", ["--no-figures"])):
        assert hgenv("run", optimizer, *options, *more, "--out", str(tmp_path / name)) == 0
    rows = rows_of(tmp_path / "a")
    assert rows == rows_of(tmp_path / "b")
    assert [row["step"] for row in rows] == [str(step) for step in range(7)]
    assert [bool(row["test.mae"]) for row in rows] == [True, False] * 3 + [True]
    assert all(row["beta.expand.probability"] for row in rows)
    moved = rows[0]["beta.scale.mean.x"] != rows[-1]["beta.scale.mean.x"]
    assert moved == (optimizer not in ("fixed", "random-beta"))
    files = {path.name for path in (tmp_path / "a").iterdir()}
    drawn = {"curves.png", "beta.png", "samples.png", "predictions.png", "report.html"}
    kept = {"config.json", "metrics.csv", "checkpoint.npz", "best.npz", "summary.json", ".lock"}
    assert files == kept | drawn | ({"agent.zip"} if optimizer == "sb3" else set())
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["last"]["step"] == 6
    assert (
        summary["best"]["validation.mae"] == folder.best_row(folder.read_rows(tmp_path / "a"), "mae")["validation.mae"]
    )


def test_committed_samples_do_not_depend_on_the_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sample seeds, step by step: only beta differs between optimizers."""
    seen: dict[str, list] = {}

    def logged(seed: int, stream: str, counter: int, count: int) -> np.ndarray:
        seeds = stream_keys(seed, stream, counter, count)
        if stream == "train":
            seen[name].append(seeds.tolist())
        return seeds

    monkeypatch.setattr("hgenv.step.stream_keys", logged)
    for name in ("fixed", "random-search", "hybrid-gradient"):
        gradient = Score() if name == "hybrid-gradient" else None
        options = EnvOptions(gradient=gradient, train_steps=2, batch_size=2)
        env = DataGenEnv(ShapeNormals(validation_size=4, test_size=2), options)
        seen[name] = []
        list(run.run(env, OPTIMIZERS[name](), run.Budget(max_steps=3), seed=5, report_every=10))
    assert len(seen["fixed"]) == 6
    assert seen["fixed"] == seen["random-search"] == seen["hybrid-gradient"]


def test_the_snapshot_is_the_best_validated_state(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert hgenv("run", "random-search", *TINY, "--max-steps", "6", "--out", str(out)) == 0
    best = folder.best_row(folder.read_rows(out), "mae")
    snapshot = load_snapshot(out)
    assert snapshot["step"] == best["step"]
    assert snapshot["beta"].tolist() == [best[f"beta.{name}"] for name in ShapeNormals().layout.names]
    task = ShapeNormals(validation_size=6, test_size=4)
    env = DataGenEnv(task, EnvOptions(train_steps=2, batch_size=2, validation_images=4))
    folder.restore(env, snapshot)
    assert env.metrics("test")["mae"] == best["test.mae"]
    assert hgenv("run", "fixed", *TINY, "--max-steps", "1", "--start", str(out), "--out", str(tmp_path / "again")) == 0
    again = folder.read_rows(tmp_path / "again")[0]
    np.testing.assert_allclose([again[f"beta.{n}"] for n in task.layout.names], snapshot["beta"], rtol=1e-12)


@pytest.mark.parametrize(
    "limit",
    [
        {"max_train_steps": 8}, {"max_renders": 9}, {"max_steps": 2}, {"max_seconds": 1e-9}, {"max_wall_seconds": 1e-9},
        {"max_steps": 2, "max_gpu_seconds": 1e-9},
    ],
)  # fmt: skip
def test_budgets_end_a_run(limit: dict) -> None:
    env = DataGenEnv(ShapeNormals(validation_size=4, test_size=2), EnvOptions(train_steps=4, batch_size=2))
    rows = list(run.run(env, OPTIMIZERS["fixed"](), run.Budget(**limit), report_every=10))
    expected = {"max_train_steps": 3, "max_renders": 3, "max_steps": 3, "max_seconds": 1, "max_wall_seconds": 1}[
        next(iter(limit))
    ]
    assert len(rows) == expected
    assert "test.mae" in rows[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "unknown command"),
        (["run"], "one of"),
        (["run", "nonsense"], "unknown optimizer 'nonsense'"),
        (["run", "hybrid"], "did you mean hybrid-gradient?"),
        (["run", "fixed", "--gradient", "imagine"], "did you mean image?"),
        (["lsit"], "did you mean list?"),
        (["run", "fixed", "--env", "toyshading"], "did you mean hgenv/ToyShading-v0?"),
        (["list", "--import"], "--import needs"),
        (["list", "--import", "no_such_module"], "no_such_module cannot be imported"),
        (["list", "--import", "/nowhere/task.py"], "no file /nowhere/task.py"),
        (["run", "fixed", "--max-steps", "-1"], "max_steps must be"),
        (["run", "fixed", "--resolution", "31"], "multiple of 16"),
        (["run", "fixed", "--report-every", "0"], "report_every must be"),
        (["run", "fixed", "--seed", "-1"], "seed must be"),
        (["run", "fixed", "--device", "nonsense"], "device 'nonsense'"),
        (["run", "fixed", "--env", "hgenv/Nonsense-v0"], "unknown environment"),
        (["run", "fixed", "--target", "mit-berkeley", "--data", "/nowhere"], "no folder"),
        (["run", "fixed", "--start", "/nowhere"], "no file"),
        (["run", "random-beta", "--gradient", "image"], "there is no gradient"),
        (["run", "random-beta", "--spread", "0.1"], "spread"),
        (["show", "--out", "picture"], ".png"),
        (["plot", "/nowhere"], "no file"),
    ],
)
def test_mistakes_get_one_clear_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("hgenv: error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--nonsense", "1", "nonsense"),
        ("--max-steps", "many", "max-steps"),
        ("--target", "moon", "mit-berkeley"),
    ],
)
def test_bad_options_are_refused(option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", "fixed", option, value])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_an_optimizer_that_the_environment_does_not_serve_is_refused() -> None:
    env = DataGenEnv(ShapeNormals(validation_size=2, test_size=2), EnvOptions())
    with pytest.raises(ValueError, match="gradient"):
        next(run.run(env, OPTIMIZERS["hybrid-gradient"](), run.Budget(max_steps=1)))
    with pytest.raises(ValueError, match="spread"):
        next(run.run(env, OPTIMIZERS["random-beta"](), run.Budget(max_steps=1)))


def test_options_of_all_parts_have_names_of_their_own() -> None:
    """The command line puts the options of run, budget, environment, task and optimizer side by side."""
    ours = [cli_run.RunOptions, cli_options.DefaultBudget, cli_options.EnvChoice, EnvOptions]
    for task in TASKS.values():
        for optimizer in OPTIMIZERS.values():
            names = [f.name for part in (*ours, task, optimizer) for f in dataclasses.fields(part)]
            assert len(names) == len(set(names))
    with pytest.raises(ValueError, match="option of both"):
        cli_options.parse("x", [], first=cli_run.RunOptions, second=cli_run.RunOptions)


def test_a_line_without_its_end_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,val_loss,test.mae\n0,0.5,10\n1,0.25,\n2,0.12")
    assert folder.read_rows(tmp_path) == [{"step": 0, "val_loss": 0.5, "test.mae": 10}, {"step": 1, "val_loss": 0.25}]


def test_an_interruption_before_the_first_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DataGenEnv, "reset", interrupt)
    assert hgenv("run", "fixed", *TINY, "--max-steps", "1", "--out", str(tmp_path / "run")) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_folder_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("x")
    assert hgenv("run", "fixed", *TINY, "--max-steps", "1", "--out", str(tmp_path)) == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_snapshots_are_never_unpickled(tmp_path: Path) -> None:
    evil = tmp_path / "best.npz"
    np.savez(evil, beta=np.array([print], dtype=object))
    with pytest.raises(ValueError, match=r"no \.npz of plain arrays"):
        load_snapshot(tmp_path)
    evil.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ValueError, match=r"no \.npz of plain arrays"):
        load_snapshot(tmp_path)


def test_an_interrupted_run_is_usable(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "hgenv", "run", "fixed", *TINY, "--max-seconds", "300", "--out", str(out)]
    with interruptible(command, env=os.environ | {"MPLBACKEND": "agg"}) as process:
        deadline = time.monotonic() + 120
        while not ((out / "metrics.csv").exists() and (out / "metrics.csv").read_text().count("\n") > 8):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert error == f"interrupted: hgenv resume {out} goes on\n"
    rows = folder.read_rows(out)
    assert len(rows) > 7
    assert load_snapshot(out)["step"] <= rows[-1]["step"]
    assert hgenv("resume", str(out), "--max-steps", str(len(rows) + 2)) == 0
    assert len(folder.read_rows(out)) == len(rows) + 3
    assert (out / "predictions.png").exists()


def test_a_start_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = tmp_path / "beta.json"
    start.write_text('{"expand.probability": 0.9}')
    assert hgenv("run", "fixed", *TINY, "--max-steps", "1", "--start", str(start), "--out", str(tmp_path / "run")) == 0
    row = folder.read_rows(tmp_path / "run")[-1]
    layout = ShapeNormals().layout
    assert row["beta.expand.probability"] == pytest.approx(0.9)
    assert row["beta.primitive.cube"] == layout.initial[layout.names.index("primitive.cube")]
    for text in ('{"expand.probability": 2}', '{"nothing": 1}', "[1]", "{", '{"expand.probability": "x"}'):
        start.write_text(text)
        assert hgenv("run", "fixed", *TINY, "--start", str(start), "--out", str(tmp_path / "bad")) == 2
        assert "beta.json" in capsys.readouterr().err
        assert not (tmp_path / "bad").exists()


def test_list_show_baselines_plot_and_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hgenv("list", "-v") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ShapeNormals().layout.names)
    assert "weight of sphere" in listed
    assert hgenv("baselines") == 0
    assert "dome" in capsys.readouterr().out
    assert hgenv("show", "--out", str(tmp_path / "show.png"), "--validation-size", "24", "--test-size", "1") == 0
    assert hgenv("run", "fixed", *TINY, "--max-steps", "2", "--out", str(tmp_path / "run")) == 0
    assert hgenv("plot", str(tmp_path / "run"), "--out", str(tmp_path / "plot.png")) == 0
    for name in ("show.png", "plot.png"):
        assert (tmp_path / name).stat().st_size > 5000
    assert hgenv("doctor") == 0
    assert "works" in capsys.readouterr().out


def test_a_run_that_diverges_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = ["--env", "hgenv/ToyShading-v0", "--max-steps", "50", "--inner-learning-rate", "1e30"]
    for player in (["fixed"], ["sb3", "--warmup", "2"]):
        out = tmp_path / player[0]
        assert hgenv("run", *player, *words, "--max-failed-steps", "4", "--out", str(out)) == 3
        said = capsys.readouterr()
        assert "4 failed steps" in said.out
        assert f"{out}: diverged: 4 failed steps in a row; of the last, step 4, not finite: weights\n" in said.err
        rows = folder.read_rows(out)
        assert [row["failed"] for row in rows] == [0, 2, 2, 2, 2]
        assert [row["failed_steps"] for row in rows] == [0, 1, 2, 3, 4]
        text = (out / "summary.json").read_text()
        assert "NaN" not in text
        summary = json.loads(text)
        assert summary["ended"].startswith("diverged: 4 failed steps")
        assert summary["last"]["failed_steps"] == 4
        assert summary["last"]["val_loss"] is None
        assert load_snapshot(out)["step"] == 0
        assert hgenv("resume", str(out)) == 2
        assert "has come to the end" in capsys.readouterr().err


def test_a_figure_that_fails_does_not_fail_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(env: DataGenEnv, path: Path) -> None:
        assert (path / "summary.json").is_file(), "figures come last"
        raise RuntimeError("no colours left")

    monkeypatch.setattr("hgenv.runs.plot.of_run", drawn)
    words = ["--env", "hgenv/ToyShading-v0", "--max-steps", "2", "--out", str(tmp_path / "run")]
    assert hgenv("run", "fixed", *words) == 0
    assert capsys.readouterr().err == f"hgenv: the figures of {tmp_path / 'run'} could not be drawn: no colours left\n"


def test_of_an_option_that_is_given_twice_the_last_counts(tmp_path: Path) -> None:
    words = [
        "--env",
        "hgenv/ShapeNormals-v0",
        "--env=hgenv/ToyShading-v0",
        "--gradient",
        "score",
        "--gradient",
        "mixed",
    ]
    out = tmp_path / "run"
    assert hgenv("run", "hybrid-gradient", *words, "--hidden", "4", "--max-steps", "1", "--out", str(out)) == 0
    config = json.loads((out / "config.json").read_text())
    assert (config["env"], config["task"]["hidden"]) == ("hgenv/ToyShading-v0", 4)
    assert config["training"]["gradient"] == "mixed"
    assert hgenv("resume", str(out), "--max-steps", "2") == 0


def test_plot_takes_the_metric_of_the_runs_task(tmp_path: Path) -> None:
    """Not of every task is there a mean angle."""
    words = ["--env", "hgenv/FaceDepth-v0", "--resolution", "16", "--channels", "8", "--max-steps", "1"]
    assert hgenv("run", "fixed", *words, "--train-steps", "1", "--no-figures", "--out", str(tmp_path / "run")) == 0
    assert hgenv("plot", str(tmp_path / "run"), "--out", str(tmp_path / "plot.png")) == 0
    assert (tmp_path / "plot.png").is_file()
