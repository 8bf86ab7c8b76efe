"""The charts of a comparison's page: curves, horizon profiles, runtime profiles, and every seed's end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from hgenv.bench.compare import CONTROLS, GOOD
from hgenv.bench.intervals import Array, interval
from hgenv.bench.reached import reached
from hgenv.bench.statistics import Result, at_horizons, best_first, extent, horizons_of
from hgenv.pages.chart import Chart, Series
from hgenv.pages.markup import Html
from hgenv.pages.spread import Spread, spreads
from hgenv.run import COST_AXES, cost_axes

POINTS = 80
"""Of a line at most, however many rows the runs have."""
Colour = int | Literal["ink", "quiet"]
Colours = Callable[[str], Colour]


def colours(labels: Sequence[str]) -> Colours:
    """The colour of each label, the same in all charts of a page; fixed beta is ink, random beta is quiet."""
    others = [label for label in dict.fromkeys(labels) if label not in (*CONTROLS, GOOD)]
    places: dict[str, Colour] = {label: place for place, label in enumerate([*others, GOOD])}
    return (places | {CONTROLS[0]: "ink", CONTROLS[1]: "quiet"}).__getitem__


def curves(results: Sequence[Result], colour: Colours) -> Chart:
    """Test metric of the best validated snapshot: median, lowest and highest of the seeds at equal training steps."""
    axes = cost_axes(r.last for r in results)
    axes = {"train_steps": axes.pop("train_steps")} | axes
    lines = []
    for label in best_first(results):
        costs, values = _at_equal_steps([r for r in results if r.label == label], list(axes))
        band = values.min(0), values.max(0)
        lines.append(Series(label, costs, np.median(values, axis=0), band, colour(label)))
    title, metric = "Test metric of the best validated snapshot", results[0].metric
    return Chart(title, axes, f"test {metric}", lines, log=True, frame=extent(results))


def _at_equal_steps(results: Sequence[Result], axes: Sequence[str]) -> tuple[dict[str, Array], Array]:
    """Costs (n,) by axis, each the median of the seeds, and their test metrics (seeds, n), where all seeds were scored.

    The first score, of the untrained network, is left out.
    """
    steps = [r.curve["train_steps"] for r in results]
    begin, end = max(one[min(1, len(one) - 1)] for one in steps), min(one[-1] for one in steps)
    x = np.unique(np.concatenate(steps))
    x = x[(x >= min(begin, end)) & (x <= end)]
    if len(x) > POINTS:
        x = np.unique(x[np.searchsorted(x, np.geomspace(x[0], x[-1], POINTS), side="right") - 1])
    at = [np.searchsorted(one, x, side="right") - 1 for one in steps]
    seen = {name: np.stack([r.curve[name][i] for r, i in zip(results, at, strict=True)]) for name in [*axes, "test"]}
    return {axis: x if axis == "train_steps" else np.median(seen[axis], axis=0) for axis in axes}, seen["test"]


def horizon_profiles(results: Sequence[Result], colour: Colours) -> Chart | None:
    """Test metric after the training from scratch, for each horizon; None for fewer than two horizons."""
    profiles = at_horizons(results)
    if len(horizons_of(results)) < 2 or not profiles:
        return None
    lines, centres = [], list[float]()
    for label, spans in profiles.items():
        y, low, high = np.array(list(spans.values())).T
        centres += y.tolist()
        lines.append(Series(label, {"steps": list(spans)}, y, (low, high), colour(label)))
    spare = 0.1 * (max(centres) - min(centres))
    frame = (min(centres) - spare, max(centres) + spare) if spare else None
    title = "Test metric after a training from scratch on what was found"
    return Chart(title, {"steps": "training steps"}, f"test {results[0].metric}", lines, log=True, frame=frame)


def runtime_profiles(results: Sequence[Result], colour: Colours, axis: str = "train_steps") -> Chart | None:
    """Shares of targets that runs have reached at a cost; None if nothing is better than fixed beta."""
    if (found := reached(results, axis)) is None:
        return None
    begin, end = (pick(x[place] for x, _ in found.lines.values()) for pick, place in ((min, 0), (max, -1)))
    lines = []
    for label, (x, y) in found.lines.items():
        grid = np.unique(np.geomspace(begin, end, 2 * POINTS).clip(x[0], x[-1]))
        shares = y[np.searchsorted(x, grid, side="right") - 1]
        lines.append(Series(label, {axis: grid}, shares, colour=colour(label)))
    return Chart(f"Runtime profiles; {found.targets}", {axis: COST_AXES[axis]}, found.what, lines, log=True)


def spreads_of(results: Sequence[Result], colour: Colours) -> list[Html]:
    """Test metric of every seed with the interval of each label, best first, in the run and after every horizon."""
    found, metric = list[Html](), results[0].metric
    for end in (None, *horizons_of(results)):
        many = list[Spread]()
        for label in best_first(results):
            every = [r.test if end is None else r.retrained(end) for r in results if r.label == label]
            if len(values := np.array([value for value in every if np.isfinite(value)])):
                centre, low, high = interval([values])
                many.append(Spread(label, values.tolist(), centre, (low, high), colour(label)))
        if many:
            found.append(spreads(f"test {metric}" if end is None else f"{metric}, retrained for {end} steps", many))
    return found
