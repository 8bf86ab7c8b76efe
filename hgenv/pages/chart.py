"""A chart is a value: lines over costs, which the page's script draws with uPlot.

The readout follows the pointer, a click on the legend hides a line, a double click leaves it alone; dragging zooms, and
a double click shows what was shown first, or everything if it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hgenv.pages.markup import Html, embedded, escaped

ASSETS = ("uplot.css", "uplot.js", "page.js")
"""What `page` needs for charts; "page.js" alone is enough for tables and pictures."""
COLOURS = 10
"""Of lines, --line-0 ... in page.css; the next so many lines are dashed, and those after them dotted."""


@dataclass(frozen=True)
class Series:
    """One line of n points."""

    label: str
    """In the legend."""
    x: Mapping[str, ArrayLike]
    """Values (n,) along every x axis of the chart, by its name, ascending."""
    y: ArrayLike
    """Values (n,). The line is broken where they are not finite."""
    band: tuple[ArrayLike, ArrayLike] | None = None
    """Lower and upper end (n,) of what is shaded about the line."""
    colour: int | Literal["ink", "quiet"] | None = None
    """Place in the palette, so that a line looks the same in all charts of a page; None: its place in the chart.
    Controls are thick, black ("ink", white in the dark) and grey ("quiet")."""


@dataclass(frozen=True)
class Chart:
    """Lines in one frame."""

    title: str
    x: Mapping[str, str]
    """Titles of the x axes by name, of which the reader chooses one; the first is shown first."""
    y: str
    """Title of the y axis."""
    series: Sequence[Series]
    log: bool = False
    """Whether x is logarithmic at first; the reader may change it. Points at x <= 0 are left out then."""
    frame: tuple[float, float] | None = None
    """Of y, what is shown at first at most, where a few values would squeeze the rest."""


def chart(one: Chart) -> Html:
    """HTML of a chart, on a page with ASSETS.

    Raises ValueError for a chart without lines, or that names a line whose lengths or axes do not fit.
    """
    if not one.series:
        raise ValueError(f"the chart {one.title!r} has no line")
    content = {
        "x": dict(one.x), "y": one.y, "log": one.log, "frame": one.frame,
        "series": [_plain(line, i, one.x) for i, line in enumerate(one.series)],
    }  # fmt: skip
    missing = "<noscript><p>This chart needs JavaScript.</p></noscript>"
    return Html(f'<figure class="chart"><h3>{escaped(one.title)}</h3>{embedded(content)}{missing}</figure>')


def charts(many: Iterable[Chart]) -> Html:
    """HTML of charts side by side, or one below the other where the window is narrow."""
    return Html('<div class="charts">' + "\n".join(map(chart, many)) + "</div>")


def frame_of(values: ArrayLike, share: float = 0.05) -> tuple[float, float] | None:
    """What `Chart.frame` shows of values: all but the outermost share, if these take more than half the height.

    The first losses of a network that knows nothing are such. None if there is nothing to leave out.
    """
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [share, 1.0 - share])
    if high - low >= 0.5 * np.ptp(finite) or high == low:
        return None
    spare = 0.25 * (high - low)
    return float(max(low - spare, finite.min())), float(min(high + spare, finite.max()))


def _plain(line: Series, place: int, axes: Mapping[str, str]) -> dict[str, object]:
    """A line as JSON holds it."""
    if missing := [name for name in axes if name not in line.x]:
        raise ValueError(f"the line {line.label!r} has no x axis {missing[0]!r}")
    y = _numbers(line.y)
    parts = {f"x axis {name}": _numbers(line.x[name]) for name in axes}
    parts |= {name: _numbers(end) for name, end in zip(("low", "high"), line.band or (), strict=False)}
    for name, part in parts.items():
        if len(part) != len(y):
            raise ValueError(f"the line {line.label!r} has {len(y)} points, but its {name} {len(part)}")
    return {
        "label": line.label, "x": {name: parts[f"x axis {name}"] for name in axes}, "y": y,
        "band": line.band and [parts["low"], parts["high"]], "colour": place if line.colour is None else line.colour,
    }  # fmt: skip


def _numbers(values: ArrayLike) -> list[float]:
    """With seven digits, which no eye needs, and which keep a page small."""
    return [float(f"{value:.7g}") for value in np.asarray(values, np.float64).tolist()]
