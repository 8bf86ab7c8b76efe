"""Poses of lights, as renderers have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def facing(light: Array) -> Array:
    """A pose (4, 4) whose z axis points toward the light, as lights of OpenGL and Blender shine along -z."""
    pose = np.eye(4)
    across = np.cross([0.0, 1.0, 0.0] if abs(light[1]) < 0.9 else [1.0, 0.0, 0.0], light)
    pose[:3, 0] = across / np.linalg.norm(across)
    pose[:3, 1], pose[:3, 2] = np.cross(light, pose[:3, 0]), light
    return pose
