"""Triangle meshes through a pinhole camera: image, normals, depth, mask, albedo and shading, exact at pixel centres.

Every pixel's ray is intersected with the triangles whose bounding box covers it (2D homogeneous rasterisation: Olano &
Greer 1997), so that triangles which cross the camera's plane need no clipping. Camera axes: x right, y up, z toward the
viewer, who looks along -z; pixel rows run from top to bottom. Surfaces are two-sided: normals face the camera.
No OpenGL, one core a call; numba caches the kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel
from hgenv.render.mesh import Mesh
from hgenv.render.renderer import Rendered, Scene, check_scene
from hgenv.render.shadow import lit

Array = NDArray[np.float64]
_NEAR = 1e-3  # nothing nearer is seen


@kernel()
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
    low_x, low_y = min(max(low_x, slack), width + slack), min(max(low_y, slack), height + slack)
    high_x, high_y = max(min(high_x, width - slack), -slack), max(min(high_y, height - slack), -slack)
    top, bottom = int(np.ceil(low_y - slack)), int(np.floor(high_y + slack))
    left, right = int(np.ceil(low_x - slack)), int(np.floor(high_x + slack))
    return top, bottom, left, right


@kernel()
def _cross(a: Any, b: Any, out: Any) -> None:
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@kernel()
def _span(edges: Any, y: float, scale: float, offset: float, left: int, right: int) -> Any:
    """The pixels (from, to) of a row at height y that may lie inside: each edge is linear in x = (j - offset) scale."""
    low, high = float(left), float(right - 1)
    for k in range(3):
        slope, start = edges[k, 0] * scale, edges[k, 1] * y - edges[k, 2] - edges[k, 0] * scale * offset
        if slope > 0.0:
            low = max(low, -start / slope)
        elif slope < 0.0:
            high = min(high, -start / slope)
    # Cut as floats first: an edge that is level but for rounding crosses the row beyond any integer.
    return int(np.ceil(min(low, float(right)) - 1e-6)), int(np.floor(max(high, left - 1.0) + 1e-6)) + 1


@kernel()
def _visible(corners: Any, focal: Any, centre: Any, near: float, depth: Any, face: Any, share: Any) -> None:
    """For every pixel the nearest triangle along its ray, its depth and the barycentric shares (h, w, 2) of the hit."""
    height, width = depth.shape
    edges = np.empty((3, 3))
    scale, offset = 1.0 / focal[0], centre[0] - 0.5
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
        if volume < 0.0:  # seen from behind: hits before the camera have all three shares of the volume's sign
            for k in range(3):
                for m in range(3):
                    edges[k, m] = -edges[k, m]
            volume = -volume
        for i in range(top, bottom):
            y = (centre[1] - i - 0.5) / focal[1]
            first, last = left, right
            if right - left > 4:
                first, last = _span(edges, y, scale, offset, left, right)
            for j in range(first, last):
                x = (j - offset) * scale
                a = edges[0, 0] * x + edges[0, 1] * y - edges[0, 2]
                b = edges[1, 0] * x + edges[1, 1] * y - edges[1, 2]
                g = edges[2, 0] * x + edges[2, 1] * y - edges[2, 2]
                total = a + b + g
                if a >= 0.0 and b >= 0.0 and g >= 0.0 and near * total <= volume and volume < depth[i, j] * total:
                    depth[i, j], face[i, j] = volume / total, f  # the hit is at depth (x, y, -1)
                    share[i, j, 0], share[i, j, 1] = a / total, b / total


@kernel()
def _texel(texels: Any, start: int, height: int, width: int, u: float, v: float, out: Any) -> None:
    """Multiply out (3,) by the texture (height, width) that begins at a texel, bilinearly, repeating, v up."""
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    column, row = int(np.floor(x)), int(np.floor(y))
    right, down = x - column, y - row
    above, below = start + (row % height) * width, start + ((row + 1) % height) * width
    before, after = column % width, (column + 1) % width
    for k in range(3):
        upper = (1.0 - right) * texels[above + before, k] + right * texels[above + after, k]
        lower = (1.0 - right) * texels[below + before, k] + right * texels[below + after, k]
        out[k] *= ((1.0 - down) * upper + down * lower) / 255.0


@kernel()
def _surface(mesh: Any, f: int, a: float, b: float, x: float, y: float, out: Any) -> None:
    """The unit normal (3,) toward the camera at the shares (a, b, 1 - a - b) of a face, on the ray (x, y, -1).

    Which side is seen is the face's to say: an interpolated normal that points away at a silhouette is bent to it.
    """
    g, c, n = 1.0 - a - b, mesh.corners, mesh.normals
    ux, uy, uz = c[f, 1, 0] - c[f, 0, 0], c[f, 1, 1] - c[f, 0, 1], c[f, 1, 2] - c[f, 0, 2]
    vx, vy, vz = c[f, 2, 0] - c[f, 0, 0], c[f, 2, 1] - c[f, 0, 1], c[f, 2, 2] - c[f, 0, 2]
    fx, fy, fz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    nx = a * n[f, 0, 0] + b * n[f, 1, 0] + g * n[f, 2, 0]
    ny = a * n[f, 0, 1] + b * n[f, 1, 1] + g * n[f, 2, 1]
    nz = a * n[f, 0, 2] + b * n[f, 1, 2] + g * n[f, 2, 2]
    if nx * nx + ny * ny + nz * nz < 1e-24:
        nx, ny, nz = fx, fy, fz
    aligned = nx * fx + ny * fy + nz * fz >= 0.0
    away = fx * x + fy * y - fz > 0.0  # the side of the face that its corners' order calls the outside
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    if away == aligned:
        length = -length
    nx, ny, nz = nx / length, ny / length, nz / length
    along = (nx * x + ny * y - nz) / (x * x + y * y + 1.0)
    if along > 0.0:
        nx, ny, nz = nx - along * x, ny - along * y, nz + along
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        nx, ny, nz = nx / length, ny / length, nz / length
    out[0], out[1], out[2] = nx, ny, nz


@kernel()
def _shade(
    mesh: Any, focal: Any, centre: Any, face: Any, share: Any, depth: Any, light: Any, ambient: float, lit: Any,
    texels: Any, starts: Any, sizes: Any, out: Any,
) -> None:  # fmt: skip
    """Fill out's parts where a face is seen; texels hold all textures, one after the other."""
    height, width = face.shape
    normal, colour = np.empty(3), np.empty(3)
    for i in range(height):
        for j in range(width):
            f = face[i, j]
            if f < 0:
                continue
            a, b = share[i, j, 0], share[i, j, 1]
            g = 1.0 - a - b
            _surface(mesh, f, a, b, (j + 0.5 - centre[0]) / focal[0], (centre[1] - i - 0.5) / focal[1], normal)
            for k in range(3):
                colour[k] = a * mesh.albedo[f, 0, k] + b * mesh.albedo[f, 1, k] + g * mesh.albedo[f, 2, k]
            which = mesh.texture[f]
            if which >= 0:
                u = a * mesh.uv[f, 0, 0] + b * mesh.uv[f, 1, 0] + g * mesh.uv[f, 2, 0]
                v = a * mesh.uv[f, 0, 1] + b * mesh.uv[f, 1, 1] + g * mesh.uv[f, 2, 1]
                _texel(texels, starts[which], sizes[which, 0], sizes[which, 1], u, v, colour)
            shade = max(0.0, normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2]) * lit[i, j]
            shading = np.float32(ambient + (1.0 - ambient) * shade)
            out.mask[i, j], out.depth[i, j], out.shading[i, j] = 1.0, depth[i, j], shading
            for k in range(3):
                albedo = np.float32(colour[k])
                out.normal[k, i, j], out.albedo[k, i, j] = normal[k], albedo
                out.image[k, i, j] = albedo * shading  # of the rounded factors: the product is exact in float32


def render(scene: Scene) -> Rendered:
    """Draw; see `hgenv.render.renderer.Renderer`."""
    mesh, camera, light, ambient, textures, shadow, casters = scene
    check_scene(scene)
    kinds = (*[np.float64] * 4, np.int64)
    mesh = Mesh._make(np.ascontiguousarray(part, kind) for part, kind in zip(mesh, kinds, strict=True))
    size, focal, centre = (camera.height, camera.width), np.array(camera.focal), np.array(camera.centre)
    depth, face, share = np.full(size, np.inf), np.full(size, -1), np.zeros((*size, 2))
    _visible(mesh.corners, focal, centre, _NEAR, depth, face, share)
    towards = np.asarray(light, np.float64)
    seen = lit(mesh, camera, depth, face, towards, shadow, casters) if shadow else np.ones(size)
    parts = [np.zeros((*lead, *size), np.float32) for lead in ((3,), (3,), (), (), (3,), ())]
    out = Rendered(*parts)
    _shade(mesh, focal, centre, face, share, depth, towards, ambient, seen, *textures, out)
    return out
