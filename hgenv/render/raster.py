"""Triangle meshes through a pinhole camera: image, normals, depth, mask, albedo and shading, exact at pixel centres.

Every pixel's ray is intersected with the triangles whose bounding box covers it (2D homogeneous rasterisation: Olano &
Greer 1997), so that triangles which cross the camera's plane need no clipping. Camera axes: x right, y up, z toward the
viewer, who looks along -z; pixel rows run from top to bottom. Surfaces are two-sided: normals face the camera.
No OpenGL, one core a call; numba caches the kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hgenv.render.renderer import Drawing, Rendered
from hgenv.scene import Mesh

Array = NDArray[np.float64]
_NEAR = 1e-3  # nothing nearer is seen


@njit(cache=True, nogil=True)
def _box(c: Any, focal: Any, centre: Any, height: int, width: int, near: float) -> Any:
    """Pixels (top, bottom, left, right) that a triangle may cover: all of them if it comes too near to the camera."""
    low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
    behind = 0
    for i in range(3):
        depth = -c[i, 2]
        if depth < near:
            behind += 1
            continue
        x, y = centre[0] + focal[0] * c[i, 0] / depth, centre[1] - focal[1] * c[i, 1] / depth
        low_x, high_x = min(low_x, x), max(high_x, x)
        low_y, high_y = min(low_y, y), max(high_y, y)
    if behind == 3:
        return 0, 0, 0, 0
    if behind > 0:
        return 0, height, 0, width
    # Those whose centres may lie in it: most triangles of a fine mesh have none.
    slack = 0.5 + 1e-6
    top, bottom = int(np.ceil(max(slack, low_y) - slack)), int(np.floor(min(height - slack, high_y) + slack))
    left, right = int(np.ceil(max(slack, low_x) - slack)), int(np.floor(min(width - slack, high_x) + slack))
    return top, bottom, left, right


@njit(cache=True, nogil=True)
def _cross(a: Any, b: Any, out: Any) -> None:
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@njit(cache=True, nogil=True)
def _visible(corners: Any, focal: Any, centre: Any, near: float, depth: Any, face: Any, share: Any) -> None:
    """For every pixel the nearest triangle along its ray, its depth and the barycentric shares (h, w, 2) of the hit."""
    height, width = depth.shape
    edges = np.empty((3, 3))
    for f in range(len(corners)):
        c = corners[f]
        top, bottom, left, right = _box(c, focal, centre, height, width, near)
        if top >= bottom or left >= right:
            continue
        _cross(c[1], c[2], edges[0])
        _cross(c[2], c[0], edges[1])
        _cross(c[0], c[1], edges[2])
        volume = c[0, 0] * edges[0, 0] + c[0, 1] * edges[0, 1] + c[0, 2] * edges[0, 2]
        if volume == 0.0:  # seen edge-on
            continue
        for i in range(top, bottom):
            y = (centre[1] - i - 0.5) / focal[1]
            for j in range(left, right):
                x = (j + 0.5 - centre[0]) / focal[0]
                a = edges[0, 0] * x + edges[0, 1] * y - edges[0, 2]
                b = edges[1, 0] * x + edges[1, 1] * y - edges[1, 2]
                g = edges[2, 0] * x + edges[2, 1] * y - edges[2, 2]
                if not ((a >= 0.0 and b >= 0.0 and g >= 0.0) or (a <= 0.0 and b <= 0.0 and g <= 0.0)):
                    continue
                total = a + b + g
                if total == 0.0:
                    continue
                t = volume / total  # the hit is at t (x, y, -1)
                if near <= t < depth[i, j]:
                    depth[i, j], face[i, j] = t, f
                    share[i, j, 0], share[i, j, 1] = a / total, b / total


@njit(cache=True, nogil=True)
def _texel(texture: Any, u: float, v: float, out: Any) -> None:
    """Multiply out (3,) by the texture (h, w, 3) uint8, bilinearly, repeating, v up."""
    height, width = texture.shape[0], texture.shape[1]
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    column, row = int(np.floor(x)), int(np.floor(y))
    right, down = x - column, y - row
    for k in range(3):
        above = (1.0 - right) * texture[row % height, column % width, k]
        above += right * texture[row % height, (column + 1) % width, k]
        below = (1.0 - right) * texture[(row + 1) % height, column % width, k]
        below += right * texture[(row + 1) % height, (column + 1) % width, k]
        out[k] *= ((1.0 - down) * above + down * below) / 255.0


@njit(cache=True, nogil=True)
def _surface(mesh: Any, f: int, a: float, b: float, x: float, y: float, normal: Any, flat: Any) -> None:
    """The unit normal toward the camera at the shares (a, b, 1 - a - b) of a face, on the ray (x, y, -1).

    Which side is seen is the face's to say: an interpolated normal that points away at a silhouette is bent to it.
    """
    g = 1.0 - a - b
    for k in range(3):
        normal[k] = a * mesh.normals[f, 0, k] + b * mesh.normals[f, 1, k] + g * mesh.normals[f, 2, k]
    c = mesh.corners[f]
    _cross(c[1] - c[0], c[2] - c[0], flat)
    length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    if length < 1e-12:
        normal[:] = flat
        length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    aligned = normal[0] * flat[0] + normal[1] * flat[1] + normal[2] * flat[2] >= 0.0
    away = flat[0] * x + flat[1] * y - flat[2] > 0.0  # the side of the face that its corners' order calls the outside
    if away == aligned:
        length = -length
    for k in range(3):
        normal[k] /= length
    along = (normal[0] * x + normal[1] * y - normal[2]) / (x * x + y * y + 1.0)
    if along > 0.0:
        normal[0], normal[1], normal[2] = normal[0] - along * x, normal[1] - along * y, normal[2] + along
        length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        for k in range(3):
            normal[k] /= length


@njit(cache=True, nogil=True)
def _shade(
    mesh: Any, focal: Any, centre: Any, face: Any, share: Any, depth: Any, light: Any, ambient: float, lit: Any,
    texels: Any, starts: Any, sizes: Any, out: Any,
) -> None:  # fmt: skip
    """Fill out's parts where a face is seen; texels hold all textures, one after the other."""
    height, width = face.shape
    normal, colour, flat = np.empty(3), np.empty(3), np.empty(3)
    for i in range(height):
        for j in range(width):
            f = face[i, j]
            if f < 0:
                continue
            a, b = share[i, j, 0], share[i, j, 1]
            g = 1.0 - a - b
            x, y = (j + 0.5 - centre[0]) / focal[0], (centre[1] - i - 0.5) / focal[1]
            _surface(mesh, f, a, b, x, y, normal, flat)
            for k in range(3):
                colour[k] = a * mesh.albedo[f, 0, k] + b * mesh.albedo[f, 1, k] + g * mesh.albedo[f, 2, k]
            which = mesh.texture[f]
            if which >= 0:
                u = a * mesh.uv[f, 0, 0] + b * mesh.uv[f, 1, 0] + g * mesh.uv[f, 2, 0]
                v = a * mesh.uv[f, 0, 1] + b * mesh.uv[f, 1, 1] + g * mesh.uv[f, 2, 1]
                h, w = sizes[which, 0], sizes[which, 1]
                _texel(texels[starts[which] : starts[which] + h * w].reshape(h, w, 3), u, v, colour)
            shade = max(0.0, normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2]) * lit[i, j]
            shading = np.float32(ambient + (1.0 - ambient) * shade)
            out.mask[i, j], out.depth[i, j], out.shading[i, j] = 1.0, depth[i, j], shading
            for k in range(3):
                albedo = np.float32(colour[k])
                out.normal[k, i, j], out.albedo[k, i, j] = normal[k], albedo
                out.image[k, i, j] = albedo * shading  # of the rounded factors: the product is exact in float32


def render(drawing: Drawing) -> Rendered:
    """Draw; see `hgenv.render.renderer.Renderer`."""
    mesh, camera, light, ambient, textures, shadow, casters = drawing
    if not all(np.isfinite(np.sum(part)) for part in (*mesh[:4], light)):
        raise ValueError("the mesh and the light must be finite")
    if len(mesh.texture) and mesh.texture.max() >= len(textures.size):
        raise ValueError(f"the mesh refers to texture {mesh.texture.max()}, but there are {len(textures.size)}")
    kinds = (*[np.float64] * 4, np.int64)
    mesh = Mesh._make(np.ascontiguousarray(part, kind) for part, kind in zip(mesh, kinds, strict=True))
    size, focal, centre = (camera.height, camera.width), np.array(camera.focal), np.array(camera.centre)
    depth, face, share = np.full(size, np.inf), np.full(size, -1), np.zeros((*size, 2))
    _visible(mesh.corners, focal, centre, _NEAR, depth, face, share)
    lit = (
        np.ones(size)
        if not shadow or not len(mesh.corners)
        else _lit(mesh, focal, centre, depth, face, np.asarray(light, np.float64), shadow, casters)
    )
    parts = [np.zeros((*lead, *size), np.float32) for lead in ((3,), (3,), (), (), (3,), ())]
    out = Rendered(*parts)
    towards = np.asarray(light, np.float64)
    _shade(mesh, focal, centre, face, share, depth, towards, ambient, lit, *textures, out)
    return out


@njit(cache=True, nogil=True)
def _extent(corners: Any, casters: Any, frame: Any, low: Any, high: Any) -> None:
    """Bounds in light coordinates, low and high (2,), of the casters that are not degenerate."""
    for f in range(len(corners)):
        if not casters[f] or _area(corners[f], frame) == 0.0:
            continue
        for i in range(3):
            for k in range(2):
                x = frame[k, 0] * corners[f, i, 0] + frame[k, 1] * corners[f, i, 1] + frame[k, 2] * corners[f, i, 2]
                low[k], high[k] = min(low[k], x), max(high[k], x)


@njit(cache=True, nogil=True)
def _area(c: Any, frame: Any) -> float:
    """Twice the area of a triangle as the light sees it, with its sign."""
    ux, uy, uz = c[1, 0] - c[0, 0], c[1, 1] - c[0, 1], c[1, 2] - c[0, 2]
    vx, vy, vz = c[2, 0] - c[0, 0], c[2, 1] - c[0, 1], c[2, 2] - c[0, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    return frame[2, 0] * nx + frame[2, 1] * ny + frame[2, 2] * nz


@njit(cache=True, nogil=True)
def _light_depth(corners: Any, casters: Any, frame: Any, low: Any, pixel: float, nearest: Any) -> None:
    """The shadow map (side, side) from low on: the largest height toward the light of a hit of the casters."""
    side = len(nearest)
    c = np.empty((3, 3))
    for f in range(len(corners)):
        if not casters[f] or _area(corners[f], frame) == 0.0:
            continue
        for i in range(3):
            for k in range(3):
                x = frame[k, 0] * corners[f, i, 0] + frame[k, 1] * corners[f, i, 1] + frame[k, 2] * corners[f, i, 2]
                c[i, k] = (x - low[k]) / pixel if k < 2 else x
        area = (c[1, 0] - c[0, 0]) * (c[2, 1] - c[0, 1]) - (c[2, 0] - c[0, 0]) * (c[1, 1] - c[0, 1])
        left, right = min(c[0, 0], c[1, 0], c[2, 0]), max(c[0, 0], c[1, 0], c[2, 0])
        top, bottom = min(c[0, 1], c[1, 1], c[2, 1]), max(c[0, 1], c[1, 1], c[2, 1])
        for i in range(int(max(0.0, np.ceil(top - 0.5))), int(min(side - 1.0, np.floor(bottom - 0.5))) + 1):
            for j in range(int(max(0.0, np.ceil(left - 0.5))), int(min(side - 1.0, np.floor(right - 0.5))) + 1):
                x, y = j + 0.5, i + 0.5
                a = ((c[1, 0] - x) * (c[2, 1] - y) - (c[2, 0] - x) * (c[1, 1] - y)) / area
                b = ((c[2, 0] - x) * (c[0, 1] - y) - (c[0, 0] - x) * (c[2, 1] - y)) / area
                g = 1.0 - a - b
                if a >= 0.0 and b >= 0.0 and g >= 0.0:
                    nearest[i, j] = max(nearest[i, j], a * c[0, 2] + b * c[1, 2] + g * c[2, 2])


def _lit(
    mesh: Mesh, focal: Array, centre: Array, depth: Array, face: NDArray[np.int64], light: Array, side: int,
    casters: NDArray[np.bool_] | None,
) -> Array:  # fmt: skip
    """1 where the surface sees the light, 0 in shadow, (h, w), from a map of `side` pixels (Williams 1978).

    A map is as coarse as its pixels: a surface is in shadow only if something is nearer to the light by two of them.
    """
    across = np.cross(light, [1.0, 0.0, 0.0] if abs(light[0]) < 0.9 else [0.0, 1.0, 0.0])
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(light, across), light])
    throwing = np.ones(len(mesh.corners), bool) if casters is None else casters
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    _extent(mesh.corners, throwing, frame, low, high)
    lit = np.ones(face.shape)
    if not (high > low).all():  # nothing throws a shadow
        return lit
    pixel = float((high - low).max()) / side
    nearest = np.full((side, side), -np.inf)
    _light_depth(mesh.corners, throwing, frame, low, pixel, nearest)
    rows, columns = np.nonzero(face >= 0)
    t = depth[rows, columns]
    points = np.stack(
        [t * (columns + 0.5 - centre[0]) / focal[0], t * (centre[1] - rows - 0.5) / focal[1], -t], axis=1
    ) @ frame.T  # fmt: skip
    place = np.floor((points[:, :2] - low) / pixel).astype(int)
    inside = ((place >= 0) & (place < side)).all(1)
    place = np.clip(place, 0, side - 1)
    normals = np.abs(_face_normals(mesh.corners[face[rows, columns]]) @ light)
    slope = np.sqrt(1.0 - np.minimum(normals, 1.0) ** 2) / np.maximum(normals, 0.1)
    clear = nearest[place[:, 1], place[:, 0]] <= points[:, 2] + pixel * (2.0 + 2.0 * slope)
    lit[rows, columns] = clear | ~inside
    return lit


def _face_normals(corners: Array) -> Array:
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
