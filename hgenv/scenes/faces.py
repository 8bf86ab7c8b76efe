"""Morphable face models: heads as a mean plus weighted components, and a procedural one that needs no download.

Axes: x right, y up, z toward the viewer when the head looks at the camera. One unit is about half a head's height.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel
from hgenv.render.mesh import Mesh, SharedMesh, placed, vertex_normals
from hgenv.rotations import turn

Array = NDArray[np.float64]
DISTANCE = 5.0
"""Of the head's centre from the camera; a head is about 2 high."""
FOCAL = 0.4 * DISTANCE
"""Focal length in heights of a picture, which then shows a head's height and a quarter more."""
COMPONENTS = 10
"""Components of geometry, of texture and of expression that beta controls, as in the paper."""


@dataclass(frozen=True, eq=False)
class FaceModel:
    """mean (v, 3); faces (f, 3); geometry (g, v, 3), expression (e, v, 3) displacements, of a coefficient of 1; albedo
    (v, 3) in [0, 1] and its components, texture (t, v, 3). bounded: the coefficients of expressions lie in 0..1; others
    are folded into it."""

    mean: Array
    faces: NDArray[np.int64]
    geometry: Array
    expression: Array
    albedo: Array
    texture: Array
    bounded: bool = False

    def vertices(self, geometry: Array, expression: Array) -> Array:
        """Vertices (v, 3) for coefficients of the first components; the others are 0."""
        if self.bounded:
            expression = np.minimum(np.abs(expression), 1.0)
        found = _weighted(geometry, self.geometry)
        _add(self.mean, found, _weighted(expression, self.expression))
        return found

    def colours(self, texture: Array) -> Array:
        """Albedo (v, 3) for coefficients of the first components, cut off at 0.02 and 1."""
        found = _weighted(texture, self.texture)
        _tint(self.albedo, found)
        return found

    def posed(self, geometry: Array, expression: Array, texture: Array, rotation: Array) -> SharedMesh:
        """The head of coefficients, turned by (3, 3) and put where heads stand."""
        seen = self.vertices(geometry, expression) @ rotation.T
        seen[:, 2] -= DISTANCE
        return SharedMesh(self.faces, seen, vertex_normals(seen, self.faces), self.colours(texture))


def _weighted(coefficients: Array, components: Array) -> Array:
    """The sum (v, 3) of the first components (k, v, 3) by their coefficients; by BLAS, whose order fixes its bits."""
    count, vertices, _ = components.shape
    flat = components.reshape(count, 3 * vertices)[: len(coefficients)]
    return (coefficients[None] @ flat).reshape(vertices, 3)


@kernel()
def _add(mean: Any, shape: Any, expression: Any) -> None:
    """shape (v, 3) becomes the sum of the three."""
    for v in range(len(shape)):
        for k in range(3):
            shape[v, k] = mean[v, k] + shape[v, k] + expression[v, k]


@kernel()
def _tint(albedo: Any, colours: Any) -> None:
    """albedo (v, 3) is added to colours, which are cut off."""
    for v in range(len(colours)):
        for k in range(3):
            colours[v, k] = min(max(albedo[v, k] + colours[v, k], 0.02), 1.0)


def head_frame(vertices: Array, share: float) -> tuple[Array, float]:
    """Centre (3,) and scale that make the head, the upper share of the height, 2 units high about the origin."""
    top, height = vertices[:, 1].max(), share * float(np.ptp(vertices[:, 1]))
    head = vertices[vertices[:, 1] > top - height]
    return 0.5 * (head.min(0) + head.max(0)), 2.0 / height


def _sphere(rows: int, columns: int) -> tuple[Array, NDArray[np.int64]]:
    """Directions (v, 3) and faces of a sphere, whose poles are at the top of the head and the neck."""
    polar = np.linspace(0.0, np.pi, rows)[:, None]
    around = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    parts = np.broadcast_arrays(np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around))
    i, j = np.mgrid[: rows - 1, :columns]
    a, b = i * columns + j, i * columns + (j + 1) % columns
    c, d = a + columns, b + columns
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return np.stack(parts, -1).reshape(-1, 3), faces


class _Head:
    """The procedural head's landmarks on a sphere of directions."""

    def __init__(self) -> None:
        self.directions, self.faces = _sphere(46, 72)

    def bump(self, x: float, y: float, z: float, width: float, height: float | None = None) -> Array:
        """1 at a direction, falling off as a Gaussian; on both sides of the face where x is not 0. (v, 1)."""
        d, found = self.directions, np.zeros(len(self.directions))
        for side in {x, -x}:
            centre = np.array([side, y, z]) / np.linalg.norm([x, y, z])
            off = (d - centre) / [width, height or width, width]
            found = np.maximum(found, np.exp(-0.5 * np.sum(off**2, axis=1)))
        return found[:, None]


@cache
def procedural_head() -> FaceModel:
    """Sixteen components of geometry, ten of expression and ten of texture, on 3,312 vertices. Nobody's face."""
    h = _Head()
    d = h.directions
    out, front = d, np.clip(d[:, 2:], 0.0, 1.0)
    down, right, forward = np.array([0.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    nose, bridge = h.bump(0, -0.12, 1, 0.1, 0.14), h.bump(0, 0.18, 1, 0.07, 0.16)
    eyes, sockets = h.bump(0.36, 0.2, 0.93, 0.08), h.bump(0.36, 0.2, 0.93, 0.17, 0.12)
    brows, forehead = h.bump(0.33, 0.38, 0.88, 0.2, 0.07), h.bump(0, 0.65, 0.75, 0.35)
    lips, slit = h.bump(0, -0.47, 0.88, 0.16, 0.08), h.bump(0, -0.47, 0.88, 0.17, 0.025)
    chin, jaw = h.bump(0, -0.82, 0.57, 0.18), h.bump(0.5, -0.7, 0.5, 0.28)
    cheeks, ears = h.bump(0.55, -0.1, 0.82, 0.2), h.bump(1, 0.05, -0.05, 0.09, 0.17)
    corners = h.bump(0.2, -0.45, 0.87, 0.09)
    low = np.clip(-d[:, 1:2], 0.0, 1.0)
    base = d * [0.72, 1.0, 0.86] * (1.0 - 0.22 * low * [1.0, 0.0, 0.6])
    relief = 0.2 * nose + 0.09 * bridge - 0.1 * sockets + 0.05 * eyes + 0.05 * brows + 0.05 * lips - 0.05 * slit
    mean = base + out * (relief + 0.1 * chin + 0.03 * cheeks + 0.1 * ears)
    side = np.tanh(d[:, :1] / 0.1)
    geometry = [
        0.05 * d * right, 0.06 * d * [0.0, 1.0, 0.0], 0.05 * d * forward, 0.05 * side * right * jaw,
        0.06 * forward * nose, 0.04 * side * right * nose, 0.05 * down * chin, 0.05 * out * forehead,
        0.04 * out * cheeks, 0.04 * side * right * (sockets + eyes), 0.04 * out * brows, 0.03 * out * lips,
        0.03 * forward * bridge, 0.05 * down * nose, 0.04 * out * ears, 0.03 * right * front,
    ]  # fmt: skip
    open_jaw = h.bump(0, -0.85, 0.6, 0.35)
    expression = [
        0.1 * down * open_jaw, 0.06 * (side * right - 0.5 * down) * corners, -0.05 * down * brows, 0.05 * down * brows,
        0.05 * out * cheeks, 0.05 * forward * lips, 0.05 * down * corners, 0.03 * out * eyes,
        0.04 * right * (lips + chin), -0.03 * down * nose,
    ]  # fmt: skip
    skin, one = np.array([0.78, 0.58, 0.47]), np.ones((len(d), 1))
    albedo = skin * one + lips * [0.02, -0.14, -0.1] - 0.35 * brows * skin - 0.3 * eyes
    freckles = np.sin(17 * d[:, :1]) * np.sin(19 * d[:, 1:2] + 1) * np.sin(23 * d[:, 2:] + 2) * front
    texture = [
        0.12 * one * [1.0, 0.9, 0.8], 0.05 * one * [0.5, -1.0, -0.5], 0.05 * one * [0.0, 0.3, -1.0],
        lips * [0.04, -0.08, -0.06], -0.15 * brows * skin, -0.1 * eyes * [1.0, 0.8, 0.5],
        cheeks * [0.04, -0.06, -0.05], 0.05 * forehead * [1.0, 1.0, 1.0], -0.12 * (chin + jaw) * skin,
        0.06 * freckles * [1.0, 1.0, 1.0],
    ]  # fmt: skip
    return FaceModel(mean, h.faces, np.stack(geometry), np.stack(expression), albedo, np.stack(texture))


def before_camera(head: Mesh, pose: Array) -> Mesh:
    """A head about the origin, turned by (yaw, pitch, roll) and put where heads stand."""
    return placed(head, turn(*pose), DISTANCE)
