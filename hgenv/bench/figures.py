"""The figures of a comparison: intervals, curves, runtime profiles, samples, critical differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from hgenv.bench.compare import FIXED, GOOD
from hgenv.bench.intervals import interval
from hgenv.bench.ranks import groups
from hgenv.bench.reached import reached
from hgenv.bench.statistics import (
    Result,
    Standing,
    at_horizons,
    best_first,
    extent,
    horizons_of,
    labels_of,
    median_and_band,
)  # fmt: skip
from hgenv.run import COST_AXES, cost_axes

_COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9")
_CONTROLS = {FIXED: "black", "random-beta": "grey", GOOD: "gold"}


def _style(labels: list[str], label: str) -> dict[str, Any]:
    """The controls are thick, black and grey; when the colours are used up, dashes distinguish."""
    if label in _CONTROLS:
        return {"color": _CONTROLS[label], "lw": 2.5}
    place = [name for name in labels if name not in _CONTROLS].index(label)
    return {"color": _COLOURS[place % len(_COLOURS)], "ls": ("-", "--", ":")[place // len(_COLOURS) % 3], "lw": 1.3}


def intervals(results: Sequence[Result]) -> Figure:
    """Test metric of every optimizer, in the run and retrained, best first, every seed a dot. Intervals of few
    seeds may leave the panel."""
    order, horizons = best_first(results)[::-1], horizons_of(results)  # the best is above
    figure = Figure(figsize=(4 + 3 * (1 + len(horizons)), 0.9 + 0.28 * len(order)), layout="constrained")
    panels = figure.subplots(1, 1 + len(horizons), sharey=True, squeeze=False)[0]
    for panel, end in zip(panels, [None, *horizons], strict=True):
        what = "test" if end is None else f"retrained for {end} steps:"
        for y, label in enumerate(order):
            values = np.array([r.test if end is None else r.retrained(end) for r in results if r.label == label])
            values = values[~np.isnan(values)]
            if len(values):
                mean, low, high = interval([values])
                colour = _style(labels_of(results), label)["color"]
                panel.plot(values, np.full(len(values), y), ".", color=colour, ms=4)
                panel.plot([mean], [y], "|", color=colour, ms=12, mew=2)
                bar = Rectangle((low, y - 0.12), high - low, 0.24, color=colour, alpha=0.4, lw=0)
                panel.add_artist(bar)  # unlike add_patch it does not widen the panel
        panel.set_xlabel(f"{what} {results[0].metric}")
        panel.margins(x=0.2)
        panel.grid(alpha=0.3, axis="x")
    panels[0].set_yticks(range(len(order)), order)
    return figure


def samples(strips: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """Strips of images and ground truth, by what they are of."""
    lines = -(-len(strips) // 2)
    figure = Figure(figsize=(14, 1.45 * lines), layout="constrained")
    grid = figure.subplots(lines, 2, squeeze=False).T.ravel()
    for panel, (name, strip) in zip(grid, strips.items(), strict=False):
        panel.imshow(strip, interpolation="nearest")
        panel.set_title(name, fontsize=9, loc="left")
    for panel in grid:
        panel.set_axis_off()
    return figure


def curves(results: Sequence[Result]) -> Figure:
    """Median and band against every axis (the paper's Fig. 4)."""
    figure, axes = Figure(figsize=(14, 5), layout="constrained"), cost_axes(r.last for r in results)
    panels, labels = figure.subplots(1, len(axes), sharey=True), labels_of(results)
    for panel, (axis, title) in zip(panels, axes.items(), strict=True):
        for label in labels:
            style = _style(labels, label)
            x, middle, low, high = median_and_band([r for r in results if r.label == label], axis)
            panel.plot(x, middle, label=label, **style)
            panel.fill_between(x, low, high, color=style["color"], alpha=0.06, lw=0)
        _along(panel, title)
    panels[0].set_ylim(*extent(results))
    panels[0].set_ylabel(f"test {results[0].metric}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def _along(panel: Axes, title: str) -> None:
    """Make costs of many magnitudes the panel's horizontal axis."""
    panel.set(xscale="log", xlabel=title)
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(alpha=0.3)


def horizon_profiles(results: Sequence[Result]) -> Figure | None:
    """Test metric after a training from scratch on what was found, of all seeds, for each horizon; None for fewer than
    two horizons."""
    profiles, labels = at_horizons(results), labels_of(results)
    if len(horizons_of(results)) < 2 or not profiles:
        return None
    figure = Figure(figsize=(9, max(4.5, 0.19 * len(profiles))), layout="constrained")
    panel = figure.subplots()
    for label, spans in profiles.items():
        style = _style(labels, label)
        panel.plot(list(spans), [span.centre for span in spans.values()], label=label, marker=".", **style)
        mine = [r for r in results if r.label == label]
        for end in spans:
            panel.plot([end] * len(mine), [r.retrained(end) for r in mine], ".", color=style["color"], alpha=0.35, ms=4)
    _along(panel, "training steps from scratch")
    panel.set_xticks(horizons_of(results))
    panel.set_ylabel(f"test {results[0].metric}")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def runtime_profiles(results: Sequence[Result], axis: str = "train_steps") -> Figure | None:
    """Shares of targets that runs have reached at a cost. None if nothing is better than fixed beta."""
    found, labels = reached(results, axis), labels_of(results)
    if found is None:
        return None
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    panel = figure.subplots()
    for label, (x, y) in found.lines.items():
        panel.step(x, y, where="post", label=label, **_style(labels, label))
    _along(panel, COST_AXES[axis])
    panel.set(ylim=(-0.02, 1.02), ylabel=found.what)
    panel.set_title(found.targets)
    figure.legend(*panel.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def critical_differences(found: Standing) -> Figure:
    """Mean ranks, 1 the best, and bars over those that do not differ by Nemenyi's critical difference (Demsar 2006)."""
    order, count = np.argsort(found.ranks, kind="stable"), len(found.ranks)
    bars, half = groups(found.ranks, found.difference), -(-count // 2)
    figure = Figure(figsize=(10, 1.2 + 0.16 * len(bars) + 0.25 * half), layout="constrained")
    panel, last = figure.subplots(), max(count, 1.0 + found.difference)
    panel.set_axis_off()
    margin = 0.03 * (last - 1.0)
    panel.set(xlim=(1.0 - 8 * margin, last + 8 * margin), ylim=(-1.5 - 0.6 * len(bars) - half, 2.6))
    panel.plot([1, count], [0, 0], color="black", lw=1)
    for rank in range(1, count + 1):
        panel.plot([rank, rank], [0, 0.25], color="black", lw=1)
        panel.text(rank, 0.35, str(rank), ha="center", fontsize=8)
    panel.plot([1, 1 + found.difference], [1.5, 1.5], color="black", lw=2)
    panel.text(1 + found.difference / 2, 1.7, f"critical difference {found.difference:.3g}", ha="center", fontsize=8)
    for row, (low, high) in enumerate(bars):
        y = -0.5 - 0.6 * row
        panel.plot([low - margin / 4, high + margin / 4], [y, y], color="grey", lw=4, solid_capstyle="butt")
    for place, index in enumerate(order):
        rank, left = found.ranks[index], place < half
        y = -0.9 - 0.6 * len(bars) - (place if left else count - 1 - place)
        side = 1.0 - margin if left else count + margin
        panel.plot([rank, rank, side], [0, y, y], color="black", lw=0.8)
        text, at = f"{found.labels[index]} {rank:.2f}", side + (-margin if left else margin) / 2
        panel.text(at, y, text, ha="right" if left else "left", va="center", fontsize=8)
    return figure
