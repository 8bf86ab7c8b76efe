"""Directions and rotations, from uniforms and from angles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel

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
    return turns(np.array((yaw, pitch, roll)))


def turns(angles: Array) -> Array:
    """Rotations (..., 3, 3) by yaws, pitches and rolls (..., 3)."""
    flat = np.ascontiguousarray(angles).reshape(-1, 3)
    about = np.zeros((3, len(flat), 3, 3))
    _about_axes(np.cos(flat), np.sin(flat), about)
    turned: Array = about[2] @ about[1] @ about[0]
    return turned.reshape(*angles.shape, 3)


@kernel()
def _about_axes(cosines: Any, sines: Any, about: Any) -> None:
    """Rotations (3, n, 3, 3) about y, x and z by angles (n, 3)."""
    for k in range(3):
        fixed = (1, 0, 2)[k]
        first, second = (2, 1, 0)[k], (0, 2, 1)[k]  # an axis of a right-handed frame turns towards the next
        for i in range(len(cosines)):
            about[k, i, fixed, fixed] = 1.0
            about[k, i, first, first] = about[k, i, second, second] = cosines[i, k]
            about[k, i, first, second], about[k, i, second, first] = -sines[i, k], sines[i, k]
