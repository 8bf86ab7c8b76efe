"""A distribution over time: x are costs, y is the value, the shade is the density. SVG, which needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hgenv.pages.markup import Html, escaped
from hgenv.pages.numbers import short
from hgenv.pages.picture import data_url, shades

Array = NDArray[np.float64]
_COLOUR = (58, 125, 216)  # seen on white and on black
_WIDTH, _HEIGHT, _TOP, _BOTTOM = 250, 150, 6, 18
_LETTER = 5.5  # the width of one, about


@dataclass(frozen=True)
class Density:
    """One distribution at m moments, evenly spaced along x."""

    title: str
    note: str
    """What it is the distribution of."""
    x: tuple[float, float]
    """First and last cost."""
    y: tuple[float, float]
    """Range of values that is shown; of outcomes with names, 0 and their number."""
    shade: Array | None
    """(values, m), from low to high; the darkest is its largest. None: there are only lines."""
    lines: Array
    """(lines, m), as quantiles; the middle one is thick."""
    outcomes: tuple[str, ...] = ()
    """Names of the rows of shade, of which a number at either end says how probable they are."""


def density(one: Density) -> Html:
    """HTML of a distribution over time."""
    left, right = (_margin(one.outcomes), 30) if one.outcomes else (38, 8)
    width, height = _WIDTH - left - right, _HEIGHT - _TOP - _BOTTOM
    parts = [f'<rect x="{left}" y="{_TOP}" width="{width}" height="{height}" class="frame"/>']
    if one.shade is not None:
        url, kind = data_url(shades(one.shade[::-1] / one.shade.max(), _COLOUR)), "pixels" if one.outcomes else "smooth"
        place = f'x="{left}" y="{_TOP}" width="{width}" height="{height}"'
        parts.append(f'<image href="{url}" {place} preserveAspectRatio="none" class="{kind}"/>')
    parts += _lines(one, left, width, height)
    parts += _rows(one, left, width, height) if one.outcomes else _ticks(one, left, height)
    ends = zip((left, left + width), ("start", "end"), one.x, strict=True)
    parts += [f'<text x="{x}" y="{_HEIGHT - 4}" text-anchor="{side}">{short(cost)}</text>' for x, side, cost in ends]
    title = escaped(one.title)
    drawing = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}</svg>'
    caption = f"<figcaption><b>{title}</b> {escaped(one.note)}</figcaption>"
    return Html(f'<figure class="density">{caption}{drawing}</figure>')


def densities(many: Sequence[Density]) -> Html:
    """HTML of distributions over time side by side."""
    return Html('<div class="densities">' + "\n".join(map(density, many)) + "</div>")


def _margin(names: Sequence[str]) -> float:
    return _LETTER * (max(map(len, names)) + 5) + 4


def _lines(one: Density, left: float, width: float, height: float) -> list[str]:
    low, high = one.y
    x = left + width * np.linspace(0.0, 1.0, one.lines.shape[1])
    y = _TOP + height * (1.0 - np.clip((one.lines - low) / (high - low), 0.0, 1.0))
    middle, found = len(y) // 2, []
    for i, line in enumerate(y):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, line, strict=True))
        found.append(f'<polyline points="{points}" class="{"middle" if i == middle else "outer"}"/>')
    return found


def _ticks(one: Density, left: float, height: float) -> list[str]:
    low, high = one.y
    found = []
    for value in MaxNLocator(4).tick_values(low, high):
        if low <= value <= high:
            y = _TOP + height * (high - value) / (high - low)
            found.append(f'<line x1="{left - 3}" x2="{left}" y1="{y:.1f}" y2="{y:.1f}" class="tick"/>')
            found.append(f'<text x="{left - 5}" y="{y + 3.5:.1f}" text-anchor="end">{short(value)}</text>')
    return found


def _rows(one: Density, left: float, width: float, height: float) -> list[str]:
    """Names with their first probabilities on the left, their last ones on the right."""
    assert one.shade is not None
    found, step = [], height / len(one.outcomes)
    for i, (name, row) in enumerate(zip(one.outcomes, one.shade, strict=True)):
        y = _TOP + height - (i + 0.5) * step + 3.5
        said = f"{escaped(name)} {row[0]:.2f}"
        found.append(f'<text x="{left - 5:.1f}" y="{y:.1f}" text-anchor="end">{said}</text>')
        found.append(f'<text x="{left + width + 4:.1f}" y="{y:.1f}">{row[-1]:.2f}</text>')
    return found
