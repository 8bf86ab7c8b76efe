"""The update rules that all optimizers share which estimate a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from optimizers.base import Array, Optimizer
from optimizers.checks import check_fields

Rule = Literal["plain", "rmsprop", "adam", "momentum", "average"]


@dataclass
class Descent(Optimizer):
    """Base of the optimizers that move along an estimated gradient; its fields are the update rule's.

    "plain" takes the gradient as it is. "rmsprop" is the paper's and torch's: each coordinate is divided by a running
    root mean square of its own, which begins at 0. "adam" averages the gradient besides (Kingma & Ba 2015). "momentum"
    averages it, and divides it by one running root mean square of its length; "average" does not divide it, for
    gradients whose length says how far to go, as the natural one. The t-th update has the step size
    step (1 + t / decay_after)^-0.75, so that beta settles.
    """

    rule: Rule = "momentum"
    """Update rule."""
    step: float = 0.05
    """Step size, by which "plain" and "average" multiply the gradient; by the other rules a coordinate moves about this
    far an update, or less where its gradients disagree."""
    decay: float = 0.9
    """Decay of the averages over past updates."""
    decay_after: float | None = 100.0
    """Updates after which the step size has fallen to 0.6; None keeps it."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not (self.step > 0 and 0 <= self.decay < 1 and (self.decay_after is None or self.decay_after > 0)):
            raise ValueError(
                "need step > 0, decay in [0, 1) and decay_after > 0 or None, got "
                f"{self.step}, {self.decay} and {self.decay_after}"
            )


@dataclass
class Averages:
    """The running averages of one descent, and the updates that follow from them."""

    options: Descent

    def __post_init__(self) -> None:
        self._count = 0
        self._square: Array | float = 0.0
        self._mean: Array | float = 0.0

    def update(self, total: Array, count: float = 1.0) -> Array:
        """What to add to the point (d,) for a finite gradient total / count, (d,)."""
        o = self.options
        step = o.step if o.decay_after is None else o.step * (1.0 + self._count / o.decay_after) ** -0.75
        self._count += 1
        if o.rule == "plain":
            return -step * total / count
        gradient = total / count
        if o.rule == "average":
            self._mean = o.decay * self._mean + (1 - o.decay) * gradient
            return -step * self._mean / (1 - o.decay**self._count)
        square = np.full_like(gradient, np.mean(gradient**2)) if o.rule == "momentum" else gradient**2
        self._square = o.decay * self._square + (1 - o.decay) * square
        self._mean = o.decay * self._mean + (1 - o.decay) * gradient
        correction = 1.0 if o.rule == "rmsprop" else 1 - o.decay**self._count
        root = np.sqrt(self._square / correction)
        wanted = gradient if o.rule == "rmsprop" else self._mean / correction
        return -step * np.divide(wanted, root, out=np.zeros_like(gradient), where=root > 0)
