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

    "rmsprop" is the paper's: each coordinate is divided by a running root mean square of its own. "adam" averages the
    gradient besides (Kingma & Ba 2015). "momentum" averages it, and divides it by one running root mean square of its
    length. The t-th update has the step size step (1 + t / decay_after)^-0.75, so that beta settles.
    """

    uses_gradient = True

    rule: Literal["rmsprop", "adam", "momentum"] = "momentum"
    """Update rule."""
    step: float = 0.05
    """Step size: a coordinate moves about this far an update, or less where its gradients disagree."""
    decay: float = 0.9
    """Decay of the averages over past updates."""
    decay_after: float | None = 100.0
    """Updates after which the step size has fallen to 0.6; None keeps it."""

    def __post_init__(self) -> None:
        if self.rule not in ("rmsprop", "adam", "momentum"):
            raise ValueError(f"rule must be rmsprop, adam or momentum, got {self.rule!r}")
        if not (self.step > 0 and 0 <= self.decay < 1 and (self.decay_after is None or self.decay_after > 0)):
            raise ValueError(
                "need step > 0, decay in [0, 1) and decay_after > 0 or None, got "
                f"{self.step}, {self.decay} and {self.decay_after}"
            )

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self._x = x0.copy()
        self._square = np.zeros_like(x0)
        self._mean = np.zeros_like(x0)
        self._count = 0

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        if gradient is None or not np.isfinite(gradient).all():
            return
        step = self.step if self.decay_after is None else self.step * (1.0 + self._count / self.decay_after) ** -0.75
        self._count += 1
        square = np.full_like(gradient, np.mean(gradient**2)) if self.rule == "momentum" else gradient**2
        self._square = self.decay * self._square + (1 - self.decay) * square
        self._mean = self.decay * self._mean + (1 - self.decay) * gradient
        correction = 1 - self.decay**self._count
        root = np.sqrt(self._square / correction)
        wanted = gradient if self.rule == "rmsprop" else self._mean / correction
        scaled = np.divide(wanted, root, out=np.zeros_like(gradient), where=root > 0)
        self._x = np.clip(self._x - step * scaled, -1.0, 1.0)

    def recommend(self) -> Array:
        return self._x
