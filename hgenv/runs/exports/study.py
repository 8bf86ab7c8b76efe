"""Optuna studies, one an environment, in which every finished run is a trial: what it has found, and how good that is.

`optuna-dashboard sqlite:///study.db` shows which coordinates of beta matter, parallel coordinates, learning curves.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from hgenv import registry
from hgenv.files import whole
from hgenv.options import build
from hgenv.run import COST, Row
from hgenv.runs.exports.found import FoundRun
from hgenv.runs.exports.table import SECONDS
from hgenv.runs.folder import CONFIG, METRICS, best_row, ending
from hgenv.task import Task

Value = Literal["test", "retrained"]


def write_studies(path: Path, runs: Sequence[FoundRun], value: Value) -> dict[str, int]:
    """Write the studies into an SQLite file; returns the number of trials by environment.

    The parameters of a trial are the coordinates of the beta that was found, with their ranges. value: its primary
    metric on the test split, of the snapshot with the best validation, or after the longest training from scratch on
    that beta. Runs that have not come to the end of their budget, have no such value, or trained on samples of any
    beta, whatever theirs was, are left out.
    Raises ValueError if that leaves nothing, if runs of an environment are of different tasks, for a run that is
    broken, or without Optuna; OSError as whole().
    """
    try:
        import optuna
    except ImportError as error:
        raise ValueError("a study needs Optuna: pip install 'hgenv[optuna]'") from error
    studies = {}
    for env in dict.fromkeys(run.env for run in runs):
        mine = [run for run in runs if run.env == env]
        task = _task(mine)
        trials = [_trial(optuna, run, mine, task, value) for run in mine if run.retrains is None]
        studies[env] = f"{value} {task.quantity.primary}", [trial for trial in trials if trial is not None]
    if not any(trials for _, trials in studies.values()):
        raise ValueError(f"no run has come to the end of its budget, and has a beta with a {value} metric")
    with whole(path) as partial:
        _write(optuna, partial, studies)
    return {env: len(trials) for env, (_, trials) in studies.items()}


def _write(optuna: Any, path: Path, studies: dict[str, tuple[str, list[Any]]]) -> None:
    """A new file. OSError if it cannot be written."""
    from sqlalchemy.exc import SQLAlchemyError

    path.unlink(missing_ok=True)  # what was cut short
    path.touch()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with closing(sqlite3.connect(path)) as database:
        try:
            # Not by a URL, in which letters of the path may mean something.
            storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": lambda: database})
            for env, (metric, trials) in studies.items():
                study = optuna.create_study(storage=storage, study_name=env)
                study.set_user_attr("metric", metric)
                study.add_trials(trials)
            storage.remove_session()
        except (sqlite3.Error, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
            raise OSError(" ".join(str(error).split())) from error


def _task(runs: list[FoundRun]) -> Task:
    """The task that all of them have."""
    first = runs[0]
    for run in runs[1:]:
        if run.config["task"] != first.config["task"]:
            raise ValueError(f"{first.folder} and {run.folder} have different options of the task: export them apart")
    try:
        for module in first.config["imports"]:
            registry.load(module)
        return build(registry.find(first.env), first.config["task"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{first.folder / CONFIG}: {error.args[0]}") from error


def _trial(optuna: Any, run: FoundRun, runs: list[FoundRun], task: Task, value: Value) -> Any:
    """The trial of a run; None if it is left out."""
    if ending(run.folder) != "budget" or run.config["training"].get("spread") in ("uniform", "several"):
        return None
    metric, distribution = task.quantity.primary, optuna.distributions.FloatDistribution
    try:
        rows = run.rows()
        found = best_row(rows, metric)
        again = _retrained(run, runs, metric)
        result = found[f"test.{metric}"] if value == "test" else again.get(max(again, default=0), math.nan)
        if not math.isfinite(result):
            return None
        more = {f"retrained.{steps}": score for steps, score in again.items() if math.isfinite(score)}
        curve = {int(row["train_steps"]): row.get(f"test.{metric}", math.nan) for row in rows}
        return optuna.trial.create_trial(
            value=result, user_attrs=_told(run, rows, found) | more,
            params={p.name: found[f"beta.{p.name}"] for p in task.layout.parameters},
            distributions={p.name: distribution(p.low, p.high) for p in task.layout.parameters},
            intermediate_values={step: score for step, score in curve.items() if math.isfinite(score)},
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        reason = f"it has no column {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{run.folder / METRICS} is not of {run.env}: {reason}") from error


def _told(run: FoundRun, rows: list[Row], found: Row) -> dict[str, Any]:
    """What else is known of a trial: who has made it, at what cost, and all its metrics."""
    about = {name: getattr(run, name) for name in ("env", "optimizer", "label", "seed")}
    about |= {"run": run.name, "start": run.start or "default"}
    cost = {name: rows[-1][name] for name in (*COST, *SECONDS) if name in rows[-1]}
    scores = {name: score for name, score in found.items() if name.startswith(("validation.", "test."))}
    return about | {"best_step": found["step"]} | cost | {n: s for n, s in scores.items() if math.isfinite(s)}


def _retrained(run: FoundRun, runs: list[FoundRun], metric: str) -> dict[int, float]:
    """The test metric after each training from scratch that is finished, by its training steps."""
    found = {}
    for again in runs:
        if again.retrains is run and ending(again.folder) == "budget":
            rows = again.rows()
            found[int(rows[-1]["train_steps"])] = best_row(rows, metric)[f"test.{metric}"]
    return found
