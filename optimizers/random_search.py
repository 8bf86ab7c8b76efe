"""Basic random search and its variants (Mania et al. 2018, "Simple random search of static linear policies")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from optimizers.base import Array, register
from optimizers.descent import Averages, Descent, Rule


@register("random-search")
@dataclass
class RandomSearch(Descent):
    """theta <- theta - step / (2 nu N) sum_k (loss(theta + nu delta_k) - loss(theta - nu delta_k)) delta_k.

    delta_k ~ N(0, I). That is BRS, with the 1 / (2 nu) of a central difference, so that one `step` serves at every nu.
    V1 divides by the standard deviation of the 2N losses used instead; V1-t keeps the `best` directions with the lowest
    min(loss+, loss-). Pairs with a loss that is not finite are left out. Evaluated points are clipped to the box; the
    step uses the unclipped delta_k, as if they were not. With another `rule` than Mania et al.'s, "plain", the sum goes
    into that rule as the gradient: in Yang & Deng (2020) that is RMSprop.
    """

    rule: Rule = "plain"
    decay_after: float | None = None
    variant: Literal["BRS", "V1", "V1-t"] = "V1"
    """Which of the paper's variants; V2 needs states to whiten, and beta has none."""
    pairs: int = 2
    """Directions a step, N; each costs two evaluations."""
    nu: float = 0.15
    """Standard deviation of the perturbation, in units of the box [-1, 1]."""
    best: int = 1
    """Directions that V1-t keeps, b."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.pairs >= 1 and self.nu > 0 and 1 <= self.best <= self.pairs):
            raise ValueError(f"need pairs >= 1, nu > 0 and 1 <= best <= pairs, got {self}")

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self._x, self._rng = x0.copy(), rng
        self._delta, self._averages = np.zeros((0, len(x0))), Averages(self)

    def ask(self) -> Array:
        self._delta = self._rng.standard_normal((self.pairs, len(self._x)))
        return np.clip(np.concatenate([self._x + self.nu * self._delta, self._x - self.nu * self._delta]), -1.0, 1.0)

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        plus, minus = np.asarray(loss).reshape(2, -1)
        chosen = np.flatnonzero(np.isfinite(plus) & np.isfinite(minus))
        if self.variant == "V1-t":
            chosen = chosen[np.argsort(np.minimum(plus, minus)[chosen], kind="stable")[: self.best]]
        if not len(chosen):
            return
        difference = plus[chosen] - minus[chosen]
        scale = 2.0 * self.nu
        if self.variant != "BRS":
            scale = float(np.std(np.concatenate([plus[chosen], minus[chosen]])))
        if scale > 0:
            change = self._averages.update(difference @ self._delta[chosen], len(chosen) * scale)
            self._x = np.clip(self._x + change, -1.0, 1.0)

    def recommend(self) -> Array:
        return self._x
