"""Two optimizers on the same seeds: the lower value wins."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from hgenv.bench.intervals import Array, Interval

Values = Mapping[Hashable, float]
"""Seed -> value."""


def on_common_seeds(*values: Values) -> list[Array]:
    """The values of each at the seeds at which all have a finite one, in the order of the first."""
    common = [seed for seed in values[0] if all(np.isfinite(one.get(seed, np.nan)) for one in values)]
    return [np.array([one[seed] for seed in common]) for one in values]


def probability_of_improvement(mine: Array, control: Array) -> Interval:
    """Probability that a run is better than one of the control's on whatever seeds, ties by half (Agarwal et al. 2021).

    Mann-Whitney's U over the number of pairs, with the score interval of Newcombe 2006 (part 2, method 5), which ends
    before 1 where all are better. Values on common seeds, which vary together, make it too wide, if anything.
    """
    found = float(np.mean(np.sign(control[:, None] - mine) + 1.0)) / 2.0
    if min(len(mine), len(control)) < 2:
        return Interval(found, np.nan, np.nan)
    count, more = len(mine) * len(control), (len(mine) + len(control)) / 2.0 - 1.0

    def excess(p: float) -> float:
        """Squared distance from p to what was found, less that which 95 % stay within, were p true."""
        variance = p * (1.0 - p) * (1.0 + more * ((1.0 - p) / (2.0 - p) + p / (1.0 + p))) / count
        return (p - found) ** 2 - ndtri(0.975) ** 2 * variance

    inside = min(max(found, 1e-9), 1.0 - 1e-9)
    low = brentq(excess, 0.0, inside) if found > 0.0 else 0.0
    high = brentq(excess, inside, 1.0) if found < 1.0 else 1.0
    return Interval(found, low, high)


def score(mine: Array, control: Array, good: Array) -> Interval:
    """How far from the control to a good beta: 0 as the control, 1 as the good one, on n common seeds.

    The ratio of mean gains, with the interval of Fieller 1954, which counts that both are means over seeds. No ends
    where it has no bounds: the good beta's gain may be 0, as far as these seeds tell. NaN unless good is better than
    the control in mean.
    """
    gain, most = control - mine, control - good
    if len(mine) == 0 or most.mean() <= 0.0:
        return Interval(np.nan, np.nan, np.nan)
    found = float(gain.mean() / most.mean())
    if len(mine) < 2:
        return Interval(found, np.nan, np.nan)
    means = np.array([gain.mean(), most.mean()])
    squared = np.outer(means, means) - stdtrit(len(mine) - 1, 0.975) ** 2 * np.cov(gain, most) / len(mine)
    (c, b), (_, a) = squared  # the ends r solve a r^2 - 2 b r + c = 0
    if a <= 0.0:
        return Interval(found, np.nan, np.nan)
    half = np.sqrt(max(b**2 - a * c, 0.0)) / a
    return Interval(found, float(b / a - half), float(b / a + half))
