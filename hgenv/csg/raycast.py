"""Analytic ray casting of CSG shapes: exact first hit, normal, depth and mask, with shadows. No mesh, no OpenGL.

Orthographic view along -z. Camera axes: x right, y up, z toward the viewer; pixel rows run from top to bottom.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.csg.shapes import (
    ABSENT,
    Shapes,
    apply,
    events,
    inside,
    interval,
    local_normal,
    push,
    reach,
    scratch,
)
from hgenv.kernels import kernel

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


@kernel()
def _occluded(kind: Any, size: Any, maps: Any, operations: Any, point: Any, light: Any, work: Any) -> bool:
    """Does the ray from a surface point toward the light meet the composition?"""
    found = events(kind, size, maps, 0, len(kind), point, light, work)
    bits = 0
    for e in range(found):
        bits ^= 1 << work.slot[e]
        beyond = e + 1 < found and work.time[e + 1] > _SHADOW_OFFSET
        if beyond and inside(bits, operations, len(operations)):
            return True
    return False


@kernel()
def _first_hit(operations: Any, found: int, work: Any) -> int:
    bits = 0
    for e in range(found):
        bits ^= 1 << work.slot[e]
        if inside(bits, operations, len(operations)):
            return e
    return -1


@kernel()
def _pack(s: Any, row: int) -> Any:
    """The primitives that are there, without gaps: kinds (p,), sizes (p, 3), maps (p, 3, 4), operations, circles.

    A circle (x, y, radius^2) on the screen contains its primitive.
    """
    slots, count = s.kind.shape[1], 0
    place = np.empty(slots, np.int64)
    for slot in range(slots):
        place[slot] = count
        count += s.kind[row, slot] != ABSENT
    kind, size, maps = np.empty(count, np.int64), np.empty((count, 3)), np.empty((count, 3, 4))
    circles, operations = np.empty((count, 3)), s.operations[row, : s.used[row]].copy()
    for slot in range(slots):
        if s.kind[row, slot] == ABSENT:
            continue
        p, m = place[slot], s.to_world[row, slot]
        kind[p], size[p], maps[p] = s.kind[row, slot], s.size[row, slot], s.from_world[row, slot]
        stretch = 0.0  # Frobenius norm of the two rows that reach the screen bounds their operator norm
        for i in range(2):
            for j in range(3):
                stretch += m[i, j] ** 2
        circles[p, 0], circles[p, 1] = m[0, 3], m[1, 3]
        circles[p, 2] = stretch * reach(kind[p], size[p]) ** 2
    for k in range(len(operations)):
        operations[k, 0], operations[k, 1] = place[operations[k, 0]], place[operations[k, 1]]
    return kind, size, maps, operations, circles


@kernel()
def _pixels(circles: Any, extent: float, resolution: int) -> Any:
    """Ranges of pixel rows and columns (top, bottom, left, right) outside of which no circle reaches."""
    low_x, high_x, low_y, high_y = extent, -extent, extent, -extent
    for p in range(len(circles)):
        radius = np.sqrt(circles[p, 2])
        low_x, high_x = min(low_x, circles[p, 0] - radius), max(high_x, circles[p, 0] + radius)
        low_y, high_y = min(low_y, circles[p, 1] - radius), max(high_y, circles[p, 1] + radius)
    scale = 0.5 * resolution / extent
    top, bottom = int(max(0.0, (extent - high_y) * scale)), int(min(resolution, (extent - low_y) * scale + 1.0))
    left, right = int(max(0.0, (extent + low_x) * scale)), int(min(resolution, (extent + high_x) * scale + 1.0))
    return top, bottom, left, right


@kernel()
def _view_events(kind: Any, size: Any, maps: Any, circles: Any, x: float, y: float, work: Any) -> int:
    """`csg.events` for the view ray (x, y, -t), with the culling that an orthographic view allows."""
    count = 0
    for p in range(len(kind)):
        if (x - circles[p, 0]) ** 2 + (y - circles[p, 1]) ** 2 >= circles[p, 2]:
            continue
        ox, oy, oz = apply(maps[p], x, y, 0.0, 1.0)
        start, stop = interval(kind[p], size[p], ox, oy, oz, -maps[p, 0, 2], -maps[p, 1, 2], -maps[p, 2, 2])
        if start < stop:
            count = push(work, count, start, stop, p)
    return count


@kernel()
def _surface_normal(kind: int, size: Any, m: Any, x: float, y: float, z: float) -> Any:
    """World normal at a point on a primitive; a first hit faces the viewer, also inside what was subtracted."""
    u, v, w = apply(m, x, y, z, 1.0)
    a, b, c = local_normal(kind, size, u, v, w)
    nx = m[0, 0] * a + m[1, 0] * b + m[2, 0] * c
    ny = m[0, 1] * a + m[1, 1] * b + m[2, 1] * c
    nz = m[0, 2] * a + m[1, 2] * b + m[2, 2] * c
    length = np.sqrt(nx**2 + ny**2 + nz**2)
    if nz < 0.0:
        length = -length
    return nx / length, ny / length, nz / length


@kernel()
def _render_one(s: Any, row: int, light: Any, ambient: float, extent: float, sub: int, out: Any) -> int:
    """Render one shape into out's arrays at `row`; return the number of subpixels hit."""
    resolution = out.image.shape[1]
    step = 2.0 * extent / (resolution * sub)
    kind, size, maps, operations, circles = _pack(s, row)
    work = scratch(len(kind))
    toward_light = (light[0], light[1], light[2])
    top, bottom, left, right = _pixels(circles, extent, resolution)
    hits = 0
    for i in range(top, bottom):
        for j in range(left, right):
            radiance, depth, coverage = 0.0, 0.0, 0
            sx, sy, sz = 0.0, 0.0, 0.0
            for k in range(sub * sub):
                x = -extent + (j * sub + k % sub + 0.5) * step
                y = extent - (i * sub + k // sub + 0.5) * step
                found = _view_events(kind, size, maps, circles, x, y, work)
                hit = _first_hit(operations, found, work)
                if hit < 0:
                    continue
                p, t = work.slot[hit], work.time[hit]
                nx, ny, nz = _surface_normal(kind[p], size[p], maps[p], x, y, -t)
                shade = nx * light[0] + ny * light[1] + nz * light[2]
                if shade <= 0.0 or _occluded(kind, size, maps, operations, (x, y, -t), toward_light, work):
                    shade = 0.0
                radiance += ambient + (1.0 - ambient) * shade
                depth += t
                coverage += 1
                sx, sy, sz = sx + nx, sy + ny, sz + nz
            if coverage > 0:
                hits += coverage
                length = np.sqrt(sx**2 + sy**2 + sz**2)
                out.normal[row, 0, i, j] = sx / length
                out.normal[row, 1, i, j] = sy / length
                out.normal[row, 2, i, j] = sz / length
                out.image[row, i, j] = radiance / (sub * sub)
                out.depth[row, i, j] = depth / coverage
                out.mask[row, i, j] = coverage / (sub * sub)
    return hits


@kernel()
def _render(
    s: Any, light: Any, ambient: float, extent: float, sub: int, out: Any, hits: Any, begin: int, end: int
) -> None:
    for row in range(begin, end):
        hits[row] = _render_one(s, row, light[row], ambient, extent, sub, out)


def render(
    shapes: Shapes,
    light: NDArray[np.float64],
    resolution: int,
    ambient: float = 0.0,
    extent: float = 1.0,
    antialias: int = 1,
    threads: int = 1,
) -> Images:
    """Render n shapes under a directional light each.

    light (n, 3): unit vectors toward the light. ambient: share of light from everywhere, in [0, 1). extent: half the
    picture's width in the shapes' units. antialias: subpixels a side; with 1 the ground truth is exact at pixel
    centres, with more image and mask are averages, depth and (renormalised) normal averages over the hits.
    A composition without a visible surface (everything subtracted) is rendered as its first primitive alone; that too
    may be blank, if it is so small that it falls between the pixel centres. threads: the shapes are shared out among so
    many; the result is the same to the bit.
    Raises ValueError if a shape's numbers are not finite.
    """
    if not all(np.isfinite(array).all() for array in (shapes.size, shapes.to_world, shapes.from_world, light)):
        raise ValueError("shapes and lights must be finite; check the ranges of the sizes and scales of beta")
    images, hits = _cast(shapes, light, resolution, ambient, extent, antialias, threads)
    empty = np.flatnonzero(hits == 0)
    if len(empty):
        first, _ = _cast(_first_primitive(shapes, empty), light[empty], resolution, ambient, extent, antialias, 1)
        for whole, part in zip(images, first, strict=True):
            whole[empty] = part
    return images


def _cast(
    shapes: Shapes, light: NDArray, resolution: int, ambient: float, extent: float, antialias: int, threads: int
) -> tuple[Images, NDArray[np.int64]]:
    n, size = len(shapes.kind), (resolution, resolution)
    out = Images(*(np.zeros((n, *lead, *size), np.float32) for lead in ((), (3,), (), ())))
    hits, lights = np.zeros(n, np.int64), np.ascontiguousarray(light, np.float64)

    def rows(begin: int, end: int) -> None:
        _render(shapes, lights, ambient, extent, antialias, out, hits, begin, end)

    if threads == 1:
        rows(0, n)
    else:
        cuts = np.linspace(0, n, threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:  # the kernel holds no lock
            list(pool.map(rows, cuts[:-1], cuts[1:]))
    return out, hits


def _first_primitive(shapes: Shapes, rows: NDArray) -> Shapes:
    picked = Shapes(*(array[rows] for array in shapes))
    return picked._replace(
        kind=np.where(np.arange(picked.kind.shape[1]) == 0, picked.kind, ABSENT), used=0 * picked.used
    )
