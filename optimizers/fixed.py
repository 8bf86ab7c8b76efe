"""The controls: beta as it is, beta from anywhere for every sample, and beta from anywhere for every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizers.base import Array, Optimizer, register


@register("fixed")
@dataclass
class Fixed(Optimizer):
    """Keeps the start: the control that any gain must be measured against, at equal cost."""

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self._x = x0.copy()

    def recommend(self) -> Array:
        return self._x


@register("random-beta")
@dataclass
class RandomBeta(Fixed):
    """Every sample has its own beta from the whole box: domain randomisation, the paper's random-beta control."""

    spread = "uniform"


@register("random-step")
@dataclass
class RandomStep(Fixed):
    """After the start, every step commits a point from anywhere: what a growing dataset gains without selection."""

    @property
    def uses_steps(self) -> bool:
        return True

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        super().init(x0, rng)
        self._rng = rng

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        self._x = self._rng.uniform(-1.0, 1.0, len(self._x))
