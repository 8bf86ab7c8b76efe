"""Analytic ray casting of CSG shapes: exact first hit, normal, depth and mask, with shadows. No mesh, no OpenGL.

Orthographic view along -z. Camera axes: x right, y up, z toward the viewer; pixel rows run from top to bottom.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hgenv.csg import ABSENT, CONE, CUBE, SPHERE, Shapes, apply, events, inside, interval, local_normal, push, scratch

_SHADOW_OFFSET = 1e-6


class Images(NamedTuple):
    """n rendered shapes; all parts are 0 where nothing is.

    image (n, h, w): radiance in [0, 1]. normal (n, 3, h, w): unit vectors. depth (n, h, w): distance behind the plane
    z = 0. mask (n, h, w): coverage in [0, 1].
    """

    image: NDArray[np.float32]
    normal: NDArray[np.float32]
    depth: NDArray[np.float32]
    mask: NDArray[np.float32]


@njit(cache=True, nogil=True)
def _local_radius(kind: int, size: Any) -> float:
    """Radius of a sphere about a primitive's origin that contains it."""
    if kind == SPHERE:
        return size[0]
    if kind == CUBE:
        return size[0] * np.sqrt(3.0)
    if kind == CONE:
        return np.sqrt(max(size[0], size[1]) ** 2 + size[2] ** 2)
    return size[0]


@njit(cache=True, nogil=True)
def _occluded(s: Any, row: int, point: Any, light: Any, work: Any) -> bool:
    """Does the ray from a surface point toward the light meet the composition?"""
    found = events(s.kind[row], s.size[row], s.from_world[row], 0, s.kind.shape[1], point, light, work)
    bits = 0
    for e in range(found):
        bits ^= 1 << work.slot[e]
        beyond = e + 1 < found and work.time[e + 1] > _SHADOW_OFFSET
        if beyond and inside(bits, s.operations[row], s.used[row]):
            return True
    return False


@njit(cache=True, nogil=True, inline="always")
def _first_hit(s: Any, row: int, found: int, work: Any) -> int:
    bits = 0
    for e in range(found):
        bits ^= 1 << work.slot[e]
        if inside(bits, s.operations[row], s.used[row]):
            return e
    return -1


@njit(cache=True, nogil=True)
def _screen_bounds(s: Any, row: int, out: Any) -> None:
    """A circle (x, y, radius^2) on the screen around each primitive; radius^2 = -1 where there is none."""
    for slot in range(s.kind.shape[1]):
        out[slot, 2] = -1.0
        if s.kind[row, slot] != ABSENT:
            m = s.to_world[row, slot]
            stretch = 0.0  # Frobenius norm of the two rows that reach the screen bounds their operator norm
            for i in range(2):
                for j in range(3):
                    stretch += m[i, j] ** 2
            out[slot, 0], out[slot, 1] = m[0, 3], m[1, 3]
            out[slot, 2] = stretch * _local_radius(s.kind[row, slot], s.size[row, slot]) ** 2


@njit(cache=True, nogil=True)
def _view_events(s: Any, row: int, x: float, y: float, bounds: Any, work: Any) -> int:
    """`csg.events` for the view ray (x, y, -t), with the culling that an orthographic view allows."""
    count = 0
    for slot in range(s.kind.shape[1]):
        if (x - bounds[slot, 0]) ** 2 + (y - bounds[slot, 1]) ** 2 >= bounds[slot, 2]:
            continue
        m = s.from_world[row, slot]
        for i in range(3):
            work.o[i] = m[i, 0] * x + m[i, 1] * y + m[i, 3]
            work.d[i] = -m[i, 2]
        start, stop = interval(s.kind[row, slot], s.size[row, slot], work.o, work.d)
        if start < stop:
            count = push(work, count, start, stop, slot)
    return count


@njit(cache=True, nogil=True)
def _surface_normal(s: Any, row: int, slot: int, point: Any, local: Any, out: Any) -> None:
    """World normal at a point on primitive `slot`; a first hit faces the viewer, also inside what was subtracted."""
    m = s.from_world[row, slot]
    apply(m, point, 1.0, out)
    local_normal(s.kind[row, slot], s.size[row, slot], out, local)
    for i in range(3):
        out[i] = m[0, i] * local[0] + m[1, i] * local[1] + m[2, i] * local[2]
    length = np.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2)
    if out[2] < 0.0:
        length = -length
    out /= length


@njit(cache=True, nogil=True)
def _render_one(s: Any, row: int, light: Any, ambient: float, extent: float, sub: int, out: Any) -> int:
    """Render one shape into out's arrays at `row`; return the number of subpixels hit."""
    resolution = out.image.shape[1]
    step = 2.0 * extent / (resolution * sub)
    work = scratch(s.kind.shape[1])
    bounds = np.empty((s.kind.shape[1], 3))
    _screen_bounds(s, row, bounds)
    point, normal, local, n = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    hits = 0
    for i in range(resolution):
        for j in range(resolution):
            radiance, depth, coverage = 0.0, 0.0, 0
            normal[:] = 0.0
            for k in range(sub * sub):
                x = -extent + (j * sub + k % sub + 0.5) * step
                y = extent - (i * sub + k // sub + 0.5) * step
                found = _view_events(s, row, x, y, bounds, work)
                hit = _first_hit(s, row, found, work)
                if hit < 0:
                    continue
                slot, t = work.slot[hit], work.time[hit]
                point[0], point[1], point[2] = x, y, -t
                _surface_normal(s, row, slot, point, local, n)
                toward = n[0] * light[0] + n[1] * light[1] + n[2] * light[2]
                shade = 0.0
                if toward > 0.0 and not _occluded(s, row, point, light, work):
                    shade = toward
                radiance += ambient + (1.0 - ambient) * shade
                depth += t
                coverage += 1
                normal += n
            if coverage > 0:
                hits += coverage
                length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
                for axis in range(3):
                    out.normal[row, axis, i, j] = normal[axis] / length
                out.image[row, i, j] = radiance / (sub * sub)
                out.depth[row, i, j] = depth / coverage
                out.mask[row, i, j] = coverage / (sub * sub)
    return hits


@njit(cache=True, nogil=True)
def _render(s: Any, light: Any, ambient: float, extent: float, sub: int, out: Any, hits: Any) -> None:
    for row in range(len(light)):
        hits[row] = _render_one(s, row, light[row], ambient, extent, sub, out)


def render(
    shapes: Shapes,
    light: NDArray[np.float64],
    resolution: int,
    ambient: float = 0.0,
    extent: float = 1.0,
    antialias: int = 1,
) -> Images:
    """Render n shapes under a directional light each.

    light (n, 3): unit vectors toward the light. ambient: share of light from everywhere, in [0, 1). extent: half the
    picture's width in the shapes' units. antialias: subpixels a side; with 1 the ground truth is exact at pixel
    centres, with more image and mask are averages, depth and (renormalised) normal averages over the hits.
    A composition without a visible surface (everything subtracted) is rendered as its first primitive alone; that too
    may be blank, if it is so small that it falls between the pixel centres.
    Raises ValueError if a shape's numbers are not finite.
    """
    if not all(np.isfinite(array).all() for array in (shapes.size, shapes.to_world, shapes.from_world, light)):
        raise ValueError("shapes and lights must be finite; check the ranges of the sizes and scales of beta")
    images, hits = _cast(shapes, light, resolution, ambient, extent, antialias)
    empty = np.flatnonzero(hits == 0)
    if len(empty):
        first, _ = _cast(_first_primitive(shapes, empty), light[empty], resolution, ambient, extent, antialias)
        for whole, part in zip(images, first, strict=True):
            whole[empty] = part
    return images


def _cast(
    shapes: Shapes, light: NDArray, resolution: int, ambient: float, extent: float, antialias: int
) -> tuple[Images, NDArray[np.int64]]:
    n, size = len(shapes.kind), (resolution, resolution)
    out = Images(*(np.zeros((n, *lead, *size), np.float32) for lead in ((), (3,), (), ())))
    hits = np.zeros(n, np.int64)
    _render(shapes, np.ascontiguousarray(light, np.float64), ambient, extent, antialias, out, hits)
    return out, hits


def _first_primitive(shapes: Shapes, rows: NDArray) -> Shapes:
    picked = Shapes(*(array[rows] for array in shapes))
    return picked._replace(
        kind=np.where(np.arange(picked.kind.shape[1]) == 0, picked.kind, ABSENT), used=0 * picked.used
    )
