"""Textured triangle meshes in memory: made, joined, normalised, moved, placed before a camera."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel

Array = NDArray[np.float64]


class Mesh(NamedTuple):
    """Triangles.

    corners (f, 3, 3): positions. normals (f, 3, 3): vertex normals, interpolated; not normalised, 0 for flat faces.
    albedo (f, 3, 3): RGB of the corners in [0, 1], multiplied with the texture's. uv (f, 3, 2), texture (f,): the
    index of a texture, or -1; coordinates repeat, v up.
    """

    corners: Array
    normals: Array
    albedo: Array
    uv: Array
    texture: NDArray[np.int64]


class SharedMesh(NamedTuple):
    """Smooth triangles without textures that share vertices, for renderers that need not see every corner of them.

    faces (f, 3): rows of points (v, 3), of vertex_normals (v, 3), as `vertex_normals` makes them, and of colours
    (v, 3). It has all parts of a `Mesh`, which are made when they are asked for.
    """

    faces: NDArray[np.int64]
    points: Array
    vertex_normals: Array
    colours: Array

    @property
    def corners(self) -> Array:
        """(f, 3, 3)."""
        return self.points[self.faces]

    @property
    def normals(self) -> Array:
        """(f, 3, 3)."""
        return self.vertex_normals[self.faces]

    @property
    def albedo(self) -> Array:
        """(f, 3, 3)."""
        return self.colours[self.faces]

    @property
    def uv(self) -> Array:
        """(f, 3, 2)."""
        return np.zeros((len(self.faces), 3, 2))

    @property
    def texture(self) -> NDArray[np.int64]:
        """(f,)."""
        return np.full(len(self.faces), -1)


class Textures(NamedTuple):
    """Pictures one after the other, as renderers read them: texels (t, 3) uint8 RGB; start (k,), size (k, 2): height
    and width. `pack` makes them."""

    texels: NDArray[np.uint8]
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    def picture(self, index: int) -> NDArray[np.uint8]:
        """One of them, (h, w, 3)."""
        height, width = self.size[index]
        return self.texels[self.start[index] :][: height * width].reshape(height, width, 3)


def pack(pictures: Sequence[NDArray[np.uint8]]) -> Textures:
    """Textures of pictures (h, w, 3) uint8. Raises ValueError for pictures of another kind."""
    if any(p.ndim != 3 or p.shape[2] != 3 or p.dtype != np.uint8 or not p.size for p in pictures):
        raise ValueError("textures must be (h, w, 3) uint8")
    size = np.array([p.shape[:2] for p in pictures], np.int64).reshape(-1, 2)
    start = np.array([0, *accumulate(p.size // 3 for p in pictures)], np.int64)[:-1]
    flat = [np.ascontiguousarray(p).reshape(-1, 3) for p in pictures] or [np.zeros((1, 3), np.uint8)]
    return Textures(flat[0] if len(flat) == 1 else np.concatenate(flat), start, size)


NO_TEXTURES = pack([])


def plain_mesh(vertices: Array, faces: NDArray[np.int64], colours: Array | None = None, smooth: bool = True) -> Mesh:
    """A mesh without texture: vertices (v, 3) in camera coordinates, faces (f, 3), RGB (v, 3) of the vertices or white.

    smooth interpolates vertex normals, which are averages of the faces' by area; flat faces otherwise.
    """
    corners = vertices[faces]
    colours = np.ones((len(vertices), 3)) if colours is None else colours
    normals = vertex_normals(vertices, faces)[faces] if smooth else np.zeros_like(corners)
    count = len(faces)
    return Mesh(corners, normals, colours[faces], np.zeros((count, 3, 2)), np.full(count, -1))


def vertex_normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """Unit normals (v, 3): the faces' averaged by area; 0 where a vertex has no face."""
    return unit_normals(np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int64))


@kernel()
def unit_normals(vertices: Any, faces: Any) -> Any:
    """`vertex_normals` for kernels."""
    total = np.zeros(vertices.shape)
    for f in range(len(faces)):
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in range(3):
            normal = total[faces[f, k]]
            normal[0], normal[1], normal[2] = normal[0] + nx, normal[1] + ny, normal[2] + nz
    for v in range(len(total)):
        x, y, z = total[v, 0], total[v, 1], total[v, 2]
        length = max(np.sqrt(x * x + y * y + z * z), 1e-300)
        total[v, 0], total[v, 1], total[v, 2] = x / length, y / length, z / length
    return total


def joined(parts: Sequence[Mesh]) -> Mesh:
    """Several meshes as one; they share their textures."""
    return Mesh._make(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def coarsened(mesh: Mesh, size: float) -> Mesh:
    """The mesh with features smaller than a size merged: vertices that share a cell of that side become their mean, and
    faces that vanish or coincide by that are dropped (Rossignac & Borrel 1993). Where all would, the mesh stays."""
    points = mesh.corners.reshape(-1, 3)
    _, which, count = np.unique(np.floor(points / size), axis=0, return_inverse=True, return_counts=True)
    which = which.reshape(-1)
    means = np.stack([np.bincount(which, points[:, k]) / count for k in range(3)], axis=1)
    corners = np.sort(which.reshape(-1, 3), axis=1)
    whole = np.flatnonzero((corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]))
    if not len(whole):
        return mesh
    rows = whole[np.sort(np.unique(corners[whole], axis=0, return_index=True)[1])]
    kept = Mesh._make(part[rows] for part in mesh)
    return kept._replace(corners=means[which].reshape(-1, 3, 3)[rows])


def bounds(corners: Array) -> tuple[Array, Array]:
    """Lowest and highest coordinates, (3,) each, of corners (f, 3, 3)."""
    if not len(corners):
        raise ValueError("a mesh without faces has no bounds")
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    _bounds(np.ascontiguousarray(corners, np.float64).reshape(-1, 3), low, high)
    return low, high


@kernel()
def _bounds(points: Any, low: Any, high: Any) -> None:
    """What is not a number stays, as it does in numpy's."""
    for i in range(len(points)):
        for k in range(3):
            x = points[i, k]
            if x < low[k] or x != x:
                low[k] = x
            if x > high[k] or x != x:
                high[k] = x


def face_normals(corners: Array) -> Array:
    """Normals (f, 3) of corners (f, 3, 3), twice as long as the faces are large."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def of_unit_size(mesh: Mesh) -> Mesh:
    """The mesh with its bounding box centred at the origin, and of diagonal 1, as ShapeNetCore's models are."""
    low, high = bounds(mesh.corners)
    return mesh._replace(corners=(mesh.corners - 0.5 * (low + high)) / np.linalg.norm(high - low))


def moved(mesh: Mesh, rotation: Array, shift: Array) -> Mesh:
    """The mesh turned about the origin by rotation (3, 3), then shifted by (3,)."""
    corners, normals = np.empty(mesh.corners.shape), np.empty(mesh.normals.shape)
    turn_into(mesh.corners, rotation, shift, corners)
    turn_into(mesh.normals, rotation, np.zeros(3), normals)
    return mesh._replace(corners=corners, normals=normals)


@kernel()
def turn_into(points: Any, rotation: Any, shift: Any, out: Any) -> None:
    """points (f, 3, 3) turned by (3, 3), then shifted by (3,); numpy's product takes ten times as long."""
    for f in range(points.shape[0]):
        for i in range(3):
            x, y, z = points[f, i, 0], points[f, i, 1], points[f, i, 2]
            for k in range(3):
                out[f, i, k] = rotation[k, 0] * x + rotation[k, 1] * y + rotation[k, 2] * z + shift[k]


def placed(mesh: Mesh, rotation: Array, distance: float) -> Mesh:
    """A mesh about the origin, turned and put `distance` before the camera."""
    return moved(mesh, rotation, np.array([0.0, 0.0, -distance]))
