"""Descent along the hybrid gradient (Yang & Deng 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from optimizers.base import Array, Optimizer, register


@register("hybrid-gradient")
@dataclass
class HybridGradient(Optimizer):
    """Clipped descent on beta with the gradient that comes with each committed step.

    "rmsprop" is the paper's: each coordinate is divided by a running root mean square of its own. "momentum" divides
    the whole gradient by one running root mean square of its length and averages it.
    """

    uses_gradient = True

    rule: Literal["rmsprop", "momentum"] = "rmsprop"
    """Update rule."""
    step: float = 0.05
    """Step size: with rmsprop a coordinate moves about this far; with momentum, about this far times sqrt(d) in all."""
    decay: float = 0.9
    """Decay of the running mean square (rmsprop), or of momentum and mean square (momentum)."""

    def __post_init__(self) -> None:
        if self.rule not in ("rmsprop", "momentum"):
            raise ValueError(f"rule must be rmsprop or momentum, got {self.rule!r}")
        if not (self.step > 0 and 0 <= self.decay < 1):
            raise ValueError(f"need step > 0 and decay in [0, 1), got {self.step} and {self.decay}")

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self._x = x0.copy()
        self._square = np.zeros_like(x0)
        self._velocity = np.zeros_like(x0)
        self._count = 0

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        if gradient is None or not np.isfinite(gradient).all():
            return
        self._count += 1
        square = gradient**2 if self.rule == "rmsprop" else np.full_like(gradient, np.mean(gradient**2))
        self._square = self.decay * self._square + (1 - self.decay) * square
        root = np.sqrt(self._square / (1 - self.decay**self._count))
        scaled = np.divide(gradient, root, out=np.zeros_like(gradient), where=root > 0)
        if self.rule == "momentum":
            self._velocity = self.decay * self._velocity + (1 - self.decay) * scaled
            scaled = self._velocity
        self._x = np.clip(self._x - self.step * scaled, -1.0, 1.0)

    def recommend(self) -> Array:
        return self._x
