"""The folder that keeps a run: configuration, rows, checkpoint, the best snapshot, the summary."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv import interpreter, registry
from hgenv.beta.layout import Layout
from hgenv.checkpoint import Checkpoint, part
from hgenv.env import DataGenEnv
from hgenv.fields import absolute, shown
from hgenv.files import append, read_json, write_arrays, write_json, write_text
from hgenv.options import EnvOptions, build, flat
from hgenv.run import Row, betas_of, spread_of
from hgenv.runs.writer import LOCK, WRITER, check_free, sole_writer
from hgenv.snapshot import load_snapshot, snapshot_of
from hgenv.task import Task

CONFIG, METRICS, CHECKPOINT, BEST, SUMMARY, LOGS = (
    "config.json", "metrics.csv", "checkpoint.npz", "best.npz", "summary.json", "logs"
)  # fmt: skip


def described(id: str, task: Task, options: EnvOptions) -> dict[str, Any]:
    """The environment as plain values that JSON holds; what lies on disk by its absolute path."""
    return {"env": id, "imports": registry.loaded(), "task": flat(absolute(task)), "training": flat(absolute(options))}


@dataclass(frozen=True)
class OpenRun:
    """A run as its folder has it: its environment, which starts where the run did, its rows so far, its best snapshot
    ({} if there is none yet), and its configuration."""

    env: DataGenEnv
    rows: list[dict[str, float]]
    snapshot: dict[str, NDArray]
    config: dict[str, Any]

    def restore(self) -> DataGenEnv:
        """The environment in the state of the best snapshot. ValueError if there is none."""
        if not self.snapshot:
            raise ValueError("the run has no snapshot: no validation metric was finite")
        restore(self.env, self.snapshot)
        return self.env


def open_run(path: Path | str) -> OpenRun:
    """Open the folder of a run, from any working directory.

    Raises FileNotFoundError for what is not the folder of a run, ValueError for one that is broken or has no row yet.
    """
    folder = Path(path)
    rows = read_rows(folder)
    if not rows:
        raise ValueError(f"{folder} has no row yet")
    config = read_config(folder)
    try:
        env = made(config)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG}: {error.args[0]}") from error
    layout = env.task.layout
    env.start_from(_betas(layout, rows, folder)[0], spread=spread_of(layout, rows[0]))  # frozen coordinates stay there
    return OpenRun(env, rows, snapshot_in(folder), config)


def snapshot_in(folder: Path) -> dict[str, NDArray]:
    """The best snapshot of a run, nothing if there is none yet. ValueError for one that is broken."""
    return load_snapshot(folder) if (folder / BEST).is_file() else {}


def _betas(layout: Layout, rows: list[Row], folder: Path) -> NDArray[np.float64]:
    """Physical beta (rows, d). Raises ValueError that names the file if some is lacking, or out of its range."""
    try:
        betas = betas_of(layout, rows)
    except KeyError as error:
        raise ValueError(f"{folder / METRICS} has a row without {error.args[0]}") from error
    if not np.all((betas >= layout.low) & (betas <= layout.high)):
        raise ValueError(f"{folder / METRICS} has values of beta outside their range, or not finite")
    return betas


def task_of(config: dict[str, Any]) -> Task:
    """The task that `described` describes."""
    for module in config["imports"]:
        registry.load(module)
    return build(registry.find(config["env"]), config["task"])


def made(config: dict[str, Any]) -> DataGenEnv:
    """The environment that `described` describes."""
    return DataGenEnv(task_of(config), build(EnvOptions, config["training"]))


class RunFolder:
    """What a run leaves: config.json, metrics.csv line by line, checkpoint.npz now and then, best.npz of the lowest
    validation metric, and summary.json when it has come to its end.

    Its process alone writes to it until close(). checkpoint is what `hgenv.run.run` takes; config is the configuration.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path, self.config, self.last, self.best = path, config, Row(), Row()
        self._columns, self._snapshot = list[str](), dict[str, Any]()
        self._before_a_row: Callable[[], None] | None = None
        self._closing = ExitStack()

    @classmethod
    def new(cls, path: Path, config: dict[str, Any], seconds: float = 60.0, steps: int | None = None) -> RunFolder:
        """A new or empty folder. seconds, steps: of its Checkpoint.

        Raises FileExistsError for one that is not, BusyError for one that another process writes to.
        """
        made = not path.exists()
        check_free(path)
        _check_empty(path)
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, config)
        try:
            run._open(seconds, steps)
            _check_empty(path)  # another may have been faster
            run._closing.callback(run._forget, made)
            write_json(path / CONFIG, config | {"versions": interpreter.versions()})
        except BaseException:
            run.close()
            with suppress(OSError):  # what is not empty is another's by now
                if made:
                    path.rmdir()
            raise
        return run

    @classmethod
    def again(cls, path: Path, config: dict[str, Any], seconds: float = 60.0, steps: int | None = None) -> RunFolder:
        """The folder of a run that goes on from its checkpoint, with a changed configuration.

        With its first row, what was written after the checkpoint is dropped, as it comes again; a run that had no step
        yet begins anew. Raises ValueError if there is no checkpoint or it is none of these rows, BusyError if another
        process writes to the folder.
        """
        run = cls(path, config)
        run._open(seconds, steps)
        try:
            lines = run._go_back()
            run._before_a_row = lambda: run._cut(lines)
        except BaseException:
            run.close()
            raise
        return run

    def _open(self, seconds: float, steps: int | None) -> None:
        self._closing.enter_context(sole_writer(self.path))
        self.checkpoint = Checkpoint(self.path / CHECKPOINT, seconds, steps, lambda: self._snapshot)

    def _go_back(self) -> list[str]:
        """Be as at the checkpoint; the lines of the metrics until there."""
        before, rows = self.checkpoint.read(), read_rows(self.path) if (self.path / METRICS).exists() else []
        if not before and len(rows) > 1:
            raise ValueError(f"{self.path} has no {CHECKPOINT}: there is nothing to go on from")
        if not before:  # it was cut short before its first step
            return []
        step = int(before["step"])
        if step >= len(rows) or rows[step]["step"] != step:
            raise ValueError(f"{self.path / METRICS} has no row of step {step}, which {CHECKPOINT} goes on from")
        with (self.path / METRICS).open(newline="", encoding="utf-8") as file:
            lines = file.readlines()
        self._columns, self.last = next(csv.reader(lines)), rows[step]
        self._snapshot = dict(part(before, "beside"))
        if self._snapshot:
            self.best = rows[int(self._snapshot["step"])]
        return lines[: step + 2]

    def _cut(self, lines: list[str]) -> None:
        """Drop what came after the checkpoint; whenever this is cut short, the run can go on."""
        (self.path / SUMMARY).unlink(missing_ok=True)
        write_json(self.path / CONFIG, self.config)
        write_text(self.path / METRICS, "".join(lines))
        if self._snapshot:
            write_arrays(self.path / BEST, self._snapshot)
        self._before_a_row = None

    def write(self, env: DataGenEnv, row: Row) -> None:
        """Append a row, of which the first has every column; snapshot the state at every best validation metric."""
        if self._before_a_row is not None:
            self._before_a_row()
        if not self._columns:
            self._columns = list(row)
            append(self.path / METRICS, _line(self._columns))
        if unknown := row.keys() - set(self._columns):
            raise ValueError(f"{self.path / METRICS} has no column {min(unknown)}: it is another version's")
        append(self.path / METRICS, _line([row.get(name, "") for name in self._columns]))
        self.last, key = row, f"validation.{env.task.quantity.primary}"
        if row.get(key, np.inf) < self.best.get(key, np.inf):
            self._snapshot = snapshot_of(env.state_dict(), row)
            write_arrays(self.path / BEST, self._snapshot)
            self.best = row

    def finish(self, ended: str) -> None:
        """Say that the run has come to its end, and how, with its last and its best row."""
        write_json(self.path / SUMMARY, {"ended": ended, "last": self.last, "best": self.best})

    def close(self) -> None:
        """Let others write to it. A new folder that got no row is as it was before, if it was there at all."""
        self._closing.close()

    def _forget(self, made: bool) -> None:
        if not self.last:
            for name in (CONFIG, METRICS, CHECKPOINT, BEST, LOCK, WRITER):
                (self.path / name).unlink(missing_ok=True)
            shutil.rmtree(self.path / LOGS, ignore_errors=True)
            if made:
                self.path.rmdir()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_empty(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is no folder: name another with --out")
    if path.exists() and {file.name for file in path.iterdir()} - {LOCK, WRITER}:
        goes_on = f"go on with the run in it by hgenv resume {path}, or " if (path / CONFIG).is_file() else ""
        raise FileExistsError(f"{path} exists and is not empty: {goes_on}name another folder with --out")


def _line(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()


def restore(env: DataGenEnv, snapshot: dict[str, NDArray]) -> None:
    """Load a snapshot's state into an environment made alike."""
    env.reset(seed=0)
    env.load_state_dict({k.removeprefix("state."): v for k, v in snapshot.items() if k.startswith("state.")})


def start_at(env: DataGenEnv, snapshot: dict[str, NDArray]) -> None:
    """Let an environment start at a snapshot's answer, and with what its generator remembered."""
    env.start_from(snapshot["beta"], snapshot.get("state.memory"), snapshot.get("spread"))


_KINDS = {"env": str, "imports": list, "task": dict, "training": dict}
"""What describes an environment."""
_OF_RUNS = _KINDS | {"optimizer_name": str, "optimizer": dict, "run": dict, "budget": dict, "versions": dict}
"""And what else a run that can go on needs."""


def read_config(folder: Path, of_run: bool = False) -> dict[str, Any]:
    """The configuration of an environment, or of a run that can go on.

    Raises FileNotFoundError for what is no run's folder, ValueError for a broken one.
    """
    kinds = _OF_RUNS if of_run else _KINDS
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected the folder of a run")
    try:
        config: dict[str, Any] = read_json(path)
        if missing := kinds.keys() - config.keys():
            raise ValueError(f"it lacks {min(missing)}")
        for name, kind in kinds.items():
            items = config[name] if kind is list else []
            if not isinstance(config[name], kind) or not all(isinstance(item, str) for item in items):
                raise ValueError(f"{name} is {shown(config[name])}")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} is not the configuration of a run: {error}") from error
    return config


def ending(folder: Path) -> str:
    """How a run has ended, "budget" if by its budget; nothing if it has not, or cannot be read."""
    try:
        return str(read_json(folder / SUMMARY)["ended"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def read_rows(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv, empty cells left out; a last line without its end is dropped.

    Raises FileNotFoundError, or ValueError that names the file for what is no table of a run.
    """
    path = folder / METRICS
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected the folder of a run")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(line for line in file.readlines() if line.endswith("\n"))
        rows = [{k: float(v) for k, v in row.items() if v != ""} for row in table]
        if any("step" not in row for row in rows):
            raise ValueError("it has a row without step")
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(f"{path} is not the metrics of a run: {error}") from error
    return rows


def best_row(rows: list[dict[str, float]], primary: str) -> dict[str, float]:
    """The reported row with the lowest validation metric: the one whose snapshot is kept. ValueError if none."""
    reported = [row for row in rows if np.isfinite(row.get(f"validation.{primary}", np.nan))]
    return min(reported, key=lambda row: row[f"validation.{primary}"])


def best_of(rows: list[Row], primary: str) -> Row:
    """best_row(), or an empty row if no validation metric was finite."""
    return best_row(rows, primary) if any(np.isfinite(row.get(f"validation.{primary}", np.nan)) for row in rows) else {}
