"""The tables of a comparison as values: titles, notes and plain cells, which every report renders in its own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from hgenv.bench.compare import FIXED, GOOD, RANDOM_FIXED, Cell, failure_of
from hgenv.bench.intervals import INTERVALS, Array, Interval, interquartile_mean, interval, student
from hgenv.bench.pairs import Values, on_common_seeds, probability_of_improvement, score
from hgenv.bench.statistics import Result, best_first, horizons_of, ranks, standing
from hgenv.run import Row, cost_axes


class Tally(NamedTuple):
    """How many of how many."""

    hits: int
    of: int


Content = str | int | float | Interval | Tally
NOTHING = float("nan")
"""A cell that has no value."""


class Table(NamedTuple):
    """Rows of cells, each as long as the header; the first column names the row."""

    title: str
    header: list[str]
    rows: Sequence[Sequence[Content]]
    note: str = ""


def shown(cell: Content) -> str:
    """A cell as text: four digits, the ends of an interval in brackets, - for nothing."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Tally):
        return f"{cell.hits} of {cell.of}"
    if isinstance(cell, Interval):
        ends = f" [{shown(cell.low)}, {shown(cell.high)}]" if np.isfinite([cell.low, cell.high]).all() else ""
        return shown(cell.centre) + ends
    return "-" if np.isnan(cell) else f"{cell:.0f}" if isinstance(cell, int) or abs(cell) >= 1e4 else f"{cell:.4g}"


def of_environment(results: Sequence[Result]) -> list[Table]:
    """The tables of one environment; none that would be empty."""
    metric = results[0].metric
    compared = [r for r in results if r.label != RANDOM_FIXED]
    found = []
    if compared:
        order, horizons = best_first(compared), horizons_of(compared)
        found = [optimizers(compared), against(f"test {metric}", _by_seed(compared, order, lambda r: r.test))]
        for end in horizons:
            values = _by_seed(compared, order, partial(Result.retrained, horizon=end))
            found.append(against(f"{metric}, retrained for {end} steps", values))
        found.append(metrics("Every metric", {a: [r.best for r in compared if r.label == a] for a in order}))
        for end in horizons:
            rows = {a: [r.again[end] for r in compared if r.label == a and end in r.again] for a in order}
            found.append(metrics(f"Every metric, retrained for {end} steps", rows))
    found.append(random_fixed([r for r in results if r.label == RANDOM_FIXED], metric))
    return [table for table in found if table.rows]


def _by_seed(results: Sequence[Result], labels: list[str], what: Callable[[Result], float]) -> dict[str, Values]:
    return {label: {r.seed: what(r) for r in results if r.label == label} for label in labels}


def _spread(values: Sequence[float]) -> Content:
    finite = np.array([v for v in values if np.isfinite(v)])
    return interval([finite]) if len(finite) else NOTHING


def optimizers(results: Sequence[Result]) -> Table:
    """What each of them reaches, from where and at which cost, best first."""
    metric, axes = results[0].metric, cost_axes(r.last for r in results)
    rank = ranks([r for r in results if r.label != GOOD])
    level = interquartile_mean(np.array([r.test for r in results if r.label == FIXED] or [np.nan]))
    horizons = horizons_of(results)
    header = ["optimizer", "seeds", f"test {metric}", *(f"retrained {end}" for end in horizons)]
    header += ["rank", "KL from the start"]
    header += [*axes.values(), f"reach {shown(level)}", *(f"{name} to {shown(level)}" for name in axes.values())]
    rows = list[list[Content]]()
    for label in best_first(results):
        mine = [r for r in results if r.label == label]
        costs = {axis: [r.cost_to(level)[axis] for r in mine] for axis in axes}
        row: list[Content] = [label, len(mine), _spread([r.test for r in mine])]
        row += [_spread([r.retrained(end) for r in mine]) for end in horizons]
        row += [rank.get(label, NOTHING), _spread([r.narrowness for r in mine])]
        row += [float(np.median([r.last[axis] for r in mine])) for axis in axes]
        row += [Tally(int(np.isfinite(costs["train_steps"]).sum()), len(mine)), *map(_median, costs.values())]
        rows.append(row)
    note = (
        f"{INTERVALS} Test: of the snapshot with the best validation metric. Retrained: the same after so many "
        "training steps from scratch on what was found. Rank: mean over seeds. KL: of the beta found from the start, "
        f"in nats of one draw of every distribution. {shown(level)} is fixed beta's interquartile mean: how many seeds "
        "reach it, and the median cost until the best validated snapshot does. Costs are medians; snapshots are taken "
        "every so many environment steps, which cost more where there are probes."
    )
    return Table("Optimizers, best first", header, rows, note)


def _median(costs: list[float]) -> float:
    """The median if more than half of them are finite."""
    middle = float(np.median(costs)) if np.isfinite(costs).sum() > len(costs) / 2 else np.inf
    return middle if np.isfinite(middle) else NOTHING


def against(what: str, values: Mapping[str, Values], control: str = FIXED, good: str = GOOD) -> Table:
    """Each label against the control on the same seeds, and its score if there are runs of a good beta."""
    header = ["optimizer", "wins", "mean difference", "probability of improvement", "score"]
    rows = list[list[Content]]()
    for label, mine in values.items():
        ours, theirs = on_common_seeds(mine, values.get(control, {}))
        if label == control or not len(ours):
            continue
        wins, difference = Tally(int(np.sum(ours < theirs)), len(ours)), student([ours - theirs])
        normalised = score(*on_common_seeds(mine, values[control], values.get(good, {})))
        rows.append([label, wins, difference, probability_of_improvement(ours, theirs), normalised])
    note = (
        "On the same seeds. Mean difference: below 0 is better; 95 % interval by Student's t. Probability that a run "
        "is better than one of the control's on whatever seeds (Agarwal et al. 2021), with Newcombe's 95 % interval "
        f"(2006). Score: {control} is 0 and {good} is 1, with Fieller's 95 % interval (1954), of which nothing is "
        "shown where it has no bounds."
    )
    return Table(f"Against {control}: {what}", header, rows, note)


def metrics(title: str, rows: Mapping[str, Sequence[Row]]) -> Table:
    """Every test metric that rows of runs have, by label; nothing of labels without rows."""
    names = dict.fromkeys(name for mine in rows.values() for row in mine for name in row if name.startswith("test."))
    cells = list[list[Content]]()
    for label, mine in rows.items():
        if mine:
            cells.append([label, *(_spread([row.get(name, np.nan) for row in mine]) for name in names)])
    return Table(title, ["optimizer", *(name.removeprefix("test.") for name in names)], cells, INTERVALS)


def random_fixed(results: Sequence[Result], metric: str) -> Table:
    """The best, the median and the worst of random betas that are kept (the paper's Table 1)."""
    others = sorted(results, key=lambda r: r.test)
    places = {"best": 0, "median": (len(others) - 1) // 2, "worst": -1} if others else {}
    horizons = horizons_of(others)
    rows: list[list[Content]] = [
        [name, others[k].test, *(others[k].retrained(end) for end in horizons)] for name, k in places.items()
    ]
    header = ["", f"test {metric}", *(f"retrained {end}" for end in horizons)]
    return Table(f"Random betas, kept fixed: {len(others)}", header, rows)


def overall(results: Sequence[Result]) -> list[Table]:
    """Over all environments: test metrics over fixed beta's on the same seed, and ranks."""
    found = standing(results)
    if found is None:
        return []
    rows = list[list[Content]]()
    for place in np.argsort(found.ranks, kind="stable"):
        label, pairs = found.labels[place], list[list[Array]]()
        for env in dict.fromkeys(r.env for r in results):
            here = _by_seed([r for r in results if r.env == env], [label, FIXED], lambda r: r.test)
            pairs.append(on_common_seeds(here[label], here[FIXED]))
        wins = Tally(sum(int(np.sum(mine < control)) for mine, control in pairs), sum(len(mine) for mine, _ in pairs))
        rows.append([label, wins, _geometric_mean_ratio(pairs), float(found.ranks[place])])
    note = (
        "Wins over fixed beta on the same seed of the same environment. Ratio: of the test metric to fixed beta's on "
        f"the same seed, geometric mean over environments. Of the logarithms: {INTERVALS} Rank: mean over environments "
        f"of the rank of the interquartile mean. If none were better, ranks would differ so much with probability "
        f"{found.p:.2g} (Friedman's test by permutation); two differ if by {found.difference:.3g} or more (Nemenyi, "
        "5 %)."
    )
    return [Table("Over all environments", ["optimizer", "wins", "ratio to fixed", "rank"], rows, note)]


def _geometric_mean_ratio(pairs: Sequence[Sequence[Array]]) -> Content:
    """Of each environment's values over the control's; nothing if some are not positive or an environment has none."""
    if not all(len(mine) and min(mine.min(), control.min()) > 0.0 for mine, control in pairs):
        return NOTHING
    return Interval(*np.exp(interval([np.log(mine / control) for mine, control in pairs])).tolist())


def failures(cells: Sequence[Cell]) -> list[Table]:
    """Cells that could not be run, and why."""
    failed = [(cell.folder.name, failure.reason) for cell in cells if (failure := failure_of(cell)) is not None]
    return [Table("Not measured", ["cell", "reason"], failed)] if failed else []


def failed_steps(results: Sequence[Result]) -> list[Table]:
    """Runs with steps that were not committed, as something in them was not finite."""
    rows = [(r.folder.name, int(r.last.get("failed_steps", 0)), int(r.last["step"])) for r in results]
    cells = [(name, Tally(failed, steps)) for name, failed, steps in rows if failed]
    header = ["cell", "steps that were not finite, and not committed"]
    return [Table("Failed steps", header, cells)] if cells else []
