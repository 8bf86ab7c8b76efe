"""The better of here and somewhere near."""

from dataclasses import dataclass

import numpy as np

from optimizers import Optimizer, register


@register("better-of-two")
@dataclass
class BetterOfTwo(Optimizer):
    """Evaluates the point and one near it, and goes where the loss is lower."""

    reach: float = 0.3
    """Standard deviation of the other point."""

    def init(self, x0: np.ndarray, rng: np.random.Generator) -> None:
        self._x, self._rng = x0.copy(), rng

    def ask(self) -> np.ndarray:
        return np.clip([self._x, self._x + self.reach * self._rng.standard_normal(len(self._x))], -1, 1)

    def tell(self, x: np.ndarray, loss: np.ndarray, gradient: np.ndarray | None = None) -> None:
        self._x = x[int(loss[1] < loss[0])]

    def recommend(self) -> np.ndarray:
        return self._x
