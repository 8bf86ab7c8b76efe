"""Values by name, with the interval of each: one below the other along one axis. SVG, which needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from hgenv.pages.chart import COLOURS
from hgenv.pages.markup import Html, escaped
from hgenv.pages.numbers import short

_WIDTH, _ROW, _RIGHT, _BOTTOM, _LETTER = 560, 20, 14, 22, 8


@dataclass(frozen=True)
class Spread:
    """Values of one name, of which each is a dot, about a centre."""

    label: str
    values: Sequence[float]
    """Finite, at least one."""
    centre: float
    ends: tuple[float, float]
    """Of the interval, NaN where it has none. What leaves the range of all values is cut off."""
    colour: int | str
    """As a series of a chart has it."""


def spreads(title: str, many: Sequence[Spread]) -> Html:
    """HTML of values below each other, the first above. Raises ValueError if there are none."""
    if not many:
        raise ValueError(f"{title!r} has no values")
    values = np.concatenate([[*one.values, one.centre] for one in many])
    spare = 0.04 * float(np.ptp(values)) or 0.5
    left = _LETTER * max(len(one.label) for one in many) + 10
    frame = _Frame(left, float(values.min()) - spare, float(values.max()) + spare)
    height = _ROW * len(many)
    rows = "\n".join(_row(one, _ROW * (i + 0.5), frame) for i, one in enumerate(many))
    return Html(
        f'<figure class="spread"><h3>{escaped(title)}</h3><svg viewBox="0 0 {_WIDTH} {height + _BOTTOM}" role="img" '
        f'aria-label="{escaped(title)}">\n{_ticks(frame, height)}\n{rows}\n</svg></figure>'
    )


class _Frame(NamedTuple):
    """Where the axis begins, and its range."""

    left: float
    low: float
    high: float

    def x(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.left + (_WIDTH - self.left - _RIGHT) * share, 1)


def _ticks(frame: _Frame, height: float) -> str:
    ticks = [tick for tick in MaxNLocator(5).tick_values(frame.low, frame.high) if frame.low <= tick <= frame.high]
    return "\n".join(
        f'<path class="tick" d="M{frame.x(tick)} 0V{height}"/>'
        f'<text x="{frame.x(tick)}" y="{height + 15}" text-anchor="middle">{short(tick)}</text>'
        for tick in ticks
    )


def _row(one: Spread, y: float, frame: _Frame) -> str:
    """A name, its interval, its values and their centre."""
    dots = "".join(f'<circle cx="{frame.x(value)}" cy="{y}" r="2.5"/>' for value in one.values)
    bar = ""
    if np.isfinite(one.ends).all():
        begin, end = map(frame.x, one.ends)
        bar = f'<rect x="{begin}" y="{y - 5}" width="{round(end - begin, 1)}" height="10" opacity=".35"/>'
    centre = f'<rect x="{frame.x(one.centre) - 1.5:.1f}" y="{y - 8}" width="3" height="16"/>'
    name = f'<text x="{frame.left - 8:.1f}" y="{y + 4.5}" text-anchor="end">{escaped(one.label)}</text>'
    said = f"<title>{escaped(one.label)}: {short(one.centre)}</title>"
    return f'{name}<g fill="{_colour(one.colour)}">{said}{bar}{dots}{centre}</g>'


def _colour(colour: int | str) -> str:
    """Of the page's palette."""
    return f"var(--{colour})" if isinstance(colour, str) else f"var(--line-{colour % COLOURS})"
