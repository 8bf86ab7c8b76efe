"""Box: the action space [-1, 1]^d over physical beta, and which coordinates move in it."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from hgenv.beta.layout import Layout
from hgenv.beta.noise import Draw, Noise

Array = NDArray[np.float64]
Seeds = NDArray[np.uint64]
Coordinates = Literal["all", "continuous"]
Spread = float | Literal["uniform", "several", "found"] | None
"""Of samples about an action, as the options say it."""
Spreading = float | Array | Literal["uniform"] | None
"""The same, with the standard deviations (d,) that were found in their place, and several actions (k, d)."""
SEVERAL = 10
"""Random betas that a dataset of several has."""


@dataclasses.dataclass(frozen=True, eq=False)
class Box:
    """start (d_all,): beta at the start, in the box of all coordinates; those that do not move stay there.

    start_spread (d_all,): standard deviations about it where the start is a distribution; of a point they are 0.
    """

    layout: Layout
    coordinates: Coordinates
    start: Array
    start_spread: Array

    @staticmethod
    def of(layout: Layout, coordinates: Coordinates) -> Box:
        """The box that starts where the layout does."""
        return Box(layout, coordinates, layout.to_action(layout.initial), np.zeros(len(layout.initial)))

    def started_at(self, beta: ArrayLike, spread: ArrayLike | None = None) -> Box:
        """The box that starts at another physical beta (d_all,), clipped to its range, and with spread (d_all,) about
        it, in units of the box.

        Raises ValueError for a wrong shape, or numbers that are not finite or, of spread, below 0.
        """
        start = self.layout.to_action(self.layout.clip(self._checked("beta", beta)))
        wide = self._checked("spread", np.zeros_like(start) if spread is None else spread)
        if np.any(wide < 0.0):
            raise ValueError(f"spread must be 0 or more, got {wide.min()}")
        return dataclasses.replace(self, start=start, start_spread=wide)

    def _checked(self, name: str, given: ArrayLike) -> Array:
        values = np.asarray(given, np.float64)
        if values.shape != self.start.shape or not np.isfinite(values).all():
            raise ValueError(f"{name} must be {self.start.shape} finite numbers, got {values.shape}")
        return values

    @cached_property
    def movable(self) -> NDArray[np.int64]:
        """Indices (d,) of the coordinates that move."""
        return np.flatnonzero(~(self.layout.discrete & (self.coordinates == "continuous")))

    @property
    def centre(self) -> Array:
        """The action (d,) of the start."""
        return self.start[self.movable]

    @property
    def found_spread(self) -> Array | None:
        """The standard deviations (d,) of a start that is a distribution."""
        wide = self.start_spread[self.movable]
        return wide if wide.any() else None

    def spreading(self, spread: Spread) -> Spreading:
        """What an option stands for here."""
        if spread == "several":
            return 2.0 * Noise(np.arange(SEVERAL)).uniform("several", (len(self.movable),)) - 1.0
        return self.found_spread if spread == "found" else spread

    def whole(self, spread: Array) -> Array:
        """Standard deviations (d,) with those of coordinates that do not move, which are 0: (d_all,)."""
        full = np.zeros(len(self.start))
        full[self.movable] = spread
        return full

    def checked(self, actions: ArrayLike, ndim: int) -> Array:
        """Actions (d,) or (k, d) as float64. Raises ValueError for a wrong shape or type, or what is not finite."""
        value, d = np.asarray(actions), len(self.movable)
        wanted = f"({d},)" if ndim == 1 else f"(k, {d})"
        if value.ndim != ndim or value.shape[-1] != d:
            raise ValueError(f"action must have shape {wanted}, got {value.shape}")
        if value.dtype.kind not in "fiu":
            raise ValueError(f"action must be real numbers, got dtype {value.dtype}")
        if not np.isfinite(value).all():
            raise ValueError("action must be finite, got NaN or infinity")
        return value.astype(np.float64)

    def beta(self, actions: ArrayLike) -> Array:
        """Physical beta (..., d_all) of actions (..., d); what is outside the box is clipped."""
        given = np.asarray(actions, np.float64)
        full = np.broadcast_to(self.start, (*given.shape[:-1], len(self.start))).copy()
        full[..., self.movable] = given
        return self.layout.from_action(full)

    def score(self, actions: Array, draws: list[Draw]) -> Array:
        """d log p(draws) / d action, (n, d), of actions (n, d) (Williams 1992)."""
        by_beta = self.layout.log_probability_gradient(self.beta(actions), draws)
        by_action = (0.5 * by_beta * (self.layout.high - self.layout.low))[:, self.movable]
        return np.where(np.abs(actions) <= 1.0, by_action, 0.0)  # clipped coordinates do not move


def spread_about(action: Array, seeds: Seeds, spread: Spreading) -> Array:
    """Actions (n, d) of samples with the seeds (n,): the action (d,) itself, about it, one of several, or anywhere in
    the box.

    What is outside the box is clipped when it is rendered.
    """
    if spread is None:
        return np.tile(action, (len(seeds), 1))
    if isinstance(spread, np.ndarray) and spread.ndim == 2:
        return spread[(len(spread) * Noise(seeds).uniform("which")).astype(int)]
    u = Noise(seeds).uniform("spread", action.shape)
    return 2.0 * u - 1.0 if isinstance(spread, str) else action + spread * ndtri(u)
