"""Descent along the hybrid gradient (Yang & Deng 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizers.base import Array, register
from optimizers.descent import Averages, Descent


@register("hybrid-gradient")
@dataclass
class HybridGradient(Descent):
    """Clipped descent on beta with the gradient that comes with each committed step, by any of the estimators.

    Gradients that are not finite are left out. See Descent for the rules.
    """

    uses_gradient = True

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self._x = x0.copy()
        self._averages = Averages(self)

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        if gradient is not None and np.isfinite(gradient).all():
            self._x = np.clip(self._x + self._averages.update(gradient), -1.0, 1.0)

    def recommend(self) -> Array:
        return self._x
