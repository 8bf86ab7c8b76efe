"""The generator half of the hybrid gradient: from what L feels of the training data to dL/dbeta.

`Signal` is the analytic half of one env step, computed on demand. An estimator turns it into a vector; each is one
class here and one entry of `ESTIMATORS`, which names the choices of the option `gradient`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv.task import Batch
from hgenv.training import Loss, ReversedStep, Tape, reverse

Array = NDArray[np.float64]
Render = Callable[[Array, NDArray], Batch]
"""(actions (n, d), seeds (n,)) -> Batch of n rows: the generator, as a function of the normalised beta."""


@dataclass(frozen=True)
class Signal:
    """How L depends on what the last k steps trained on.

    tape: the recorded steps; actions (k, n, d) and seeds (k, n): what their batches were made from (draws are keyed, so
    they follow from these); by_weights (p,): dL/d(final weights). All is kept, so that it can be asked at any time.
    """

    loss: Loss
    tape: Tape
    actions: Array
    seeds: NDArray
    by_weights: Tensor

    def reversed(self) -> Iterator[ReversedStep]:
        """The reverse pass, last step first; every call runs it anew, one step at a time."""
        return reverse(self.loss, self.tape, self.by_weights)

    def sensitivity(self) -> Batch:
        """dL/dX of all k n samples: image, target and mask, each (k n, ...), first step first."""
        return Batch.join([step.sensitivity for step in self.reversed()][::-1])


class Estimator(ABC):
    """A way to estimate dL/d(action)."""

    @abstractmethod
    def estimate(self, signal: Signal, render: Render, rng: np.random.Generator) -> Array:
        """The estimate, (d,), in units of the action box [-1, 1]^d."""


@dataclass(frozen=True)
class ImageDifference(Estimator):
    """The paper's estimator (Yang & Deng 2020, Eqs 10-11): sensitivity times central differences of the samples.

    Along each direction d_j ~ sigma N(0, I), shared by all samples,
    c_j = sum_i <dL/dX_i, f(beta + d_j, r_i) - f(beta - d_j, r_i)> / (2 |d_j|^2), and the estimate is mean_j c_j d_j.
    Both ends use the same r_i, and are clipped to the box as the paper does, which shortens differences at its walls.

    As E[d d^T / |d|^2] = I / d for d coordinates, this estimates the gradient over d ("paper"); "unbiased" multiplies
    by d.
    """

    directions: int = 4
    sigma: float = 0.04
    scaling: Literal["unbiased", "paper"] = "unbiased"

    def estimate(self, signal: Signal, render: Render, rng: np.random.Generator) -> Array:
        d = signal.actions.shape[-1]
        directions = self.sigma * rng.standard_normal((self.directions, d))
        slopes = np.zeros(self.directions)
        for step in signal.reversed():
            actions, seeds = signal.actions[step.k], signal.seeds[step.k]
            for j, direction in enumerate(directions):
                plus = render(np.clip(actions + direction, -1.0, 1.0), seeds)
                minus = render(np.clip(actions - direction, -1.0, 1.0), seeds)
                slopes[j] += _inner_product(step.sensitivity, plus, minus)
        coefficients = slopes / (2.0 * np.sum(directions**2, axis=1))
        return coefficients @ directions / self.directions * (d if self.scaling == "unbiased" else 1)


def _inner_product(sensitivity: Batch, plus: Batch, minus: Batch) -> float:
    """<sensitivity, plus - minus> over image, target and mask."""
    parts = zip(sensitivity, plus, minus, strict=True)
    return sum(torch.sum(s * (p - m), dtype=torch.float64).item() for s, p, m in parts)


ESTIMATORS: dict[str, type[ImageDifference]] = {"image": ImageDifference}
