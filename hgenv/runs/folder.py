"""The folder that keeps a run: configuration, rows, the best snapshot, the summary."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv import registry
from hgenv.env import DataGenEnv
from hgenv.fields import absolute
from hgenv.options import EnvOptions, build, flat
from hgenv.run import Row
from hgenv.snapshot import load_snapshot, save_snapshot
from hgenv.task import Task


def described(id: str, task: Task, options: EnvOptions) -> dict[str, Any]:
    """The environment as plain values that JSON holds; what lies on disk by its absolute path."""
    return {"env": id, "imports": registry.loaded(), "task": flat(absolute(task)), "training": flat(options)}


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
    config = json.loads((folder / "config.json").read_text())
    env = made(config)
    env.start_from([rows[0][f"beta.{name}"] for name in env.task.layout.names])  # frozen coordinates stay there
    return OpenRun(env, rows, load_snapshot(folder) if (folder / "best.npz").is_file() else {}, config)


def made(config: dict[str, Any]) -> DataGenEnv:
    """The environment that `described` describes."""
    for module in config["imports"]:
        registry.load(module)
    task = build(registry.find(config["env"]), config["task"])
    return DataGenEnv(task, build(EnvOptions, config["training"]))


class RunFolder:
    """What a run leaves: config.json, metrics.csv line by line, best.npz of the lowest validation metric, and
    summary.json when it is finished."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(f"{path} exists and is not empty: name another folder with --out")
        path.mkdir(parents=True, exist_ok=True)
        self.path, self.last, self.best = path, Row(), Row()
        (path / "config.json").write_text(json.dumps(config | {"versions": versions()}, indent=2) + "\n")

    def write(self, env: DataGenEnv, row: Row) -> None:
        """Append a row, of which the first has every column; snapshot the state at every best validation metric."""
        with (self.path / "metrics.csv").open("a", newline="") as file:
            if not self.last:
                self._columns = list(row)
                csv.writer(file).writerow(self._columns)
            csv.DictWriter(file, self._columns).writerow(row)
        self.last, key = row, f"validation.{env.task.quantity.primary}"
        if row.get(key, np.inf) < self.best.get(key, np.inf):
            self.best = row
            save_snapshot(self.path / "best.npz", env.state_dict(), row)

    def finish(self) -> None:
        """Say that the run has come to its end, with its last and its best row."""
        partial = self.path / "summary.partial.json"
        partial.write_text(json.dumps({"last": self.last, "best": self.best}, indent=2) + "\n")
        os.replace(partial, self.path / "summary.json")


def restore(env: DataGenEnv, snapshot: dict[str, NDArray]) -> None:
    """Load a snapshot's state into an environment made alike."""
    env.reset(seed=0)
    env.load_state_dict({k.removeprefix("state."): v for k, v in snapshot.items() if k.startswith("state.")})


def start_at(env: DataGenEnv, snapshot: dict[str, NDArray]) -> None:
    """Let an environment start at a snapshot's beta, and with what its generator remembered."""
    env.start_from(snapshot["beta"], snapshot.get("state.memory"))


def read_rows(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv, empty cells left out; a last line without its end is dropped."""
    path = folder / "metrics.csv"
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected the folder of a run")
    with path.open(newline="") as file:
        lines = file.readlines()
    rows = csv.DictReader(line for line in lines if line.endswith("\n"))
    return [{k: float(v) for k, v in row.items() if v != ""} for row in rows]


def best_row(rows: list[dict[str, float]], primary: str) -> dict[str, float]:
    """The reported row with the lowest validation metric: the one whose snapshot is kept. ValueError if none."""
    reported = [row for row in rows if np.isfinite(row.get(f"validation.{primary}", np.nan))]
    return min(reported, key=lambda row: row[f"validation.{primary}"])


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that results depend on."""
    packages = [
        "hgenv", "torch", "numpy", "scipy", "numba", "gymnasium", "nevergrad", "stable_baselines3", "manifold3d",
        "trimesh",
    ]  # fmt: skip
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
