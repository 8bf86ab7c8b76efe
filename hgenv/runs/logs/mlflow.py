"""MLflow: mlflow.db beside the run's folder, for all runs in there, unless $MLFLOW_TRACKING_URI names another store.

`mlflow ui --backend-store-uri sqlite:///RUNS/mlflow.db` shows it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

# Else it sends statistics of its use, and tells of every table that it makes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from hgenv.files import whole
from hgenv.runs.logs.log import PROJECT, Beginning

_MOST = 100  # parameters that are taken at once


class Mlflow:
    """A run by the same id whenever the run goes on; rows that come again are there twice."""

    def __init__(self, beginning: Beginning) -> None:
        beside = beginning.run.absolute().parent
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or _store(beside))
        known = beginning.known_as("mlflow")
        if known is None:
            self._id = self._new(beginning, beside)
        else:
            self._id = known
            self._client.update_run(known, "RUNNING")

    def _new(self, beginning: Beginning, beside: Path) -> str:
        made = self._client.create_run(self._experiment(beside), run_name=beginning.title).info.run_id
        params = [Param(_named(name), str(value)) for name, value in beginning.settings.items()]
        for i in range(0, len(params), _MOST):
            self._client.log_batch(made, params=params[i : i + _MOST])
        return beginning.remember("mlflow", made)

    def _experiment(self, beside: Path) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        files = None if os.environ.get("MLFLOW_TRACKING_URI") else (beside / "mlartifacts").as_uri()
        try:
            return self._client.create_experiment(name, files)
        except MlflowException:  # it is there, or another run has just made it
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id

    def row(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        self._client.log_batch(self._id, [Metric(_named(name), value, now, step) for name, value in values.items()])

    def picture(self, name: str, png: Path, step: int) -> None:
        self._client.log_artifact(self._id, str(png), "figures")

    def close(self, best: Mapping[str, float], step: int, ended: str) -> None:
        self.row(step, best)
        self._client.set_terminated(self._id, {"budget": "FINISHED", "": "KILLED"}.get(ended, "FAILED"))


begin = Mlflow


def _store(folder: Path) -> str:
    """The address of the folder's store, which is made if there is none; runs may begin, and write, together."""
    path = folder / "mlflow.db"
    with FileLock(folder / ".mlflow.lock"):
        if not path.exists():
            with whole(path) as partial:  # MLflow makes its tables in many steps, none of which can be done again
                partial.unlink(missing_ok=True)
                MlflowClient(f"sqlite:///{partial}").search_experiments()
    return f"sqlite:///{path}?timeout=60"


def _named(name: str) -> str:
    """A name of letters that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name)
