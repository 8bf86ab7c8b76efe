"""Furniture-like shapes to put textures on: boxes and cylinders, assembled, with texture coordinates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hgenv.render.mesh import Mesh, Textures, joined, of_unit_size, placed, plain_mesh
from hgenv.render.renderer import Camera, Scene
from hgenv.rotations import turn, unit_vector

Array = NDArray[np.float64]
DISTANCE = 2.2
"""Of an object's centre from the camera; its bounding box has a diagonal of 1."""


def box(low: Array, high: Array) -> Mesh:
    """A box between two corners (3,); each face has the texture once a unit of length."""
    corners = np.array([[low, high][k][axis] for k in (0, 1) for axis in range(3)]).reshape(2, 3)
    parts = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for end in (0, 1):
            square = np.empty((4, 3))
            square[:, axis] = corners[end, axis]
            square[:, u], square[:, v] = corners[[0, 1, 1, 0], u], corners[[0, 0, 1, 1], v]
            parts.append(_patch(square, np.array([[0, 1, 2], [0, 2, 3]]), square[:, [u, v]], smooth=False))
    return joined(parts)


def cylinder(bottom: Array, top: Array, radius: float, end: float, sides: int = 20) -> Mesh:
    """A truncated cone along y between two centres (3,), with radii at bottom and top; the texture goes round once."""
    around = np.linspace(0.0, 2.0 * np.pi, sides + 1)
    ring = np.stack([np.cos(around), np.zeros_like(around), np.sin(around)], axis=1)
    vertices = np.concatenate([bottom + radius * ring, top + end * ring])
    uv = np.concatenate([np.stack([around / (2 * np.pi), np.full_like(around, v)], axis=1) for v in (0.0, 1.0)])
    i = np.arange(sides)
    j = i + sides + 1
    wall = np.concatenate([np.stack([i, j, i + 1], 1), np.stack([i + 1, j, j + 1], 1)])
    parts = [_patch(vertices, wall, uv, smooth=True)]
    for centre, size in ((bottom, radius), (top, end)):
        rim = np.concatenate([[centre], centre + size * ring])
        fan = np.stack([np.zeros(sides, np.int64), 1 + i, 2 + i], axis=1)
        parts.append(_patch(rim, fan, rim[:, [0, 2]], smooth=False))
    return joined(parts)


def _patch(vertices: Array, faces: NDArray[np.int64], uv: Array, smooth: bool) -> Mesh:
    mesh = plain_mesh(vertices, faces, smooth=smooth)
    return mesh._replace(uv=uv[faces], texture=np.zeros(len(faces), np.int64))


def _legs(u: Array, width: float, depth: float, height: float) -> list[Mesh]:
    thick = 0.03 + 0.05 * u
    return [
        box(np.array([x - thick, 0.0, z - thick]), np.array([x + thick, height, z + thick]))
        for x in (thick - width, width - thick) for z in (thick - depth, depth - thick)
    ]  # fmt: skip


def _table(u: Array) -> list[Mesh]:
    width, depth, height = 0.5 + 0.5 * u[0], 0.3 + 0.4 * u[1], 0.5 + 0.5 * u[2]
    return [
        box(np.array([-width, height, -depth]), np.array([width, height + 0.08, depth])),
        *_legs(u[3], width, depth, height),
    ]


def _chair(u: Array) -> list[Mesh]:
    width, height, back = 0.3 + 0.15 * u[0], 0.4 + 0.2 * u[1], 0.5 + 0.4 * u[2]
    seat = box(np.array([-width, height, -width]), np.array([width, height + 0.07, width]))
    rest = box(np.array([-width, height, -width]), np.array([width, height + back, 0.07 - width]))
    return [seat, rest, *_legs(u[3], width, width, height)]


def _cabinet(u: Array) -> list[Mesh]:
    width, depth, height = 0.4 + 0.5 * u[0], 0.3 + 0.2 * u[1], 0.6 + 0.9 * u[2]
    shelf = 0.2 + 0.6 * u[3]
    body = box(np.array([-width, 0.0, -depth]), np.array([width, height, depth]))
    door = box(np.array([-width, 0.05, depth]), np.array([0.0, shelf * height, depth + 0.05]))
    return [body, door]


def _lamp(u: Array) -> list[Mesh]:
    height, shade = 0.7 + 0.5 * u[0], 0.25 + 0.3 * u[1]
    foot = cylinder(np.zeros(3), np.array([0.0, 0.06, 0.0]), 0.25, 0.25)
    pole = cylinder(np.array([0.0, 0.06, 0.0]), np.array([0.0, height, 0.0]), 0.04, 0.04)
    top = cylinder(np.array([0.0, height, 0.0]), np.array([0.0, height + 0.4, 0.0]), shade, shade * (0.4 + 0.6 * u[2]))
    return [foot, pole, top]


def _pot(u: Array) -> list[Mesh]:
    middle, height = 0.3 + 0.3 * u[0], 0.6 + 0.6 * u[1]
    waist = np.array([0.0, 0.5 * height, 0.0])
    return [
        cylinder(np.zeros(3), waist, 0.2 + 0.3 * u[2], middle),
        cylinder(waist, np.array([0.0, height, 0.0]), middle, 0.15 + 0.35 * u[3]),
    ]


SHAPES: tuple[Callable[[Array], list[Mesh]], ...] = (_table, _chair, _cabinet, _lamp, _pot)


def furniture(kind: float, u: Array) -> Mesh:
    """One of SHAPES, chosen by a uniform, proportions by four more (4,); y up, bounding box centred, its diagonal 1."""
    return of_unit_size(joined(SHAPES[min(int(kind * len(SHAPES)), len(SHAPES) - 1)](u)))


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
