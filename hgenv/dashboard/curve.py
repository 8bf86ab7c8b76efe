"""The curve of a run that may still go on: of its metrics.csv every line is read once."""

from __future__ import annotations

import csv
import math
import os
from bisect import bisect_right
from contextlib import suppress
from pathlib import Path
from typing import Any

_SPLIT = "validation."
_MOST = 2**24  # bytes that are read at a time


class Curve:
    """A validation metric of a run's rows by training steps, probes included.

    metric: its name, nothing before there is a row; last: the last row; best: the lowest value so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin(0)

    def _begin(self, inode: int) -> None:
        self.metric, self.best = "", math.inf
        self.last = dict[str, float]()
        self._columns, self._inode, self._read = list[str](), inode, 0
        self._x, self._y, self._stamps = list[float](), list[float](), list[int]()

    def read(self, stamp: int, primary: str) -> None:
        """Read the lines that are new; their points bear the stamp, which never falls.

        primary: the metric, if the rows have it, else it is their first. A run that goes on from its checkpoint writes
        another file, which is read from its start.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._read:
                    self._begin(status.st_ino)
                file.seek(self._read)
                text = file.read(_MOST)
        except OSError:
            return
        text = text[: text.rfind(b"\n") + 1]  # the last line may be half written
        self._read += len(text)
        with suppress(csv.Error):  # what is no table of numbers has no curve
            for cells in csv.reader(text.decode("utf-8", "replace").splitlines()):
                if self._columns:
                    self._add(cells, stamp)
                else:
                    self._columns = cells
                    known = [name for name in cells if name.startswith(_SPLIT)]
                    self.metric = _SPLIT + primary if _SPLIT + primary in known else next(iter(known), "")

    def _add(self, cells: list[str], stamp: int) -> None:
        self.last = dict(_numbers(self._columns, cells))
        value, steps = self.last.get(self.metric, math.nan), self.last.get("train_steps", math.nan)
        if math.isfinite(value) and math.isfinite(steps):
            self.best = min(self.best, value)
            self._x.append(steps)
            self._y.append(value)
            self._stamps.append(stamp)

    def since(self, stamp: int) -> dict[str, Any]:
        """The points that bear a later stamp; "from" counts those before, which whoever has more of them must drop."""
        first = bisect_right(self._stamps, stamp)
        return {"from": first, "x": self._x[first:], "y": self._y[first:]}


def _numbers(columns: list[str], cells: list[str]) -> list[tuple[str, float]]:
    found = []
    for name, cell in zip(columns, cells, strict=False):
        with suppress(ValueError):
            found.append((name, float(cell)))
    return found
