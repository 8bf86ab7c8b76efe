"""A run's folder as it is now: whether it is done, how far it is, and its curve."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from hgenv.dashboard.curve import Curve
from hgenv.dashboard.places import check_no_links
from hgenv.episode import Ledger
from hgenv.registry import TASKS
from hgenv.run import COST, Budget, seconds_of
from hgenv.runs.folder import CONFIG, METRICS, SUMMARY, ending, read_config
from hgenv.runs.writer import LOCK, WRITER, is_written

State = Literal["running", "done", "failed", "cut short"]
"""A process writes to it; its budget is spent; it came to another end, or cannot be read; it can go on."""
_FILES = (CONFIG, METRICS, SUMMARY, WRITER)


class Watched:
    """One run. env is its environment's id, nothing if the configuration cannot be read; reason says why it failed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.curve = folder, Curve(folder / METRICS)
        self.state: State = "cut short"
        self.env, self.reason = "", ""
        self.progress: float | None = None
        self._seen: list[int] = []

    def look(self, stamp: int) -> None:
        """See what has changed."""
        seen = [_changed(self.folder / name) for name in _FILES]
        if seen == self._seen and self.state != "running":  # what is running may have been killed
            return
        written, ended = False, ""
        try:
            check_no_links(self.folder, (*_FILES, LOCK))
            written, ended = is_written(self.folder), ending(self.folder)
            self.reason = ended if ended != "budget" else ""
            config = read_config(self.folder)
            self.env = config["env"]
            self.curve.read(stamp, primary(self.env))
            self.progress = self._spent(config.get("budget"))
        except (OSError, ValueError) as error:
            self.env, self.progress, self.reason = "", None, str(error)
        self.state = "running" if written else "failed" if self.reason else "done" if ended else "cut short"
        self._seen = seen

    def _spent(self, budget: Any) -> float | None:
        """The share of a budget that is used up; None if it is not known."""
        row = self.curve.last
        try:
            cost = Ledger(**{name: int(row.get(name, 0)) for name in COST})
            spent = Budget(**budget).spent(int(row.get("step", 0)), cost, seconds_of(row))
        except (TypeError, ValueError, OverflowError):
            return None
        return min(1.0, spent) if math.isfinite(spent) else None


def primary(env: str) -> str:
    """The metric that picks the snapshots of an environment; nothing if its task is not registered here."""
    name = env.rpartition(":")[2]
    return str(getattr(TASKS[name].quantity, "primary", "")) if name in TASKS else ""


def _changed(path: Path) -> int:
    """When a file was changed, in ns; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
