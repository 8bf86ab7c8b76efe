"""What a comparison is worth: interquartile means, bootstrap intervals, curves, ranks (Agarwal et al. 2021)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from hgenv.bench.compare import Cell, finished
from hgenv.registry import find
from hgenv.run import COST_AXES
from hgenv.runs.folder import best_row, read_rows

Array = NDArray[np.float64]
RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class Result:
    """What one finished cell gave.

    best: the row with the lowest validation metric; last: the last row; curve: columns of COST_AXES, then the test
    metric of the best validated snapshot until then; retrained: horizon -> test metric of the best validated
    snapshot of the training from scratch until then.
    """

    env: str
    starts: str
    label: str
    seed: int
    folder: Path
    best: dict[str, float]
    last: dict[str, float]
    curve: dict[str, Array]
    retrained: dict[int, float]

    @property
    def metric(self) -> str:
        """Name of the test metric that is compared, the lower the better."""
        return find(self.env).quantity.primary

    @property
    def test(self) -> float:
        """Test metric of the snapshot with the best validation metric."""
        return self.best[f"test.{self.metric}"]

    @property
    def last_retrained(self) -> float:
        """That of the longest horizon; NaN without one."""
        return self.retrained[max(self.retrained)] if self.retrained else np.nan

    def cost_to(self, level: float) -> dict[str, float]:
        """What it cost until the test metric was first at the level or below, infinite if it never was."""
        reached = np.flatnonzero(self.curve["test"] <= level)
        return {axis: float(self.curve[axis][reached[0]]) if len(reached) else np.inf for axis in COST_AXES}


def read(cell: Cell) -> Result | None:
    """The result of a cell, if it is finished."""
    if not finished(cell.folder):
        return None
    metric, rows = find(cell.env).quantity.primary, read_rows(cell.folder)
    return Result(
        cell.env, cell.starts, cell.label, cell.seed, cell.folder, best_row(rows, metric), rows[-1],
        curve(rows, metric), profile(cell, metric),
    )  # fmt: skip


def profile(cell: Cell, metric: str) -> dict[int, float]:
    """Horizon -> test metric of the best validated snapshot of the training from scratch until then."""
    if not (cell.again and finished(cell.retrained)):
        return {}
    rows, found = read_rows(cell.retrained), {}
    for horizon in cell.horizons:
        until = [row for row in rows if row["train_steps"] <= horizon]
        found[horizon] = best_row(until, metric)[f"test.{metric}"]
    return found


def curve(rows: list[dict[str, float]], metric: str) -> dict[str, Array]:
    """Against every axis: the test metric of the best validated snapshot until then."""
    reported = [row for row in rows if f"validation.{metric}" in row]
    validation = np.array([row[f"validation.{metric}"] for row in reported])
    validation = np.where(np.isnan(validation), np.inf, validation)
    test = np.array([row[f"test.{metric}"] for row in reported])
    best = [int(np.argmin(validation[: i + 1])) for i in range(len(reported))]
    return {axis: np.array([row[axis] for row in reported]) for axis in COST_AXES} | {"test": test[best]}


def interquartile_mean(values: Array) -> float:
    """Mean without the lowest and the highest quarter, rounded down to whole values: of 3 values all, of 5 three."""
    return float(scipy.stats.trim_mean(values, 0.25))


def interval(strata: Sequence[Array], seed: int = 0) -> tuple[float, float, float]:
    """Interquartile mean over all values, and the ends of its 95 % percentile interval by stratified bootstrap.

    Every stratum (an environment) is resampled on its own. With few seeds such intervals are too short, if anything.
    """
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([s[rng.integers(len(s), size=(RESAMPLES, len(s)))] for s in strata], axis=1)
    means = scipy.stats.trim_mean(drawn, 0.25, axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return interquartile_mean(np.concatenate(strata)), float(low), float(high)


def ranks(results: Sequence[Result]) -> dict[str, float]:
    """Mean rank of each label, 1 the best, over the (environment, seed) pairs in which all labels have a result."""
    labels = list(dict.fromkeys(r.label for r in results))
    table: dict[tuple[str, int], dict[str, float]] = {}
    for r in results:
        table.setdefault((r.env, r.seed), {})[r.label] = r.test
    whole = [[row[label] for label in labels] for row in table.values() if len(row) == len(labels)]
    if not whole:
        return {}
    return dict(zip(labels, scipy.stats.rankdata(whole, axis=1).mean(0).tolist(), strict=True))


def median_and_band(results: Sequence[Result], axis: str, count: int = 200) -> tuple[Array, Array, Array, Array]:
    """x (count,), and median, lowest and highest over the seeds of their curves there, while all of them last."""
    end = min(r.curve[axis][-1] for r in results)
    begin = max(r.curve[axis][min(1, len(r.curve[axis]) - 1)] for r in results)
    x = np.linspace(min(begin, end), end, count)
    y = np.stack([r.curve["test"][np.searchsorted(r.curve[axis], x, side="right") - 1] for r in results])
    return x, np.median(y, axis=0), y.min(0), y.max(0)
