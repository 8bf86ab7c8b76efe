"""How L depends on what an environment step trained on: the half of the hybrid gradient that no estimator adds to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch
from hgenv.learning.training import Loss, ReversedStep, Tape, directional_derivative, reverse

Array = NDArray[np.float64]
Seeds = NDArray[np.uint64]


class Samples(NamedTuple):
    """n samples of the generator: actions (n, d) and seeds (n,) that they follow from, the batch, and their score.

    The seeds are those that were asked for, but where a sample could not be made and was drawn anew. score() is
    d log p(draws) / d action, (n, d).
    """

    actions: Array
    seeds: Seeds
    batch: Batch
    score: Callable[[], Array]


class Generator(Protocol):
    """f(beta, r) as a function of the normalised beta."""

    def __call__(self, actions: Array, seeds: Seeds) -> Samples:
        """The samples of actions (n, d) and seeds (n,)."""

    def ahead(self, points: Iterable[tuple[Array, Seeds]]) -> Iterator[Samples]:
        """The samples of each (actions, seeds), in their order; while one is used, the next may be drawn."""


@dataclass(frozen=True)
class Signal:
    """How L depends on what the last k steps trained on. All is kept, so that it can be asked at any time.

    tape: the recorded steps; samples: what each trained on; centre (d,): the action of the env step, from which the
    samples' own actions may be spread; discrete (d,): which coordinates belong to discrete distributions;
    by_weights (p,): dL/d(final weights); curvature: whether later steps' gradients are differentiated too;
    count(differentiated steps, influences) keeps the ledger.
    """

    loss: Loss
    tape: Tape
    samples: list[Samples]
    centre: Array
    discrete: NDArray[np.bool_]
    by_weights: Tensor
    curvature: bool
    count: Callable[[int, int], None]

    def reversed(self, sensitivity: bool = False) -> Iterator[ReversedStep]:
        """The reverse pass, last step first; every call runs it anew, one step at a time."""
        self.count(len(self.tape) if sensitivity else (len(self.tape) - 1) * self.curvature, 0)
        return reverse(self.loss, self.tape, self.by_weights, sensitivity, self.curvature)

    def sensitivity(self) -> Batch:
        """dL/dX of all k n samples: image, target and mask, each (k n, ...), first step first."""
        found = [step.sensitivity for step in self.reversed(sensitivity=True)]
        return Batch.join([part for part in reversed(found) if part is not None])

    def influence(self, step: ReversedStep, batch: Batch, exact: bool = True) -> Tensor:
        """I_k(X_i) = dL/d(weight of sample X_i at step k), (n,) float64 on the device: of the samples trained on or of
        any others. `on_host` brings all that an estimate needs to the host at once.

        A sample of weight a adds a l(w, X) / batch size to the training loss of step k, so that
        I_k(X) = <v(k), grad_w l(w(k), X)> / batch size. Without `exact` it is a difference of two forward passes, or of
        one and that of the training, if X are the samples trained on.
        """
        self.count(0, len(batch.image))
        known = self.tape.losses[step.k] if batch is self.tape.batches[step.k] else None
        slopes = directional_derivative(self.loss, step.weights, batch, step.by_gradient, exact, known)
        return slopes.double() / len(self.samples[step.k].seeds)
