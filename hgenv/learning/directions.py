"""Directions of gradients: vectors whose length does not matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def direction_of(gradient: Array) -> Array:
    """A gradient (d,) divided by its largest entry; 0 where that is not finite or 0."""
    largest = np.abs(gradient).max()
    return gradient / largest if np.isfinite(largest) and largest > 0 else np.zeros(len(gradient))


def cosine(a: Array, b: Array) -> float:
    """Cosine of the angle between two vectors, 0 if one of them is."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else 0.0
