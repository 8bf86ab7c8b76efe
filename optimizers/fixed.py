"""The controls: beta as it is, and beta from anywhere."""

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
