"""Shadows of a directional light, by a map of heights toward it (Williams 1978)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel
from hgenv.render.mesh import Mesh
from hgenv.render.renderer import Camera

Array = NDArray[np.float64]


def lit(
    mesh: Mesh, camera: Camera, depth: Array, face: NDArray[np.int64], light: Array, side: int,
    casters: NDArray[np.bool_] | None,
) -> Array:  # fmt: skip
    """1 where the surface of a pixel sees the light, 0 in shadow, (h, w), from a map of `side` pixels.

    depth (h, w) and face (h, w) are what a pixel sees, face -1 nothing. The map covers what is seen. It is as coarse as
    its pixels: a surface is in shadow only if something is nearer to the light by two of them, and more where light
    grazes.
    """
    across = np.cross(light, [1.0, 0.0, 0.0] if abs(light[0]) < 0.9 else [0.0, 1.0, 0.0])
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(light, across), light])
    throwing = np.ones(len(mesh.corners), bool) if casters is None else casters
    low, high, found = np.full(2, np.inf), np.full(2, -np.inf), np.ones(face.shape)
    lens = (np.array(camera.focal), np.array(camera.centre))
    _extent(*lens, depth, face, frame, low, high)
    if (high > low).all():  # something is seen
        pixel = float((high - low).max()) / side
        nearest = np.full((side, side), -np.inf)
        _light_depth(mesh.corners, throwing, frame, low, pixel, nearest)
        _look_up(mesh.corners, *lens, depth, face, frame, low, pixel, nearest, found)
    return found


@kernel()
def _point(i: int, j: int, t: float, focal: Any, centre: Any) -> Any:
    """What the middle of a pixel sees at depth t, in camera coordinates."""
    return t * (j + 0.5 - centre[0]) / focal[0], t * (centre[1] - i - 0.5) / focal[1], -t


@kernel()
def _extent(focal: Any, centre: Any, depth: Any, face: Any, frame: Any, low: Any, high: Any) -> None:
    """Bounds in light coordinates, low and high (2,), of what the camera sees: the map need not reach farther."""
    for i in range(face.shape[0]):
        for j in range(face.shape[1]):
            if face[i, j] < 0:
                continue
            x, y, z = _point(i, j, depth[i, j], focal, centre)
            for k in range(2):
                along = frame[k, 0] * x + frame[k, 1] * y + frame[k, 2] * z
                low[k], high[k] = min(low[k], along), max(high[k], along)


@kernel()
def _light_depth(corners: Any, casters: Any, frame: Any, low: Any, pixel: float, nearest: Any) -> None:
    """The shadow map (side, side) from low on: the largest height toward the light of a hit of the casters."""
    side = len(nearest)
    c = np.empty((3, 3))
    for f in range(len(corners)):
        if not casters[f]:
            continue
        for i in range(3):
            for k in range(3):
                x = frame[k, 0] * corners[f, i, 0] + frame[k, 1] * corners[f, i, 1] + frame[k, 2] * corners[f, i, 2]
                c[i, k] = (x - low[k]) / pixel if k < 2 else x
        area = (c[1, 0] - c[0, 0]) * (c[2, 1] - c[0, 1]) - (c[2, 0] - c[0, 0]) * (c[1, 1] - c[0, 1])
        if abs(area) < 1e-12:  # the light grazes it
            continue
        left, right = min(c[0, 0], c[1, 0], c[2, 0]), max(c[0, 0], c[1, 0], c[2, 0])
        top, bottom = min(c[0, 1], c[1, 1], c[2, 1]), max(c[0, 1], c[1, 1], c[2, 1])
        if bottom < 0.0 or top > side or right < 0.0 or left > side:
            continue
        for i in range(int(np.ceil(max(0.5, top) - 0.5)), int(np.floor(min(side - 0.5, bottom) - 0.5)) + 1):
            for j in range(int(np.ceil(max(0.5, left) - 0.5)), int(np.floor(min(side - 0.5, right) - 0.5)) + 1):
                x, y = j + 0.5, i + 0.5
                a = ((c[1, 0] - x) * (c[2, 1] - y) - (c[2, 0] - x) * (c[1, 1] - y)) / area
                b = ((c[2, 0] - x) * (c[0, 1] - y) - (c[0, 0] - x) * (c[2, 1] - y)) / area
                g = 1.0 - a - b
                if a >= 0.0 and b >= 0.0 and g >= 0.0:
                    nearest[i, j] = max(nearest[i, j], a * c[0, 2] + b * c[1, 2] + g * c[2, 2])


@kernel()
def _look_up(
    corners: Any, focal: Any, centre: Any, depth: Any, face: Any, frame: Any, low: Any, pixel: float, nearest: Any,
    found: Any,
) -> None:  # fmt: skip
    """Set found (h, w) to 0 where the map has something nearer to the light than the point that a pixel sees."""
    side = len(nearest)
    for i in range(face.shape[0]):
        for j in range(face.shape[1]):
            if face[i, j] < 0:
                continue
            x, y, z = _point(i, j, depth[i, j], focal, centre)
            column = int((frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z - low[0]) / pixel)
            row = int((frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z - low[1]) / pixel)
            row, column = min(row, side - 1), min(column, side - 1)
            c = corners[face[i, j]]
            ux, uy, uz = c[1, 0] - c[0, 0], c[1, 1] - c[0, 1], c[1, 2] - c[0, 2]
            vx, vy, vz = c[2, 0] - c[0, 0], c[2, 1] - c[0, 1], c[2, 2] - c[0, 2]
            nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
            along = abs(frame[2, 0] * nx + frame[2, 1] * ny + frame[2, 2] * nz)
            along = min(1.0, along / max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-300))
            slack = pixel * (2.0 + 2.0 * np.sqrt(1.0 - along * along) / max(along, 0.1))
            if nearest[row, column] > frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z + slack:
                found[i, j] = 0.0
