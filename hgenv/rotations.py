"""Directions and rotations, from uniforms and from angles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def turn(yaw: ArrayLike, pitch: ArrayLike, roll: ArrayLike = 0.0) -> Array:
    """Rotations (..., 3, 3) by yaw about y, then pitch about x, then roll about z, in radians."""
    angles = np.stack(np.broadcast_arrays(yaw, pitch, roll))
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles), np.sin(angles)
    about_y, about_x, about_z = np.zeros((3, *angles.shape[1:], 3, 3))
    about_y[..., 0, 0], about_y[..., 0, 2], about_y[..., 2, 0], about_y[..., 2, 2] = cy, sy, -sy, cy
    about_x[..., 1, 1], about_x[..., 1, 2], about_x[..., 2, 1], about_x[..., 2, 2] = cp, -sp, sp, cp
    about_z[..., 0, 0], about_z[..., 0, 1], about_z[..., 1, 0], about_z[..., 1, 1] = cr, -sr, sr, cr
    about_y[..., 1, 1] = about_x[..., 0, 0] = about_z[..., 2, 2] = 1.0
    turned: Array = about_z @ about_x @ about_y
    return turned
