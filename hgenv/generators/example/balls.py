"""Balls and cones under a directional light, and their normals (x right, y up, z toward the viewer)."""

from typing import Any

import numpy as np
from hgenv_generator import serve


def sample(draws: dict[str, Any], rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, ...]:
    """The shape is `radius` half widths large, and the light comes from (x, y, 1)."""
    x = np.broadcast_to((np.arange(width) + 0.5) * 2.0 / width - 1.0, (height, width)) / draws["radius"]
    y = -np.broadcast_to(((np.arange(height) + 0.5) * 2.0 / height - 1.0)[:, None], (height, width)) / draws["radius"]
    distance = np.sqrt(x**2 + y**2)
    mask = distance < 1.0
    z = np.sqrt(np.maximum(0.0, 1.0 - distance**2)) if draws["shape"] == "ball" else np.maximum(distance, 1e-6)
    normal = np.stack([x, y, z])
    normal = mask * normal / np.sqrt((normal**2).sum(0))
    light = np.append(draws["light"], 1.0)
    return np.maximum(0.0, np.tensordot(light / np.sqrt((light**2).sum()), normal, 1))[None], normal, mask


if __name__ == "__main__":
    serve(sample)
