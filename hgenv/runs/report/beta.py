"""Beta over a run: what it describes as densities (the paper's Fig. C.2), and every coordinate before and after."""

from __future__ import annotations

import numpy as np

from hgenv.pages.density import Density, densities
from hgenv.pages.markup import Html, folded
from hgenv.pages.table import table
from hgenv.run import Row, betas_of
from hgenv.runs.densities import Group, groups
from hgenv.runs.folder import OpenRun, best_of

MOMENTS, SHOWN = 60, 18
"""Columns of a density, and how many distributions are shown at once; the others are folded."""


def over_time(run: OpenRun) -> Html:
    """The distributions of beta, or of their axes, that have moved most; the others folded, by distribution."""
    first, last = run.rows[0]["train_steps"], run.rows[-1]["train_steps"]
    if not last > first:
        return Html()
    rows = along(run.rows, MOMENTS)
    found = list(groups(run.env.task.layout, betas_of(run.env.task.layout, rows), (first, last)))
    distances = sorted((axis.distance for group in found for axis in group.axes), reverse=True)
    least = distances[min(SHOWN, len(distances)) - 1]
    most = [axis.density for group in found for axis in group.axes if axis.distance >= least]
    parts = [Html(f"<p class='quiet'>{_legend(len(most), len(distances))}</p>"), densities(most)]
    for group in found:
        if rest := [axis.density for axis in group.axes if axis.distance < least]:
            parts.append(folded(_said(group, rest), densities(rest)))
    return Html("\n".join(parts))


def along(rows: list[Row], count: int) -> list[Row]:
    """The rows that hold at `count` moments, evenly spaced in training steps from the first to the last."""
    steps = np.array([row["train_steps"] for row in rows])
    at = np.searchsorted(steps, np.linspace(steps[0], steps[-1], count), side="right") - 1
    return [rows[i] for i in at]


def before_and_after(run: OpenRun) -> Html:
    """Every coordinate with its meaning and range, at the start, at the end and at the best validation."""
    layout, rows = run.env.task.layout, run.rows
    best = best_of(rows, run.env.task.quantity.primary)
    start, end, found = betas_of(layout, [rows[0], rows[-1], best or rows[0]])
    lines = []
    for p, a, b, c in zip(layout.parameters, start, end, found, strict=True):
        moved = f"{100.0 * (b - a) / (p.high - p.low):+.1f}"
        bounds = f"{p.low:.4g} to {p.high:.4g}"
        lines.append((p.name, f"{a:.4g}", f"{b:.4g}", f"{c:.4g}" if best else "-", moved, bounds, p.meaning))
    header = ("coordinate", "start", "end", "best validation", "moved, % of its range", "range", "meaning")
    return table(header, lines, tall=len(lines) > 20)


def _legend(shown: int, known: int) -> str:
    most = f" The {shown} of {known} that moved most; the others are below." if shown < known else ""
    return (
        "Against training steps, probes included: the shade is the density (its root), lines are the median and the "
        f"5 and 95 % quantiles. Outcomes with names have their first and last probability beside them.{most}"
    )


def _said(group: Group, rest: list[Density]) -> str:
    """What is behind a line: a distribution, or some of its axes."""
    count = f": {len(rest)} of its {len(group.axes)} axes" if len(group.axes) > 1 else ""
    return f"{group.name}, {group.meaning}{count}"
