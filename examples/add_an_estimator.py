"""A new estimator of the hybrid gradient in one file: SPSA (Spall 1992) on the influence of the training samples.

Every command knows it with --import: hgenv bench fidelity hgenv/ToyShading-v0 --import examples/add_an_estimator.py
--settings signs score
"""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch

import hgenv  # noqa: F401  (registers the environments)
from hgenv.devices import on_host
from hgenv.fields import Positive
from hgenv.learning.gradient import Estimator, Generator, Signal, register_estimator


@register_estimator("signs")
@dataclass(frozen=True, kw_only=True)
class Signs(Estimator):
    """The difference of the samples' influence along one direction, whose entries are all sigma or -sigma."""

    sigma: Positive = 0.1
    """Length of the difference in every coordinate, each of which is 2 long."""

    def estimate(self, signal: Signal, generator: Generator, rng: np.random.Generator) -> np.ndarray:
        direction = self.sigma * rng.choice([-1.0, 1.0], len(signal.centre))
        ends = []
        for step in signal.reversed():
            samples = signal.samples[step.k]
            for sign in (1.0, -1.0):
                moved = generator(np.clip(samples.actions + sign * direction, -1.0, 1.0), samples.seeds)
                ends.append(sign * signal.influence(step, moved.batch, exact=False).sum())
        return sum(on_host(ends)) / (2.0 * direction)


if __name__ == "__main__":
    torch.set_num_threads(1)
    env = gymnasium.make("hgenv/ToyShading-v0", gradient="signs", gradient_sigma=0.2).unwrapped
    env.reset(seed=0)
    estimates = [env.step(env.start)[4]["hybrid_gradient"] for _ in range(100)]
    toward = env.task.layout.to_action(env.task.optimum) - env.start  # on this task the best beta is known
    mean = -np.mean(estimates, axis=0)
    cosine = mean @ toward / np.linalg.norm(mean) / np.linalg.norm(toward)
    print(f"cosine of the mean descent direction with the way to the best beta: {cosine:.2f}")
