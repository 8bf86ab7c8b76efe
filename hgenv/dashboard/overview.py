"""All runs in the named folders as plain values that JSON holds: how far they are, and their curves."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

from hgenv.dashboard.cells import FAILED, Cell, Group, grouped
from hgenv.dashboard.places import Places
from hgenv.dashboard.planned import Planned
from hgenv.dashboard.watched import Watched
from hgenv.runs.folder import BEST, CONFIG, METRICS
from hgenv.runs.writer import LOCK, is_written

REPORT = "report.html"


class Overview:
    """What there is in the named folders. A stamp counts the looks: points of curves bear that of the look that has
    found them, so that whoever has looked before gets only those that are new."""

    def __init__(self, places: Places) -> None:
        self._places, self._lock, self._stamp = places, threading.Lock(), 0
        self._runs, self._planned = dict[Path, Watched](), Planned()
        self._files = dict[Path, frozenset[str]]()

    def look(self, since: int = 0) -> dict[str, Any]:
        """Groups of cells as they are now, those first where something runs; of their curves the points that were found
        after the look `since`."""
        with self._lock:
            self._stamp += 1
            self._files = dict(self._places.walk())
            folders = [path for path, files in self._files.items() if CONFIG in files and files & {METRICS, LOCK}]
            self._runs = {path: self._runs.get(path) or Watched(path) for path in folders}
            for run in self._runs.values():
                run.look(self._stamp)
            failures = [path / name for path, files in self._files.items() for name in files if name.endswith(FAILED)]
            groups = grouped(self._runs, failures)
            shown = [self._group(group, cells, since) for group, cells in sorted(groups.items())]
            shown.sort(key=lambda group: not group["running"])
            return {"stamp": self._stamp, "whole": self._places.whole, "groups": shown}

    def _group(self, group: Group, cells: dict[str, Cell], since: int) -> dict[str, Any]:
        folder = group.folder
        inside = folder in self._files  # a named folder may be that of a bench's environment
        metrics = [run.curve.metric for cell in cells.values() for run in cell.runs if run.curve.metric]
        return {
            "folder": self._places.shown(folder) if inside else folder.name,
            "env": group.env + (", random starts" if group.random_starts else ""),
            "bench": any(cell.seed is not None for cell in cells.values()),
            "not_begun": max(0, self._planned.count(folder, group.env, group.random_starts) - len(cells))
            if inside
            else 0,
            "running": (inside and is_written(folder)) or any(cell.state == "running" for cell in cells.values()),
            "page": self._page(folder),
            "metric": metrics[0] if metrics else "",
            "cells": [self._cell(cell, since) for _, cell in sorted(cells.items())],
        }

    def _cell(self, cell: Cell, since: int) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "label": cell.label, "seed": cell.seed, "state": cell.state, "reason": cell.reason,
            "output": cell.failure[1] if cell.failure else "", "retraining": cell.retraining,
        }  # fmt: skip
        now = cell.retrained if cell.retraining else cell.run
        shown["progress"] = None if now is None else now.progress
        if (run := cell.run) is None:
            return shown | {"key": None}
        shown |= {"key": self._places.key(run.folder), "name": self._places.shown(run.folder), "env": run.env}
        shown |= {"page": self._page(run.folder), "snapshot": BEST in self._files[run.folder]}
        shown |= {"step": run.curve.last.get("step"), "best": run.curve.best if math.isfinite(run.curve.best) else None}
        return shown | {"curve": run.curve.since(since)}

    def _page(self, folder: Path) -> str | None:
        """The key of the page of a run or a bench, if it has one."""
        return self._places.key(folder / REPORT) if REPORT in self._files.get(folder, ()) else None
