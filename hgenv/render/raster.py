"""Triangle meshes through a pinhole camera: image, normals, depth, mask, albedo and shading, exact at pixel centres.

Every pixel's ray is intersected with the triangles whose bounding box covers it (2D homogeneous rasterisation: Olano &
Greer 1997), so that triangles which cross the camera's plane need no clipping. Camera axes: x right, y up, z toward the
viewer, who looks along -z; pixel rows run from top to bottom. Surfaces are two-sided: normals face the camera.
No OpenGL; one kernel a picture, on one core, which numba caches.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel
from hgenv.render.mesh import Mesh, SharedMesh
from hgenv.render.renderer import Rendered, Scene, check_scene
from hgenv.render.shadow import light_frame, lit

Array = NDArray[np.float64]
_NEAR = 1e-3  # nothing nearer is seen


class _Surface(NamedTuple):
    """A mesh as the kernels read it. faces (f, 3): rows of points, normals and albedo (v, 3), and of uv (v, 2);
    texture (f,): may be empty, then no face has one."""

    faces: NDArray[np.int64]
    points: Array
    normals: Array
    albedo: Array
    uv: Array
    texture: NDArray[np.int64]


def render(scene: Scene) -> Rendered:
    """Draw; see `hgenv.render.renderer.Renderer`."""
    check_scene(scene)
    mesh, camera, light, ambient, textures, shadow, casters, _ = scene
    size, lens = (camera.height, camera.width), np.array((camera.focal, camera.centre), np.float64)
    towards = np.ascontiguousarray(light, np.float64)
    out = _blank(*size)
    _draw(
        _surface(mesh), lens, towards, float(ambient), light_frame(towards) if shadow else _NO_FRAME, shadow,
        _EVERY if casters is None else np.ascontiguousarray(casters), textures, out,
    )  # fmt: skip
    return out


def _blank(height: int, width: int) -> Rendered:
    """A picture of nothing. Between its parts is a gap: sizes are often multiples of a page, and then pixels that are
    written together would all fall to the same few places of the cache."""
    gap, parts, at = 112, [], 0
    flat = np.zeros(12 * height * width + 5 * gap, np.float32)
    for shape in ((3,), (3,), (), (), (3,), ()):
        count = math.prod(shape) * height * width
        parts.append(flat[at : at + count].reshape(*shape, height, width))
        at += count + gap
    return Rendered(*parts)


_EVERY, _NO_UV, _NO_TEXTURE, _NO_FRAME = np.empty(0, np.bool_), np.empty((0, 2)), np.empty(0, np.int64), np.eye(3)


def _surface(mesh: Mesh | SharedMesh) -> _Surface:
    if isinstance(mesh, SharedMesh):
        points, normals, colours = map(_rows, mesh[1:])
        return _Surface(np.ascontiguousarray(mesh.faces, np.int64), points, normals, colours, _NO_UV, _NO_TEXTURE)
    points, normals, colours, uv = map(_rows, mesh[:4])
    texture = np.ascontiguousarray(mesh.texture, np.int64)
    return _Surface(_in_turn(len(texture)), points, normals, colours, uv, texture)


def _rows(part: NDArray) -> Array:
    return np.ascontiguousarray(part, np.float64).reshape(-1, part.shape[-1])


@lru_cache(64)
def _in_turn(count: int) -> NDArray[np.int64]:
    """Faces (count, 3) that share no vertex."""
    return np.arange(3 * count).reshape(count, 3)


@kernel()
def _draw(
    surface: Any, lens: Any, light: Any, ambient: float, frame: Any, shadow: int, casters: Any, textures: Any, out: Any
) -> None:
    """Fill out; frame (3, 3): the light's, casters: empty if all are."""
    size = out.mask.shape
    depth, face = np.full(size, np.inf), np.full(size, -1)
    _visible(surface.points, surface.faces, lens, depth, face)
    seen = np.ones(size)
    if shadow > 0:
        lit(surface.points, surface.faces, lens, depth, face, frame, shadow, casters, seen)
    _shade(surface, lens, depth, face, light, ambient, seen, textures, out)


@kernel()
def _project(points: Any, lens: Any, x: Any, y: Any) -> None:
    """Where points (v, 3) are in the picture, x and y (v,); not a number if they are too near."""
    for v in range(len(points)):
        depth = -points[v, 2]
        depth = depth if depth >= _NEAR else np.nan
        x[v] = lens[1, 0] + lens[0, 0] * points[v, 0] / depth
        y[v] = lens[1, 1] - lens[0, 1] * points[v, 1] / depth


@kernel()
def _range(a: float, b: float, c: float, size: int) -> Any:
    """Pixels (from, to) along an axis of `size` whose centres may lie between three places: most triangles of a fine
    mesh have none."""
    slack = 0.5 + 1e-6
    low = min(max(min(a, min(b, c)), slack), size + slack)
    high = max(min(max(a, max(b, c)), size - slack), -slack)
    return int(np.ceil(low - slack)), int(np.floor(high + slack))


@kernel()
def _edges(points: Any, p: int, q: int, r: int) -> Any:
    """The planes (3 of 3) through the camera and an edge each, of a triangle that it sees from inside of them; and the
    volume that they enclose, 0 if the triangle is seen edge-on."""
    first, second, third = _cross(points, q, r), _cross(points, r, p), _cross(points, p, q)
    volume = points[p, 0] * first[0] + points[p, 1] * first[1] + points[p, 2] * first[2]
    side = 1.0 if volume >= 0.0 else -1.0  # seen from behind, hits before the camera have shares of the volume's sign
    return _scaled(side, first), _scaled(side, second), _scaled(side, third), side * volume


@kernel()
def _cross(points: Any, a: int, b: int) -> Any:
    x, y, z = points[a, 0], points[a, 1], points[a, 2]
    u, v, w = points[b, 0], points[b, 1], points[b, 2]
    return y * w - z * v, z * u - x * w, x * v - y * u


@kernel()
def _scaled(factor: float, vector: Any) -> Any:
    return factor * vector[0], factor * vector[1], factor * vector[2]


@kernel()
def _span(edges: Any, y: float, scale: float, offset: float, left: int, right: int) -> Any:
    """The pixels (from, to) of a row at height y that may lie inside: each edge is linear in x = (j - offset) scale."""
    low, high = float(left), float(right - 1)
    for edge in edges:
        slope, start = edge[0] * scale, edge[1] * y - edge[2] - edge[0] * scale * offset
        if slope > 0.0:
            low = max(low, -start / slope)
        elif slope < 0.0:
            high = min(high, -start / slope)
    # Cut as floats first: an edge that is level but for rounding crosses the row beyond any integer.
    return int(np.ceil(min(low, float(right)) - 1e-6)), int(np.floor(max(high, left - 1.0) + 1e-6)) + 1


@kernel()
def _visible(points: Any, faces: Any, lens: Any, depth: Any, face: Any) -> None:
    """For every pixel the nearest triangle along its ray, and its depth."""
    height, width = depth.shape
    x, y = np.empty(len(points)), np.empty(len(points))
    scale, offset = 1.0 / lens[0, 0], lens[1, 0] - 0.5
    _project(points, lens, x, y)
    for f in range(len(faces)):
        p, q, r = faces[f, 0], faces[f, 1], faces[f, 2]
        near = np.isnan(x[p]) + np.isnan(x[q]) + np.isnan(x[r])
        if near == 3:
            continue
        top, bottom, left, right = 0, height, 0, width  # of those that come too near to the camera
        if near == 0:
            left, right = _range(x[p], x[q], x[r], width)
            if left >= right:
                continue
            top, bottom = _range(y[p], y[q], y[r], height)
        first_edge, second_edge, third_edge, volume = _edges(points, p, q, r)
        edges = (first_edge, second_edge, third_edge)
        if volume == 0.0:
            continue
        for i in range(top, bottom):
            along = (lens[1, 1] - i - 0.5) / lens[0, 1]
            first, last = left, right
            if right - left > 4:
                first, last = _span(edges, along, scale, offset, left, right)
            for j in range(first, last):
                a, b, g = _shares(edges, (j - offset) * scale, along)
                total = a + b + g
                inside = (a >= 0.0) & (b >= 0.0) & (g >= 0.0)
                if inside & (_NEAR * total <= volume) & (volume < depth[i, j] * total):
                    depth[i, j], face[i, j] = volume / total, f  # the hit is at depth (x, y, -1)


@kernel()
def _shares(edges: Any, x: float, y: float) -> Any:
    """How much of a hit of the ray (x, y, -1) each corner answers for, times their sum."""
    first, second, third = edges
    a = first[0] * x + first[1] * y - first[2]
    b = second[0] * x + second[1] * y - second[2]
    g = third[0] * x + third[1] * y - third[2]
    return a, b, g


@kernel()
def _texel(textures: Any, which: int, u: float, v: float, out: Any) -> None:
    """Multiply out (3,) by one of the textures, bilinearly, repeating, v up."""
    texels, start = textures.texels, textures.start[which]
    height, width = textures.size[which, 0], textures.size[which, 1]
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    before, upper = int(np.floor(x)), int(np.floor(y))
    right, down = x - before, y - upper
    left, up = 1.0 - right, 1.0 - down
    before, upper = _within(before, width), _within(upper, height)
    after, lower = _within(before + 1, width), _within(upper + 1, height)
    above, below = start + upper * width, start + lower * width
    # Unsigned: numba need not look whether they count from the end.
    a, b, c, d = (
        np.uint64(above + before),
        np.uint64(above + after),
        np.uint64(below + before),
        np.uint64(below + after),
    )
    for k in range(3):
        high, low = left * texels[a, k] + right * texels[b, k], left * texels[c, k] + right * texels[d, k]
        out[k] *= (up * high + down * low) / 255.0


@kernel()
def _within(place: int, count: int) -> int:
    """place modulo count, without a division if it is within."""
    return place if 0 <= place < count else place % count


@kernel()
def _face_normal(points: Any, p: int, q: int, r: int) -> Any:
    """The normal of a face on the side that its corners' order calls the outside, and its length."""
    ux, uy, uz = points[q, 0] - points[p, 0], points[q, 1] - points[p, 1], points[q, 2] - points[p, 2]
    vx, vy, vz = points[r, 0] - points[p, 0], points[r, 1] - points[p, 1], points[r, 2] - points[p, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    return nx, ny, nz, np.sqrt(nx * nx + ny * ny + nz * nz)


@kernel()
def _gather(values: Any, p: int, q: int, r: int, out: Any) -> None:
    """What is given at the corners of a face, one after the other: out of a flat array it is read fastest."""
    count = values.shape[1]
    for k in range(count):
        out[k], out[count + k], out[2 * count + k] = values[p, k], values[q, k], values[r, k]


@kernel()
def _mix(given: Any, k: int, count: int, a: float, b: float) -> float:
    """Column k of what a face's corners have (`_gather`) at the shares (a, b, 1 - a - b)."""
    return a * given[k] + b * given[count + k] + (1.0 - a - b) * given[2 * count + k]


@kernel()
def _normal(normals: Any, outside: Any, a: float, b: float, x: float, y: float) -> Any:
    """The unit normal toward the camera at the shares (a, b, 1 - a - b) of a face, on the ray (x, y, -1).

    Which side is seen is the face's to say: an interpolated normal that points away at a silhouette is bent to it.
    """
    fx, fy, fz, length = outside
    nx, ny, nz, aligned = fx, fy, fz, True
    ix, iy, iz = _mix(normals, 0, 3, a, b), _mix(normals, 1, 3, a, b), _mix(normals, 2, 3, a, b)
    square = ix * ix + iy * iy + iz * iz
    if square >= 1e-24:
        nx, ny, nz, length = ix, iy, iz, np.sqrt(square)
        aligned = ix * fx + iy * fy + iz * fz >= 0.0
    away = fx * x + fy * y - fz > 0.0
    if away == aligned:
        length = -length
    nx, ny, nz = nx / length, ny / length, nz / length
    along = nx * x + ny * y - nz
    if along > 0.0:
        along /= x * x + y * y + 1.0
        nx, ny, nz = nx - along * x, ny - along * y, nz + along
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        nx, ny, nz = nx / length, ny / length, nz / length
    return nx, ny, nz


@kernel()
def _shade(
    surface: Any, lens: Any, depth: Any, face: Any, light: Any, ambient: float, seen: Any, textures: Any, out: Any
) -> None:
    """Fill out's parts where a face is seen."""
    height, width = face.shape
    normals, albedo, uv, colour = np.empty(9), np.empty(9), np.empty(6), np.empty(3)
    edges, outside, which = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), (0.0, 0.0, 0.0, 0.0), -1
    scale, offset, before = 1.0 / lens[0, 0], lens[1, 0] - 0.5, -1
    columns = (np.arange(width) + 0.5 - lens[1, 0]) / lens[0, 0]
    for i in range(height):
        y = (lens[1, 1] - i - 0.5) / lens[0, 1]
        for j in range(width):
            f = face[i, j]
            if f < 0:
                continue
            if f != before:
                p, q, r, before = surface.faces[f, 0], surface.faces[f, 1], surface.faces[f, 2], f
                first, second, third, _ = _edges(surface.points, p, q, r)
                edges, outside = (first, second, third), _face_normal(surface.points, p, q, r)
                _gather(surface.normals, p, q, r, normals)
                _gather(surface.albedo, p, q, r, albedo)
                which = surface.texture[f] if len(surface.texture) else -1
                if which >= 0:
                    _gather(surface.uv, p, q, r, uv)
            a, b, g = _shares(edges, (j - offset) * scale, y)
            total = a + b + g
            a, b = a / total, b / total
            nx, ny, nz = _normal(normals, outside, a, b, columns[j], y)
            for k in range(3):
                colour[k] = _mix(albedo, k, 3, a, b)
            if which >= 0:
                u, v = _mix(uv, 0, 2, a, b), _mix(uv, 1, 2, a, b)
                _texel(textures, which, u, v, colour)
            shade = max(0.0, nx * light[0] + ny * light[1] + nz * light[2]) * seen[i, j]
            shading = np.float32(ambient + (1.0 - ambient) * shade)
            out.mask[i, j], out.depth[i, j], out.shading[i, j] = 1.0, depth[i, j], shading
            out.normal[0, i, j], out.normal[1, i, j], out.normal[2, i, j] = nx, ny, nz
            for k in range(3):
                tint = np.float32(colour[k])
                out.albedo[k, i, j] = tint
                out.image[k, i, j] = tint * shading  # of the rounded factors: the product is exact in float32
