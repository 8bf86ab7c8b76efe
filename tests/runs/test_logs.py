"""Logs of other tools hold a run's rows, settings and figures, go on with it, and never make it fail."""

import contextlib
import importlib
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kept_logs import TOOLS, Kept, read

import hgenv.env
from hgenv import interpreter
from hgenv.bench.compare import CompareOptions, cells
from hgenv.cli.cell import play
from hgenv.cli.main import main
from hgenv.run import Budget
from hgenv.runs.folder import best_row, read_rows
from hgenv.runs.logs import log as logs_of

TOY = ["--env", "hgenv/ToyShading-v0", "--train-steps", "2", "--batch-size", "4", "--report-every", "2"]
SMALL = [*TOY, "--no-figures"]
ENDED = {"wandb": "0", "mlflow": "FINISHED"}
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*noload.*"),  # what MLflow asks of SQLAlchemy
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of MLflow's that has its tables, which take seconds to make."""
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    folder = tmp_path_factory.mktemp("store")
    mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture(scope="module", autouse=True)
def _own_trackio(tmp_path_factory: pytest.TempPathFactory) -> None:
    """It reads where its database is when it is imported."""
    os.environ["TRACKIO_DIR"] = str(tmp_path_factory.mktemp("trackio"))


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each that is installed, with no variable of the user's."""
    name: str = request.param
    pytest.importorskip(name, reason=f"{name} is not installed")
    for variable in ("WANDB_MODE", "WANDB_PROJECT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(variable, raising=False)
    if name == "mlflow":
        shutil.copy(request.getfixturevalue("store"), tmp_path)
    return name


def check_values(kept: Kept, tool: str, run: Path, twice: tuple[int, ...] = ()) -> None:
    """Every number of every row is there once, at its step, and no other; at the steps `twice` the last counts."""
    rounded = np.float32 if tool == "tensorboard" else float
    expected: dict[str, dict[int, float]] = {}
    for row in read_rows(run):
        for name, value in row.items():
            if name != "step" and math.isfinite(value):
                expected.setdefault(name.replace(".", "/", 1), {})[int(row["step"])] = float(rounded(value))
    last = {name: {step: values[-1] for step, values in steps.items()} for name, steps in kept.values.items()}
    assert last == expected
    counts = {(step, len(values)) for steps in kept.values.values() for step, values in steps.items()}
    assert {step for step, count in counts if count > 1} <= set(twice)


def test_rows_settings_figures_and_the_best_are_there(tool: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["run", "random-search", *TOY, "--max-steps", "5", "--out", str(run), "--log", tool]) == 0
    kept = read(tool, run)
    check_values(kept, tool, run)
    config = json.loads((run / "config.json").read_text())
    assert kept.settings["env"] == "hgenv/ToyShading-v0"
    assert kept.settings["optimizer_name"] == "random-search"
    for part in ("task", "training", "optimizer", "budget", "run"):
        for name, value in config[part].items():
            expected = tuple(value) if isinstance(value, list) else value
            assert number(kept.settings[f"{part}.{name}"]) == number(str(expected))
    assert kept.pictures == {"beta", "curves", "predictions", "samples"}
    best = best_row(read_rows(run), "mae")
    assert kept.best["step"] == best["step"]
    assert kept.best["test/mae"] == pytest.approx(best["test.mae"], rel=1e-6)
    assert kept.ended == ENDED.get(tool)


def number(text: str) -> float | str:
    """As TensorBoard has it."""
    with contextlib.suppress(ValueError):
        return float({"True": "1", "False": "0"}.get(text, text))
    return text


def cut_at(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments are interrupted in the middle of the step after so many."""
    made, calls = hgenv.env.trained, itertools.count(1)

    def trained(*arguments: Any) -> object:
        if next(calls) > count:
            raise KeyboardInterrupt
        return made(*arguments)

    monkeypatch.setattr(hgenv.env, "trained", trained)


@pytest.mark.parametrize("player", [["random-step"], ["sb3", "--algorithm", "SAC", "--warmup", "2"]], ids=str)
def test_a_run_that_goes_on_goes_on_in_its_log(
    player: list[str], tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    options = [*SMALL, "--max-steps", "7", "--checkpoint-steps", "3"]
    with monkeypatch.context() as patch:
        cut_at(5, patch)
        assert main(["run", *player, *options, "--out", str(run), "--log", tool]) == 130
    cut = read(tool, run)
    assert max(cut.values["val_loss"]) == 5
    assert cut.ended == {"wandb": "1", "mlflow": "KILLED"}.get(tool)
    assert main(["resume", str(run)]) == 0
    kept = read(tool, run)
    check_values(kept, tool, run, twice=() if tool == "tensorboard" else (4, 5))
    assert kept.ended == ENDED.get(tool)
    assert len(list((run / "logs").glob("*.json"))) == (tool != "tensorboard")
    assert main(["resume", str(run), "--max-steps", "8", "--log"]) == 0, "and from now on to nowhere"
    assert max(read(tool, run).values["val_loss"]) == 7


class Broken:
    """A log that takes two rows."""

    def __init__(self, beginning: object) -> None:
        self.rows = 0

    def row(self, step: int, values: dict[str, float]) -> None:
        self.rows += 1
        if self.rows > 2:
            raise ConnectionError("the server\nis away")

    def picture(self, name: str, png: Path, step: int) -> None:
        raise AssertionError("it has failed before")

    close = picture


def test_one_that_fails_on_the_way_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    broken = type(sys)("broken")
    broken.begin = Broken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hgenv.runs.logs.wandb", broken)
    monkeypatch.setattr(logs_of, "find_spec", lambda name: sys.__spec__)
    run = tmp_path / "run"
    words = ["run", "fixed", *TOY, "--max-steps", "4", "--out", str(run), "--log", "wandb", "tensorboard"]
    assert main(words) == 0
    error = capsys.readouterr().err
    assert error == "hgenv: log='wandb' has failed, and the run goes on without it: the server is away\n"
    assert json.loads((run / "summary.json").read_text())["ended"] == "budget"
    kept = read("tensorboard", run)
    check_values(kept, "tensorboard", run)
    assert len(kept.pictures) == 4


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = tmp_path / "run"
    words = ["run", "fixed", *SMALL, "--inner-learning-rate", "1e30", "--max-steps", "3", "--out", str(run)]
    assert main([*words, "--log", "tensorboard"]) == 3
    rows = read_rows(run)
    assert not all(math.isfinite(row["val_loss"]) for row in rows)
    check_values(read("tensorboard", run), "tensorboard", run)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wandb", "wandb"], "log names wandb twice"),
        (["trackio"], "log='trackio' needs trackio: pip install 'hgenv[trackio]'"),
    ],
)
def test_a_log_that_is_not_there_is_named_before_anything_is_written(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of its name in the current one is no package."""
    (tmp_path / "trackio").mkdir()
    monkeypatch.chdir(tmp_path)
    found = logs_of.find_spec
    path = [str(tmp_path), *(entry for entry in sys.path if not (Path(entry) / "trackio" / "__init__.py").is_file())]
    monkeypatch.setattr(sys, "path", path)
    monkeypatch.setattr(logs_of, "find_spec", lambda name: found("sys") if name == "wandb" else found(name))
    sys.modules.pop("trackio", None)
    out = tmp_path / "run"
    assert main(["run", "fixed", *SMALL, "--max-steps", "1", "--out", str(out), "--log", *words]) == 2
    assert capsys.readouterr().err == f"hgenv: error: {message}\n"
    assert not out.exists()
    bench = ["bench", "hgenv/ToyShading-v0", "--out", str(out), "--max-steps", "1", "--", "--log", *words]
    assert main(bench) == 2, "of a bench too"
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_log_that_cannot_begin_is_an_error_before_anything_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the others that have begun are closed; nothing is left."""
    pytest.importorskip("mlflow"), pytest.importorskip("tensorboard")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    run = tmp_path / "run"
    words = ["run", "fixed", *SMALL, "--max-steps", "1", "--out", str(run), "--log", "tensorboard", "mlflow"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("hgenv: error: log='mlflow' cannot begin: ")
    assert "nonsense" in error
    assert len(error.splitlines()) == 1
    assert not run.exists()


def test_runs_that_begin_together_make_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own tables would be spoilt for good if two made them, or one did and was killed."""
    pytest.importorskip("mlflow")
    module, made = importlib.import_module("hgenv.runs.logs.mlflow"), []

    class Client:
        def __init__(self, address: str) -> None:
            self.path = Path(address.removeprefix("sqlite:///"))
            made.append(self.path)

        def search_experiments(self) -> None:
            assert not self.path.exists(), "what another has begun"
            self.path.write_text("half")
            time.sleep(0.1)
            self.path.write_text("whole")

    monkeypatch.setattr(module, "MlflowClient", Client)
    (tmp_path / "mlflow.partial.db").write_text("of one that was killed")
    with ThreadPoolExecutor(4) as pool:
        addresses = set(pool.map(module._store, [tmp_path] * 4))
    assert addresses == {f"sqlite:///{tmp_path / 'mlflow.db'}?timeout=60"}
    assert len(made) == 1
    assert (tmp_path / "mlflow.db").read_text() == "whole"
    assert not (tmp_path / "mlflow.partial.db").exists()


@pytest.mark.parametrize("content", ["[", "[1]", '{"id": 3}', '{"id": ""}', '{"id": "../../x"}'])
def test_a_damaged_name_is_refused_and_the_run_is_as_it_was(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    run = tmp_path / "run"
    assert main(["run", "fixed", *SMALL, "--max-steps", "2", "--out", str(run)]) == 0
    (run / "logs").mkdir()
    (run / "logs" / "wandb.json").write_text(content)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    capsys.readouterr()
    assert main(["resume", str(run), "--max-steps", "3", "--log", "wandb"]) == 2
    assert str(run / "logs" / "wandb.json") in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_cell_of_a_bench_logs_its_run_and_its_retraining(tool: str, tmp_path: Path) -> None:
    """Both in one process."""
    options = CompareOptions(
        ("hgenv/ToyShading-v0",), out=str(tmp_path), optimizers=("random-step",), retrain_steps=(4,)
    )
    common = [*TOY[2:6], "--log", tool]
    (cell,) = [
        one for one in cells(options, Budget(max_steps=2), common) if one.label == "random-step" and not one.seed
    ]
    cell.folder.parent.mkdir()
    if tool == "mlflow":
        shutil.copy(tmp_path / "mlflow.db", cell.folder.parent)
    assert play([["run", *words, "--no-figures", "--out", str(run)] for run, words in cell.runs()]) == (0, "")
    assert len(cell.runs()) == 2
    for run, _ in cell.runs():
        check_values(read(tool, run), tool, run)


WATCHED = """
import socket, sys
calls = []

def watch(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and arguments[0].family != socket.AF_UNIX):
        calls.append((event, arguments[-1] if event == "socket.connect" else arguments[0]))

sys.addaudithook(watch)
from hgenv.bench.compare import CompareOptions, cells
from hgenv.cli.cell import play
from hgenv.cli.main import main
from hgenv.run import Budget
status = main(sys.argv[1:])
import time
time.sleep(1.0)
assert not calls, calls
sys.exit(status)
"""


def test_nothing_is_sent_unasked(tool: str, tmp_path: Path) -> None:
    """No name is looked up and nothing but this machine's own sockets are connected to by our process."""
    words = ["run", "fixed", *SMALL, "--max-steps", "1", "--out", str(tmp_path / "run"), "--log", tool]
    environment = interpreter.surroundings()
    command = [*interpreter.COMMAND, "-c", WATCHED, *words]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
