"""A (mu + lambda) evolution with crossover: shape evolution on compositions, a genetic algorithm on any beta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizers.base import Array, Optimizer, register
from optimizers.checks import check_fields


@register("evolution")
@dataclass
class Evolution(Optimizer):
    """Keeps the fittest `parents` of parents and children, and recommends the fittest of all (Yang & Deng 2018).

    Parents are evaluated anew with their children, as losses of an older network cannot be compared. A child takes each
    coordinate from one of two parents (crossover) or all from one, and some of its coordinates are moved (mutation), by
    lengths between `sigma` and a hundredth of it. Losses that are not finite rank last: where a committed point adds
    nothing a second time, and says so by its loss, the fittest new one is recommended.
    """

    parents: int = 2
    """Survivors a step, mu."""
    children: int = 4
    """Children a step, lambda."""
    crossover: float = 0.5
    """Probability that a child has two parents."""
    mutation: float = 0.5
    """Probability that a coordinate is moved; one at least is."""
    sigma: float = 0.5
    """Standard deviation of the longest moves, where each coordinate of the box is 2 long."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not (self.parents >= 1 and self.children >= 1 and self.sigma > 0):
            raise ValueError(f"need parents >= 1, children >= 1 and sigma > 0, got {self}")
        if not (0 <= self.crossover <= 1 and 0 <= self.mutation <= 1):
            raise ValueError(f"crossover and mutation are probabilities, got {self.crossover} and {self.mutation}")

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self._rng, self._population = rng, x0[None].copy()

    def ask(self) -> Array:
        return np.concatenate([self._population, [self._child() for _ in range(self.children)]])

    def _child(self) -> Array:
        rng, d = self._rng, self._population.shape[1]
        mother, father = self._population[rng.integers(len(self._population), size=2)]
        mixed = (rng.random(d) < 0.5) & (rng.random() < self.crossover)
        moved = (rng.random(d) < self.mutation) | (np.arange(d) == rng.integers(d))
        length = self.sigma * 10.0 ** (-2.0 * rng.random())
        return np.clip(np.where(mixed, father, mother) + moved * length * rng.standard_normal(d), -1.0, 1.0)

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        ranked = np.argsort(np.where(np.isfinite(loss), loss, np.inf), kind="stable")
        if np.isfinite(loss).any():
            self._population = x[ranked[: self.parents]].copy()

    def recommend(self) -> Array:
        return self._population[0]
