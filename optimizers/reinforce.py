"""REINFORCE with a Gaussian policy over beta (Williams 1992; Ruiz et al. 2019; Kar et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from optimizers.base import Array, register
from optimizers.descent import Averages, Descent


@register("reinforce")
@dataclass
class Reinforce(Descent):
    """Draws beta from N(mean, sigma^2) and moves the mean along mean_k (loss_k - baseline) (x_k - mean) / sigma^2.

    Points are clipped to the box when played; the score is that of the unclipped draw. Losses that are not finite are
    left out. The baseline is the moving average b <- decay b + (1 - decay) mean_k loss_k, b starting at the first mean.

    Learning to Simulate (Ruiz et al. 2019): `--play probes --reward level --samples K`, each sample a training of its
    own (here from the current weights, not from scratch). Meta-Sim (Kar et al. 2019), without its MMD term:
    `--play steps --reward level --samples 1 --sigma 0.04 --baseline-decay 0.3`, one network trained on throughout.
    """

    samples: int = 4
    """Draws an update, K."""
    play: Literal["probes", "steps"] = "steps"
    """Where the draws are played: on throw-away copies while the mean is committed, or as the committed steps, which
    costs nothing besides; the first step then plays the start."""
    reward: Literal["level", "drop"] = "drop"
    """Minus the loss, or how far the loss fell since the last one: the last step's, or the mean of the last probes."""
    sigma: float = 0.15
    """Standard deviation of the policy, where each coordinate of the box is 2 long."""
    learn_sigma: bool = False
    """Learn a standard deviation of each coordinate by the same rule, on its logarithm: the answer is then the whole
    distribution, and not its mean."""
    baseline_decay: float = 0.7
    """Decay of the moving-average baseline; 0 takes the mean of the current draws."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples == 1 and self.baseline_decay == 0:
            raise ValueError("a single draw is its own mean: it needs a baseline_decay above 0, got 0")
        if not (self.samples >= 1 and self.sigma > 0 and 0 <= self.baseline_decay < 1):
            raise ValueError(
                "need samples >= 1, sigma > 0 and baseline_decay in [0, 1), got "
                f"{self.samples}, {self.sigma} and {self.baseline_decay}"
            )

    @property
    def uses_steps(self) -> bool:
        return self.play == "steps"

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self._rng, self._mean = rng, x0.copy()
        self._log_sigma = np.full_like(x0, np.log(self.sigma))
        self._of_mean, self._of_sigma = Averages(self), Averages(self)
        self._baseline: float | None = None
        self._last: float | None = None
        self._z = np.zeros((self.samples, len(x0)))
        self._costs: list[float] = []
        self._begun = False

    def ask(self) -> Array:
        if self.play == "steps":
            return np.empty((0, len(self._mean)))
        self._draw()
        return self._points()

    def _draw(self) -> None:
        self._z = self._rng.standard_normal(self._z.shape)

    def _points(self) -> Array:
        return np.clip(self._mean + np.exp(self._log_sigma) * self._z, -1.0, 1.0)

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        loss = np.asarray(loss, np.float64)
        if self.play == "probes":
            self._learn(self._cost(loss))
        elif not self._begun:  # the start has been played: it gives the level to drop from
            self._begun = True
            self._last = float(loss[0]) if np.isfinite(loss[0]) else None
            self._draw()
        else:
            self._costs.extend(self._cost(loss))
            if len(self._costs) == self.samples:
                self._learn(np.array(self._costs))
                self._costs = []
                self._draw()

    def _cost(self, loss: Array) -> Array:
        """Minus the rewards (k,), NaN where there is none. The first probes' drop is that from their own mean."""
        finite = loss[np.isfinite(loss)]
        if not len(finite):
            return np.full(len(loss), np.nan)
        last, self._last = self._last, float(finite.mean())
        level = 0.0 if self.reward == "level" else self._last if last is None else last
        return np.where(np.isfinite(loss), loss - level, np.nan)

    def _learn(self, costs: Array) -> None:
        used = np.isfinite(costs)
        if not used.any():
            return
        mean = float(costs[used].mean())
        decay = self.baseline_decay if self._baseline is not None else 0.0
        self._baseline = decay * (self._baseline or 0.0) + (1.0 - decay) * mean
        advantage, z = costs[used] - self._baseline, self._z[used]
        if not advantage.any():
            return
        sigma = np.exp(self._log_sigma)
        self._mean = np.clip(self._mean + self._of_mean.update(advantage @ z / len(z) / sigma), -1.0, 1.0)
        if self.learn_sigma:
            change = self._of_sigma.update(advantage @ (z**2 - 1.0) / len(z))
            self._log_sigma = np.clip(self._log_sigma + change, np.log(0.01), np.log(1.0))

    def recommend(self) -> Array:
        if self.play == "steps" and self._begun:
            return self._points()[len(self._costs)]
        return self._mean

    def found(self) -> Array:
        return self._mean

    def found_spread(self) -> Array | None:
        return np.exp(self._log_sigma) if self.learn_sigma else None
