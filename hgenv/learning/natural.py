"""The natural gradient: how beta moves the least in what is drawn for what it gains (Amari 1998)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_DAMPING = 0.1
"""Added to the diagonal of the Fisher matrix, as a share of its mean."""


def natural_gradient(gradient: Array, scores: Array) -> Array:
    """F^-1 g / sqrt(g^T F^-1 g), (d,), of a gradient g (Amari 1998), with the damped Fisher matrix F = E[score score^T]
    of scores (n, d).

    Along it L changes most for a divergence of the distributions before and after, which is d^T F d / 2 of a step d to
    second order, and 1/2 here. Beta of one length changes what is drawn by very different amounts: F is 0.01 to 390
    on the diagonal of SceneNormals' start, and the covariance of the gradient's noise, about E[I^2] F, is as uneven.
    """
    if not np.isfinite(gradient).all():
        return gradient  # the step fails by it
    fisher = scores.T @ scores / len(scores)
    size = np.trace(fisher) / len(fisher)
    if size == 0.0 or not gradient.any():
        return np.zeros_like(gradient)  # nothing that was drawn depends on beta, or L on that
    along = np.linalg.solve(fisher + _DAMPING * size * np.eye(len(fisher)), gradient)
    unit: Array = along / np.sqrt(along @ gradient)
    return unit
