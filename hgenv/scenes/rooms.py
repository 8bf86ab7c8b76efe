"""Procedural furnished rooms with cameras: nothing to download."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hgenv.render.mesh import Mesh, bounds, joined, moved, pack
from hgenv.rotations import turn
from hgenv.scenes.furniture import SHAPES, box, built
from hgenv.scenes.interiors import FRAME, INTRINSICS, Interior, View, look
from hgenv.scenes.texture import pattern

Array = NDArray[np.float64]
NYU_TANGENTS = 0.5 * np.array(FRAME[::-1]) / INTRINSICS[:2]
"""Of half the angles of the Kinect that the target domain is seen with."""
_PATTERNS = 6
_VIEWS = 4


@lru_cache(128)
def room(seed: int) -> Interior:
    """A tidy room: furniture stands on the floor, square to the walls, and the cameras are level."""
    rng = np.random.default_rng([11, seed])
    size = np.array([rng.uniform(3.0, 6.0), rng.uniform(2.4, 3.0), rng.uniform(3.0, 6.0)])
    objects = _furnish(rng, size)
    textures = pack([pattern(rng) for _ in range(_PATTERNS)])
    return Interior(_shell(rng, size), objects, textures, [_view(rng, size, i) for i in range(_VIEWS)])


def _painted(mesh: Mesh, rng: np.random.Generator, plain: float) -> Mesh:
    """In a colour, or with the given probability of 1 - plain under one of the patterns."""
    count = len(mesh.corners)
    if rng.random() < plain:
        albedo = np.broadcast_to(rng.uniform(0.4, 1.0) * rng.uniform(0.8, 1.0, 3), (count, 3, 3))
        return mesh._replace(albedo=albedo.copy(), texture=np.full(count, -1))
    times = rng.uniform(0.3, 1.5)
    return mesh._replace(uv=mesh.uv * times, texture=np.full(count, rng.integers(_PATTERNS)))


def _shell(rng: np.random.Generator, size: Array) -> Mesh:
    """Floor, ceiling and four walls as thin boxes outside of 0..size, a door, a window and a picture on the walls."""
    x, y, z = size
    t = 0.05
    slabs = {
        "floor": box(np.array([-t, -t, -t]), np.array([x + t, 0.0, z + t])),
        "ceiling": box(np.array([-t, y, -t]), np.array([x + t, y + t, z + t])),
    }
    walls = [
        box(np.array([-t, 0.0, -t]), np.array([0.0, y, z + t])),
        box(np.array([x, 0.0, -t]), np.array([x + t, y, z + t])),
        box(np.array([0.0, 0.0, -t]), np.array([x, y, 0.0])),
        box(np.array([0.0, 0.0, z]), np.array([x, y, z + t])),
    ]
    door, window, picture = rng.uniform(0.1, 0.6, 3)
    fixtures = [
        box(np.array([0.0, 0.0, door * z]), np.array([0.04, 2.0, door * z + 0.9])),
        box(np.array([window * x, 0.9, z - 0.06]), np.array([window * x + 1.2, 2.1, z])),
        box(np.array([picture * x, 1.2, 0.0]), np.array([picture * x + 0.8, 1.8, 0.03])),
    ]
    parts = [_painted(slabs["floor"], rng, 0.2), _painted(slabs["ceiling"], rng, 1.0)]
    parts += [_painted(joined(walls), rng, 0.7)] + [_painted(f, rng, 0.5) for f in fixtures]
    return joined(parts)


def _furnish(rng: np.random.Generator, size: Array) -> list[Mesh]:
    """Up to nine pieces that do not overlap, most of them at a wall; and things upon the tables."""
    placed: list[tuple[Array, Array]] = []
    objects = []
    for _ in range(9):
        kind = int(rng.integers(len(SHAPES)))
        piece = moved(built(SHAPES[kind](rng.random(4))), turn(0.5 * np.pi * rng.integers(4), 0.0), np.zeros(3))
        low, high = bounds(piece.corners)
        extent = (high - low)[[0, 2]]
        room = size[[0, 2]] - extent
        corner = rng.uniform(0.0, 1.0, 2) * room
        if rng.random() < 0.7:
            side = rng.integers(2)
            corner[side] = 0.05 if rng.random() < 0.5 else room[side] - 0.05
        if (room < 0.1).any() or any(_overlap(corner, corner + extent, *other) for other in placed):
            continue
        placed.append((corner, corner + extent))
        shift = np.array([corner[0] - low[0], 0.0, corner[1] - low[2]])
        objects.append(_painted(moved(piece, np.eye(3), shift), rng, 0.5))
        if kind == 0:
            objects.append(_thing(rng, corner + 0.5 * extent, high[1]))
    return objects


def _overlap(low: Array, high: Array, other_low: Array, other_high: Array) -> bool:
    return bool(((low < other_high + 0.15) & (high + 0.15 > other_low)).all())


def _thing(rng: np.random.Generator, where: Array, height: float) -> Mesh:
    """A box upon a table."""
    half, tall = rng.uniform(0.08, 0.2, 2), rng.uniform(0.1, 0.4)
    low = np.array([where[0] - half[0], height, where[1] - half[1]])
    return _painted(box(low, np.array([where[0] + half[0], height + tall, where[1] + half[1]])), rng, 0.5)


def _view(rng: np.random.Generator, size: Array, number: int) -> View:
    """From near a corner at eye height, level, toward the middle of the room."""
    share = np.where([number & 1, number & 2], 0.92, 0.08) + rng.uniform(-0.04, 0.04, 2)
    eye = np.array([share[0] * size[0], rng.uniform(1.3, 1.6), share[1] * size[2]])
    aim = size * np.array([rng.uniform(0.35, 0.65), 0.0, rng.uniform(0.35, 0.65)])
    return look(eye, (aim - eye) * [1.0, 0.0, 1.0], np.array([0.0, 1.0, 0.0]), NYU_TANGENTS)
