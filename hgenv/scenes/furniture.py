"""Furniture-like shapes to put textures on: boxes and cylinders, assembled, with texture coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel
from hgenv.render.mesh import Mesh, Textures, of_unit_size, placed, unit_normals
from hgenv.render.renderer import Camera, Scene
from hgenv.rotations import turn, unit_vector

Array = NDArray[np.float64]
Point = Sequence[float] | Array
DISTANCE = 2.2
"""Of an object's centre from the camera; its bounding box has a diagonal of 1."""


class Box(NamedTuple):
    """Between two corners (3,); each face has the texture once a unit of length."""

    low: Point
    high: Point


class Cone(NamedTuple):
    """A truncated cone along y between two centres (3,), with radii at bottom and top; the texture goes round once."""

    bottom: Point
    top: Point
    radius: float
    end: float


def box(low: Point, high: Point) -> Mesh:
    """A `Box`."""
    return built([Box(low, high)])


def built(solids: Sequence[Box | Cone], sides: int = 20) -> Mesh:
    """Solids as a mesh with texture 0, boxes first; cones have so many sides."""
    boxes = np.array([[*s.low, *s.high] for s in solids if isinstance(s, Box)]).reshape(-1, 6)
    cones = np.array([[*s.bottom, *s.top, s.radius, s.end] for s in solids if isinstance(s, Cone)]).reshape(-1, 8)
    count = 12 * len(boxes) + 4 * sides * len(cones)
    corners, normals, uv = np.empty((count, 3, 3)), np.zeros((count, 3, 3)), np.empty((count, 3, 2))
    _boxes(boxes, corners, uv)
    if len(cones):
        _cones(cones, *_round(sides), corners[12 * len(boxes) :], normals[12 * len(boxes) :], uv[12 * len(boxes) :])
    return Mesh(corners, normals, np.ones((count, 3, 3)), uv, np.zeros(count, np.int64))


@cache
def _round(sides: int) -> tuple[Array, Array]:
    """Points on a circle, cosines and sines (2, sides + 1), and how far round they are (sides + 1,)."""
    around = np.linspace(0.0, 2.0 * np.pi, sides + 1)
    return np.stack([np.cos(around), np.sin(around)]), around / (2 * np.pi)


@kernel()
def _boxes(boxes: Any, corners: Any, uv: Any) -> None:
    """Boxes (b, 6), low and high, as faces from the first on: two triangles a side."""
    f = 0
    for b in range(len(boxes)):
        for axis in range(3):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            for end in range(2):
                for second in range(2):
                    for k in range(3):
                        corner = k + second if k else 0  # of the square's four, in turn
                        corners[f, k, axis] = boxes[b, 3 * end + axis]
                        corners[f, k, u] = uv[f, k, 0] = boxes[b, (3 if 1 <= corner <= 2 else 0) + u]
                        corners[f, k, v] = uv[f, k, 1] = boxes[b, (3 if corner >= 2 else 0) + v]
                    f += 1


@kernel()
def _cones(cones: Any, ring: Any, around: Any, corners: Any, normals: Any, uv: Any) -> None:
    """Cones (c, 8), `Cone`'s fields, as faces from the first on: walls, smooth, and flat discs at both ends."""
    sides = len(around) - 1
    wall, points = np.empty((2 * sides, 3), np.int64), np.empty((2 * sides + 2, 3))
    for i in range(sides):
        j = i + sides + 1
        wall[i] = i, j, i + 1
        wall[sides + i] = i + 1, j, j + 1
    for c in range(len(cones)):
        first = 4 * sides * c
        for end in range(2):
            centre, radius = cones[c, 3 * end : 3 * end + 3], cones[c, 6 + end]
            disc = first + (2 + end) * sides
            for i in range(sides + 1):
                point = points[end * (sides + 1) + i]
                point[0], point[2] = centre[0] + radius * ring[0, i], centre[2] + radius * ring[1, i]
                point[1] = centre[1]
            for i in range(sides):
                for k in range(3):
                    corner = points[end * (sides + 1) + i + k - 1] if k else centre
                    corners[disc + i, k] = corner
                    uv[disc + i, k, 0], uv[disc + i, k, 1] = corner[0], corner[2]
        smooth = unit_normals(points, wall)
        for f in range(2 * sides):
            for k in range(3):
                row = wall[f, k]
                corners[first + f, k], normals[first + f, k] = points[row], smooth[row]
                uv[first + f, k, 0], uv[first + f, k, 1] = around[row % (sides + 1)], row // (sides + 1)


def _legs(u: float, width: float, depth: float, height: float) -> list[Box | Cone]:
    thick = 0.03 + 0.05 * u
    return [
        Box((x - thick, 0.0, z - thick), (x + thick, height, z + thick))
        for x in (thick - width, width - thick) for z in (thick - depth, depth - thick)
    ]  # fmt: skip


def _table(u: Array) -> list[Box | Cone]:
    width, depth, height = 0.5 + 0.5 * u[0], 0.3 + 0.4 * u[1], 0.5 + 0.5 * u[2]
    return [Box((-width, height, -depth), (width, height + 0.08, depth)), *_legs(u[3], width, depth, height)]


def _chair(u: Array) -> list[Box | Cone]:
    width, height, back = 0.3 + 0.15 * u[0], 0.4 + 0.2 * u[1], 0.5 + 0.4 * u[2]
    seat = Box((-width, height, -width), (width, height + 0.07, width))
    rest = Box((-width, height, -width), (width, height + back, 0.07 - width))
    return [seat, rest, *_legs(u[3], width, width, height)]


def _cabinet(u: Array) -> list[Box | Cone]:
    width, depth, height = 0.4 + 0.5 * u[0], 0.3 + 0.2 * u[1], 0.6 + 0.9 * u[2]
    shelf = 0.2 + 0.6 * u[3]
    body = Box((-width, 0.0, -depth), (width, height, depth))
    door = Box((-width, 0.05, depth), (0.0, shelf * height, depth + 0.05))
    return [body, door]


def _upright(low: float, high: float, radius: float, end: float) -> Cone:
    """About the y axis."""
    return Cone((0.0, low, 0.0), (0.0, high, 0.0), radius, end)


def _lamp(u: Array) -> list[Box | Cone]:
    height, shade = 0.7 + 0.5 * u[0], 0.25 + 0.3 * u[1]
    top = _upright(height, height + 0.4, shade, shade * (0.4 + 0.6 * u[2]))
    return [_upright(0.0, 0.06, 0.25, 0.25), _upright(0.06, height, 0.04, 0.04), top]


def _pot(u: Array) -> list[Box | Cone]:
    middle, height = 0.3 + 0.3 * u[0], 0.6 + 0.6 * u[1]
    waist = 0.5 * height
    return [_upright(0.0, waist, 0.2 + 0.3 * u[2], middle), _upright(waist, height, middle, 0.15 + 0.35 * u[3])]


SHAPES: tuple[Callable[[Array], list[Box | Cone]], ...] = (_table, _chair, _cabinet, _lamp, _pot)


def furniture(kind: float, u: Array) -> Mesh:
    """One of SHAPES, chosen by a uniform, proportions by four more (4,); y up, bounding box centred, its diagonal 1."""
    return of_unit_size(built(SHAPES[min(int(kind * len(SHAPES)), len(SHAPES) - 1)](u.tolist())))


@cache
def camera(resolution: int) -> Camera:
    """Sees a little more than a bounding box's diagonal."""
    return Camera.of_angle(resolution, resolution, 2.0 * np.arctan(0.55 / DISTANCE))


def viewed(
    mesh: Mesh, textures: Textures, view: Array, light: Array, resolution: int, ambient: float, repeat: float = 1.0
) -> Scene:
    """An object seen from any side and a little above, by two uniforms, under a light by two more."""
    seen = placed(mesh, turn(2.0 * np.pi * view[0], 0.1 + 0.5 * view[1]), DISTANCE)
    toward = unit_vector(np.array([0.3 + 0.7 * light[0], light[1]]))
    return Scene(seen._replace(uv=seen.uv * repeat), camera(resolution), toward, ambient, textures)
