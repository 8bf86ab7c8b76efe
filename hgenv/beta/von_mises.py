"""The inverse CDF of von Mises distributions about 0, by Newton's method on their CDF (Hill 1977, scipy's to the bit).

Angles are in -pi .. pi; std stands for 1 / sqrt(kappa). From kappa = 50 on the CDF is a normal approximation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, ndtr, ndtri

from hgenv.kernels import kernel

Array = NDArray[np.float64]
_NORMAL = 50.0
_MOST, _PRECISION = 50, 1e-11


def angles(u: Array, std: Array) -> Array:
    """Angles (m,) of uniforms (m,): Newton's steps, and bisection where one leaves the bracket. Those of the normal
    approximation are off by 1e-4 at most."""
    kappa = 1.0 / std**2
    scaled = i0e(kappa)
    density, narrow = 2.0 * np.pi * scaled, np.sqrt(2.0 / np.pi) / scaled
    x, low, high = np.clip(std * ndtri(u), -3.0, 3.0), np.full(u.shape, -np.pi), np.full(u.shape, np.pi)
    done = np.zeros(u.shape, bool)  # each draw stops by itself: it must not depend on the others
    for _ in range(_MOST):
        normal = ndtr(narrow * np.sin(x / 2.0))
        rise = np.exp(kappa * (1.0 - np.cos(x)))
        if _step(x, u, kappa, normal, density, rise, low, high, done) == 0:
            break
    return x


@kernel()
def _cdf(kappa: float, x: float) -> float:
    """A backward recursion over the ratios of Bessel functions."""
    terms = int(1.0 + 28.0 + 0.5 * kappa - 100.0 / (kappa + 5.0))  # for twelve digits
    s, c, ratio, total = math.sin(x), math.cos(x), 0.0, 0.0
    sine, cosine = math.sin(terms * x), math.cos(terms * x)
    for n in range(terms - 1, 0, -1):
        sine, cosine = sine * c - cosine * s, cosine * c + sine * s
        ratio = kappa / (2 * n + kappa * ratio)
        total = ratio * (sine / n + total)
    return min(1.0, max(0.0, 0.5 + x / (2.0 * math.pi) + total / math.pi))


@kernel()
def _step(
    x: Any, u: Any, kappa: Any, normal: Any, density: Any, rise: Any, low: Any, high: Any, done: Any
) -> int:  # fmt: skip
    """A step of those that are not done, in place; returns how many are not done then. rise: the density's inverse at
    x, over its inverse at 0."""
    left = 0
    for i in range(len(x)):
        if done[i]:
            continue
        off = (_cdf(kappa[i], x[i]) if kappa[i] < _NORMAL else normal[i]) - u[i]
        if off < 0.0:
            low[i] = x[i]
        else:
            high[i] = x[i]
        new = x[i] - off * density[i] * rise[i]
        if not (low[i] <= new <= high[i]):
            new = 0.5 * (low[i] + high[i])
        done[i] = abs(new - x[i]) < _PRECISION or abs(off) < 4e-16
        x[i] = new
        left += not done[i]
    return left
