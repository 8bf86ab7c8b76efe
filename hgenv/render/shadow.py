"""Shadows of a directional light, by a map of heights toward it (Williams 1978)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel

Array = NDArray[np.float64]


def light_frame(light: Array) -> Array:
    """Axes (3, 3) as rows: two across a light (3,), a unit vector toward it, and the light's."""
    x, y, z = light.tolist()
    across = np.array((0.0, z, -y) if abs(x) < 0.9 else (-z, 0.0, x))
    right, up, out = (across / math.sqrt(across.dot(across))).tolist()
    return np.array(((right, up, out), (y * out - z * up, z * right - x * out, x * up - y * right), (x, y, z)))


@kernel()
def lit(
    points: Any, faces: Any, lens: Any, depth: Any, face: Any, frame: Any, side: int, casters: Any, found: Any
) -> None:
    """Set found (h, w) to 0 where the surface of a pixel is in shadow, by a map of `side` pixels.

    depth (h, w) and face (h, w) are what a pixel sees, face -1 nothing. The map covers what is seen. It is as coarse as
    its pixels: a surface is in shadow only if something is nearer to the light by two of them, and more where light
    grazes. frame: `light_frame`. casters (f,): the faces that throw shadows, empty for all.
    """
    height, width = face.shape
    place = np.empty(
        (3, height, width + 8)
    )  # a little wider, so that rows of the three differ in their place in a cache
    for i in range(height):
        _toward_light(i, depth[i], lens, frame, place[0, i], place[1, i], place[2, i])
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    _extent(face, place, low, high)
    if high[0] > low[0] and high[1] > low[1]:  # something is seen
        pixel = max(high[0] - low[0], high[1] - low[1]) / side
        nearest = np.full((side, side), -np.inf)
        _light_depth(points, faces, casters, frame, low, pixel, nearest)
        _look_up(points, faces, face, place, frame[2], low, pixel, nearest, found)


@kernel()
def _toward_light(i: int, depth: Any, lens: Any, frame: Any, right: Any, up: Any, out: Any) -> None:
    """Light coordinates, right, up and out (w,), of what the pixels of row i see at these depths (w,)."""
    focal_x, focal_y, centre_x, centre_y = lens[0, 0], lens[0, 1], lens[1, 0], lens[1, 1]
    rx, ry, rz = frame[0, 0], frame[0, 1], frame[0, 2]
    ux, uy, uz = frame[1, 0], frame[1, 1], frame[1, 2]
    ox, oy, oz = frame[2, 0], frame[2, 1], frame[2, 2]
    for j in range(len(depth)):  # several pixels an instruction
        t = depth[j]
        x, y, z = t * (j + 0.5 - centre_x) / focal_x, t * (centre_y - i - 0.5) / focal_y, -t
        right[j], up[j], out[j] = rx * x + ry * y + rz * z, ux * x + uy * y + uz * z, ox * x + oy * y + oz * z


@kernel()
def _extent(face: Any, place: Any, low: Any, high: Any) -> None:
    """Bounds in light coordinates, low and high (2,), of what the camera sees: the map need not reach farther."""
    for i in range(face.shape[0]):
        for j in range(face.shape[1]):
            if face[i, j] >= 0:
                for k in range(2):
                    low[k], high[k] = min(low[k], place[k, i, j]), max(high[k], place[k, i, j])


@kernel()
def _light_depth(points: Any, faces: Any, casters: Any, frame: Any, low: Any, pixel: float, nearest: Any) -> None:
    """The shadow map (side, side) from low on: the largest height toward the light of a hit of the casters."""
    side = len(nearest)
    c = np.empty((3, 3))
    for f in range(len(faces)):
        if len(casters) and not casters[f]:
            continue
        for i in range(3):
            point = points[faces[f, i]]
            for k in range(3):
                x = frame[k, 0] * point[0] + frame[k, 1] * point[1] + frame[k, 2] * point[2]
                c[i, k] = (x - low[k]) / pixel if k < 2 else x
        area = (c[1, 0] - c[0, 0]) * (c[2, 1] - c[0, 1]) - (c[2, 0] - c[0, 0]) * (c[1, 1] - c[0, 1])
        if abs(area) < 1e-12:  # the light grazes it
            continue
        left, right = min(c[0, 0], c[1, 0], c[2, 0]), max(c[0, 0], c[1, 0], c[2, 0])
        top, bottom = min(c[0, 1], c[1, 1], c[2, 1]), max(c[0, 1], c[1, 1], c[2, 1])
        if bottom < 0.0 or top > side or right < 0.0 or left > side:
            continue
        x0, y0, z0 = c[0, 0], c[0, 1], c[0, 2]
        x1, y1, z1 = c[1, 0], c[1, 1], c[1, 2]
        x2, y2, z2 = c[2, 0], c[2, 1], c[2, 2]
        first, last = int(np.ceil(max(0.5, left) - 0.5)), int(np.floor(min(side - 0.5, right) - 0.5)) + 1
        for i in range(int(np.ceil(max(0.5, top) - 0.5)), int(np.floor(min(side - 0.5, bottom) - 0.5)) + 1):
            y, row = i + 0.5, nearest[i, first:last]
            for j in range(len(row)):
                x = j + first + 0.5
                a = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
                b = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
                g = 1.0 - a - b
                height = a * z0 + b * z1 + g * z2
                inside = (a >= 0.0) & (b >= 0.0) & (g >= 0.0)  # without branches: several pixels an instruction
                row[j] = height if inside & (height > row[j]) else row[j]


@kernel()
def _look_up(
    points: Any, faces: Any, face: Any, place: Any, light: Any, low: Any, pixel: float, nearest: Any, found: Any
) -> None:
    """Set found (h, w) to 0 where the map has something nearer to the light than the point that a pixel sees."""
    side, before, slack = len(nearest), -1, 0.0
    for i in range(face.shape[0]):
        for j in range(face.shape[1]):
            if face[i, j] < 0:
                continue
            if face[i, j] != before:
                before = face[i, j]
                slack = _slack(points, faces[before, 0], faces[before, 1], faces[before, 2], light, pixel)
            column, row = int((place[0, i, j] - low[0]) / pixel), int((place[1, i, j] - low[1]) / pixel)
            row, column = min(row, side - 1), min(column, side - 1)
            if nearest[row, column] > place[2, i, j] + slack:
                found[i, j] = 0.0


@kernel()
def _slack(points: Any, p: int, q: int, r: int, light: Any, pixel: float) -> float:
    """How much nearer to the light something must be to shadow a face: more where light grazes it."""
    ux, uy, uz = points[q, 0] - points[p, 0], points[q, 1] - points[p, 1], points[q, 2] - points[p, 2]
    vx, vy, vz = points[r, 0] - points[p, 0], points[r, 1] - points[p, 1], points[r, 2] - points[p, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    along = abs(light[0] * nx + light[1] * ny + light[2] * nz)
    along = min(1.0, along / max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-300))
    return pixel * (2.0 + 2.0 * np.sqrt(1.0 - along * along) / max(along, 0.1))
