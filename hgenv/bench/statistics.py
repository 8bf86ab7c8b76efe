"""What the cells of a comparison gave: results, their order, and curves over seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hgenv.bench.compare import GOOD, RANDOM_FIXED, Cell, finished
from hgenv.bench.intervals import Array, Interval, interquartile_mean, interval
from hgenv.bench.ranks import critical_difference, friedman, mean_ranks
from hgenv.beta.layout import divergence
from hgenv.options import build
from hgenv.registry import find
from hgenv.run import COST_AXES, Row
from hgenv.runs.folder import best_row, read_config, read_rows


@dataclasses.dataclass(frozen=True)
class Result:
    """What one finished cell gave.

    best: the row with the lowest validation metric; last: the last row; curve: columns of COST_AXES, then the test
    metric of the best validated snapshot until then; again: horizon -> the best row until then of the
    training from scratch, {} without one; narrowness: KL(found || start) in nats, NaN where
    beta has no density or every sample one of its own.
    """

    env: str
    starts: str
    label: str
    seed: int
    folder: Path
    best: Row
    last: Row
    curve: dict[str, Array]
    again: dict[int, Row]
    narrowness: float = np.nan

    @property
    def metric(self) -> str:
        """Name of the test metric that is compared, the lower the better."""
        return find(self.env).quantity.primary

    @property
    def test(self) -> float:
        """Test metric of the snapshot with the best validation metric."""
        return self.best[f"test.{self.metric}"]

    def retrained(self, horizon: int) -> float:
        """Test metric after so long a training from scratch on what was found; NaN without one."""
        return self.again.get(horizon, {}).get(f"test.{self.metric}", np.nan)

    def cost_to(self, level: float) -> dict[str, float]:
        """What it cost until the test metric was first at the level or below, infinite if it never was."""
        reached = np.flatnonzero(self.curve["test"] <= level)
        return {axis: float(self.curve[axis][reached[0]]) if len(reached) else np.inf for axis in COST_AXES}


def read(cell: Cell) -> Result | None:
    """The result of a cell, if it is finished."""
    if not finished(cell.folder):
        return None
    metric, rows = find(cell.env).quantity.primary, read_rows(cell.folder)
    best = best_row(rows, metric)
    narrowness = np.nan if cell.words[0] == "random-beta" else _narrowness(cell, rows[0], best)
    return Result(
        cell.env, cell.starts, cell.label, cell.seed, cell.folder, best, rows[-1], curve(rows, metric),
        profile(cell, metric), narrowness,
    )  # fmt: skip


def profile(cell: Cell, metric: str) -> dict[int, Row]:
    """Horizon -> row of the best validated snapshot, until then, of the training from scratch on what was found."""
    if not (cell.again and finished(cell.retrained)):
        return {}
    rows = read_rows(cell.retrained)
    return {end: best_row([row for row in rows if row["train_steps"] <= end], metric) for end in cell.horizons}


def _narrowness(cell: Cell, first: Row, best: Row) -> float:
    layout = build(find(cell.env), read_config(cell.folder)["task"]).layout
    if not layout.has_density:
        return np.nan
    found, start = (layout.named({name: row[f"beta.{name}"] for name in layout.names}) for row in (best, first))
    return sum(divergence(layout, found, start).values())


def curve(rows: list[Row], metric: str) -> dict[str, Array]:
    """Against every axis: the test metric of the best validated snapshot until then."""
    reported = [row for row in rows if f"validation.{metric}" in row]
    validation = np.array([row[f"validation.{metric}"] for row in reported])
    validation = np.where(np.isnan(validation), np.inf, validation)
    test = np.array([row[f"test.{metric}"] for row in reported])
    best = [int(np.argmin(validation[: i + 1])) for i in range(len(reported))]
    return {axis: np.array([row[axis] for row in reported]) for axis in COST_AXES} | {"test": test[best]}


def best_first(results: Sequence[Result]) -> list[str]:
    """The labels by the interquartile mean of their test metrics."""
    tests = {label: np.array([r.test for r in results if r.label == label]) for label in labels_of(results)}
    return sorted(tests, key=lambda label: interquartile_mean(tests[label]))


def horizons_of(results: Sequence[Result]) -> list[int]:
    """Every horizon of a training from scratch, in order."""
    return sorted({horizon for r in results for horizon in r.again})


def at_horizons(results: Sequence[Result]) -> dict[str, dict[int, Interval]]:
    """Horizon profiles: test metric of each label, best first, after a training from scratch so long; labels without
    any are left out."""
    found: dict[str, dict[int, Interval]] = {}
    for label in best_first(results):
        for end in horizons_of(results):
            values = np.array([r.retrained(end) for r in results if r.label == label])
            if len(known := values[np.isfinite(values)]):
                found.setdefault(label, {})[end] = interval([known])
    return found


def labels_of(results: Sequence[Result]) -> list[str]:
    """Every label once."""
    return list(dict.fromkeys(r.label for r in results))


def ranks(results: Sequence[Result]) -> dict[str, float]:
    """Mean rank of each label, 1 the best, over the (environment, seed) pairs in which all labels have a result."""
    labels, table = labels_of(results), dict[tuple[str, int], dict[str, float]]()
    for r in results:
        table.setdefault((r.env, r.seed), {})[r.label] = r.test
    whole = [[row[label] for label in labels] for row in table.values() if len(row) == len(labels)]
    return dict(zip(labels, mean_ranks(np.array(whole)).tolist(), strict=True)) if whole else {}


class Standing(NamedTuple):
    """Labels with their ranks (k,) over environments; p: of Friedman's test; difference: Nemenyi's critical one."""

    labels: list[str]
    ranks: Array
    p: float
    difference: float


def standing(results: Sequence[Result]) -> Standing | None:
    """Mean ranks over environments, 1 the best, by the interquartile mean of the test metrics in each.

    Of the optimizers and controls that have results in all of them; None for fewer than two environments or three of
    those.
    """
    tests: dict[str, dict[str, list[float]]] = {}
    for r in results:
        if r.label not in (GOOD, RANDOM_FIXED):
            tests.setdefault(r.label, {}).setdefault(r.env, []).append(r.test)
    envs = list(dict.fromkeys(r.env for r in results))
    labels = [label for label, found in tests.items() if found.keys() == set(envs)]
    if len(envs) < 2 or len(labels) < 3:
        return None
    means = np.array([[interquartile_mean(np.array(tests[label][env])) for label in labels] for env in envs])
    return Standing(labels, mean_ranks(means), friedman(means), critical_difference(len(labels), len(envs)))


def best_seeds(results: Sequence[Result]) -> list[Result]:
    """Of each label the run with the lowest validation metric."""
    found = []
    for label in labels_of(results):
        mine = [r for r in results if r.label == label]
        found.append(min(mine, key=lambda r: r.best[f"validation.{r.metric}"]))
    return found


def extent(results: Sequence[Result]) -> tuple[float, float]:
    """The range of test metrics that is worth seeing: of all ends, and of most of what comes after the first score."""
    finals = np.array([r.test for r in results])
    top = max(finals.max(), np.percentile(np.concatenate([r.curve["test"][1:] for r in results]), 75))
    spare = 0.03 * (top - finals.min())
    return float(finals.min() - spare), float(top + spare)


def median_and_band(results: Sequence[Result], axis: str, count: int = 200) -> tuple[Array, Array, Array, Array]:
    """x (count,), and median, lowest and highest over the seeds of their curves there, while all of them last."""
    end = min(r.curve[axis][-1] for r in results)
    begin = max(r.curve[axis][min(1, len(r.curve[axis]) - 1)] for r in results)
    x = np.linspace(min(begin, end), end, count)
    y = np.stack([r.curve["test"][np.searchsorted(r.curve[axis], x, side="right") - 1] for r in results])
    return x, np.median(y, axis=0), y.min(0), y.max(0)
