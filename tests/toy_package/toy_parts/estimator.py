"""SPSA on influence."""

from dataclasses import dataclass

import numpy as np

from hgenv.devices import on_host
from hgenv.fields import Positive
from hgenv.learning.gradient import Estimator, Generator, Signal, register_estimator


@register_estimator("signs")
@dataclass(frozen=True, kw_only=True)
class Signs(Estimator):
    """The difference of influence along one direction whose entries are all sigma or -sigma (Spall 1992)."""

    sigma: Positive = 0.1
    """Length of the difference a coordinate."""

    def estimate(self, signal: Signal, generator: Generator, rng: np.random.Generator) -> np.ndarray:
        direction = self.sigma * rng.choice([-1.0, 1.0], len(signal.centre))
        ends = []
        for step in signal.reversed():
            samples = signal.samples[step.k]
            for sign in (1.0, -1.0):
                moved = generator(np.clip(samples.actions + sign * direction, -1, 1), samples.seeds)
                ends.append(sign * signal.influence(step, moved.batch, exact=False).sum())
        return sum(on_host(ends)) / (2 * direction)
