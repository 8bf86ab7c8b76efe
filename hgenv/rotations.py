"""Directions and rotations, from uniforms and from angles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def unit_vector(u: Array) -> Array:
    """Uniform directions (..., 3) from uniforms (..., 2)."""
    z, angle = 2.0 * u[..., 0] - 1.0, 2.0 * np.pi * u[..., 1]
    across = np.sqrt(1.0 - z**2)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=-1)


def unit_quaternion(u: Array) -> Array:
    """Uniform rotations (..., 4) from uniforms (..., 3) (Shoemake 1992)."""
    a, b = np.sqrt(1.0 - u[..., 0]), np.sqrt(u[..., 0])
    x, y = 2.0 * np.pi * u[..., 1], 2.0 * np.pi * u[..., 2]
    return np.stack([b * np.cos(y), a * np.sin(x), a * np.cos(x), b * np.sin(y)], axis=-1)


def rotation(q: Array) -> Array:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4), w first."""
    w, x, y, z = np.moveaxis(q, -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def turn(yaw: float, pitch: float, roll: float = 0.0) -> Array:
    """Rotation (3, 3) by yaw about y, then pitch about x, then roll about z, in radians."""
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    return np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]]) @ about_x @ about_y
