"""The densities of what beta describes, over a run (the paper's Fig. C.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.beta.distributions import Distribution, sobol
from hgenv.beta.layout import Layout
from hgenv.pages.density import Density

Array = NDArray[np.float64]
_POWER, _BINS = 11, 40  # 2^11 draws
_LEVELS = (0.05, 0.5, 0.95)
_INSIDE = (0.003, 0.997)  # of all draws of all moments, what is shown


class Moved(NamedTuple):
    """A distribution, or one of its axes, over time; and how far it went from the first moment to the last: the mean
    distance of equal quantiles over the range shown (Wasserstein), or what probability has changed its outcome."""

    density: Density
    distance: float


class Group(NamedTuple):
    """A distribution of beta with all its axes."""

    name: str
    meaning: str
    axes: list[Moved]


class _Frame(NamedTuple):
    """What a Density begins with."""

    title: str
    note: str
    x: tuple[float, float]


def groups(layout: Layout, betas: Array, x: tuple[float, float]) -> Iterator[Group]:
    """The distributions at physical betas (m, d) of moments evenly spaced along x, in the order of the declaration."""
    for name, distribution in layout.distributions.items():
        parameters = getattr(layout.bind(betas), name).parameters  # (k, m, *event)
        meaning = distribution.parameters()[0].meaning.partition(":")[0]
        frames = [_Frame(f"{name} {axis}".strip(), meaning, x) for axis in distribution.axes or ("",)]
        yield Group(name, meaning, _axes(distribution, parameters, frames))


def _axes(distribution: Distribution, parameters: Array, frames: list[_Frame]) -> list[Moved]:
    if not distribution.density:
        first, values = distribution.parameters()[0], parameters[0].reshape(parameters.shape[1], -1).T
        return [_value(frame, line, (first.low, first.high)) for frame, line in zip(frames, values, strict=True)]
    u = sobol(distribution.uniforms, _POWER)
    drawn = distribution.inverse_cdf(u[None], parameters[:, :, None])  # (m, draws, *event): the same u at all moments
    if hasattr(distribution, "names"):
        return [_outcomes(frames[0], tuple(distribution.names), drawn.astype(int))]
    each = np.moveaxis(drawn.reshape(*drawn.shape[:2], -1), -1, 0)
    return [_continuous(frame, values) for frame, values in zip(frames, each, strict=True)]


def _value(frame: _Frame, line: Array, bounds: tuple[float, float]) -> Moved:
    """A coordinate (m,) that is no distribution."""
    return Moved(Density(*frame, bounds, None, line[None]), abs(line[-1] - line[0]) / (bounds[1] - bounds[0]))


def _outcomes(frame: _Frame, names: tuple[str, ...], drawn: NDArray[np.int_]) -> Moved:
    """Draws (m, draws) that are indices of names."""
    share = np.stack([np.mean(drawn == i, axis=1) for i in range(len(names))])  # (outcomes, m)
    density = Density(*frame, (0.0, len(names)), share, np.zeros((0, share.shape[1])), names)
    return Moved(density, 0.5 * float(np.abs(share[:, -1] - share[:, 0]).sum()))


def _continuous(frame: _Frame, values: NDArray) -> Moved:
    """Draws (m, draws); integers have bins of their own as long as there are few."""
    low, high = (float(end) for end in np.quantile(values, _INSIDE))
    bins = _BINS
    if values.dtype.kind in "iu" or high <= low:
        low, high = low - 0.5, high + 0.5
        bins = min(bins, round(high - low))
    found = np.stack([np.histogram(row, bins, (low, high))[0] for row in values], axis=1)
    # The root, as a distribution that has become narrow would leave nothing of a wide one to be seen.
    density = Density(*frame, (low, high), np.sqrt(found), np.quantile(values, _LEVELS, axis=1))
    ordered = np.sort(values, axis=1)
    return Moved(density, float(np.abs(ordered[-1] - ordered[0]).mean() / (high - low)))
