"""Population-based training (Jaderberg et al. 2017): points whose networks are trained on, and taken over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizers.base import Array, Indices, Optimizer, register
from optimizers.checks import check_fields


@register("population-based")
@dataclass
class PopulationBased(Optimizer):
    """Members have a point and a network each, which is trained on from ask to ask; recommends the best one's point.

    The worst `replaced` members take over the network and the point of one of the best `replaced` each (exploit, by the
    paper's truncation selection), and that point is moved (explore), by lengths between `sigma` and a hundredth of it
    where the paper multiplies by 0.8 or 1.2, as a box has no scale. The first member begins at the start, the others
    about it. Losses that are not finite rank last, and such members are replaced, too. Where points have no networks of
    their own, as in a closed form, it is an evolution by truncation selection.
    """

    members: int = 8
    """Members of the population; each is trained a step's training steps at every step."""
    replaced: int = 2
    """Members that are replaced a step, half of all at most; the paper's share is a fifth."""
    sigma: float = 0.5
    """Standard deviation of the longest moves and of the first points, where each coordinate of the box is 2 long."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not (1 <= self.replaced <= self.members // 2 and self.sigma > 0):
            raise ValueError(f"need 1 <= replaced <= members / 2 and sigma > 0, got {self}")

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self._rng, self._best = rng, x0.copy()
        others = x0 + self.sigma * rng.standard_normal((self.members - 1, len(x0)))
        self._points = np.clip(np.concatenate([x0[None], others]), -1.0, 1.0)
        self._origins = np.arange(self.members)

    @property
    def origins(self) -> Indices:
        return self._origins

    def ask(self) -> Array:
        return self._points

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        ranked = np.argsort(np.where(np.isfinite(loss), loss, np.inf), kind="stable")
        finite = int(np.isfinite(loss).sum())
        self._origins = np.arange(len(x))
        if not finite:
            return
        lost = ranked[min(finite, len(x) - self.replaced) :]
        self._origins[lost] = self._rng.choice(ranked[: min(finite, self.replaced)], len(lost))
        self._best, self._points = x[ranked[0]].copy(), x[self._origins]
        self._points[lost] = self._moved(self._points[lost])

    def _moved(self, x: Array) -> Array:
        length = self.sigma * 10.0 ** (-2.0 * self._rng.random((len(x), 1)))
        return np.clip(x + length * self._rng.standard_normal(x.shape), -1.0, 1.0)

    def recommend(self) -> Array:
        return self._best
