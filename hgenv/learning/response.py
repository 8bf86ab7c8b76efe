"""The response of a long training: how a loss follows a lasting change of the training data, K steps later.

The first step after a change of data moves the weights along its gradient, and this is what a short horizon sees. Later
steps repair what they can: near where training has come to, w(k+1) = w(k) - R (H w(k) + g) with rates R, one of every
weight, and curvature H, so that a lasting change of g has moved the weights after K steps by
-R^1/2 f(A) R^1/2 g, with A = R^1/2 H R^1/2 and f(s) = (1 - exp(-K s)) / s.
Stiff directions, along which s is large, have settled; flat ones still grow as K. The spectrum of the last batch
gradients stands for that of H: batch size x their covariance, the Fisher matrix (in the spirit of SOURCE: Bae et al.
2024, arXiv 2405.12186).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

KEPT = 64
"""Batch gradients of which the spectrum is."""
EVERY = 4
"""Training steps from one that is kept to the next."""
_CLAMPED = 0.95
"""Rates beyond this quantile, of weights that hardly ever have a gradient, count as if they were there."""


class Recent:
    """Gradients of some of the last batches, (m, p): those of before, if there were any, and those that it sees."""

    def __init__(self, before: Tensor | None) -> None:
        self._before, self._seen = before, list[Tensor]()

    def see(self, taken: int, gradient: Tensor) -> None:
        """The gradient (p,) of the step after so many."""
        if taken % EVERY == 0:
            self._seen.append(gradient)

    def rows(self) -> Tensor | None:
        """All of them, the last one last; None before the first."""
        before = [] if self._before is None else list(self._before)
        rows = [*before, *self._seen][-KEPT:]
        return torch.stack(rows) if rows else None


def clamped(rates: Tensor) -> Tensor:
    """The rates (p,), the largest of them no larger than the quantile."""
    return rates.clamp(max=rates.kthvalue(math.ceil(_CLAMPED * len(rates))).values)


def long_response(by_weights: Tensor, rates: Tensor, gradients: Tensor, batch_size: int, steps: int) -> Tensor:
    """What stands for dL/dw (p,), a loss' derivative at the end of a training, if its steps are to be judged by the
    loss `steps` further steps later: R^-1/2 f(A) R^1/2 dL/dw / f(0).

    rates (p,): what a step moves each weight by a unit of gradient; gradients (m, p): of batches of so many samples.
    Fewer than two have no spectrum: by_weights itself.
    """
    if len(gradients) < 2:
        return by_weights
    root = clamped(rates).sqrt()
    spread = (batch_size / len(gradients)) ** 0.5 * root * (gradients - gradients.mean(0))
    sizes, axes = torch.linalg.eigh((spread @ spread.T).double())
    sizes = sizes.clamp(min=torch.finfo(sizes.dtype).tiny)
    inside = -torch.expm1(-steps * sizes) / (steps * sizes)  # f(s) / f(0)
    scaled = root * by_weights
    along = axes.T @ (spread @ scaled).double()
    change = axes @ ((inside - 1.0) / sizes * along)
    return by_weights + (spread.T @ change.to(spread.dtype)) / root
