"""Polygons cut into triangles."""

from __future__ import annotations

from typing import NamedTuple

import manifold3d
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]
_EXCESS = 1e-6  # share of an area that rounding may add
_NOTHING = 1e-24  # square of a polygon's area, by the square of its largest side, that is none


class _Fans(NamedTuple):
    """Polygons (p,) as fans: where the corners of each start, and its triangles; owner (t,), whose a triangle is."""

    sizes: Index
    start: Index
    first: Index
    owner: Index

    @property
    def corners(self) -> Index:
        """(t, 3), indices of the polygons' corners, which are one after the other."""
        step = np.arange(len(self.owner)) - self.first[self.owner]
        return self.start[self.owner][:, None] + np.stack([np.zeros_like(step), step + 1, step + 2], axis=1)


def triangles(points: Array, sizes: Index) -> tuple[Index, Index]:
    """Polygons of sizes (p,), at least 3, whose corners are one after the other in points (c, 3), as triangles.

    A polygon becomes a fan about its first corner where that covers no more than it, as for all that are convex. Others
    are cut by ears, seen along their normals, as they need not be plane. What crosses itself becomes the one of the two
    that covers less, what has no area a fan.
    Returns corners (t, 3) as indices of points, and the polygon of each, (t,).
    """
    fans = _Fans(
        sizes, np.cumsum(sizes) - sizes, np.cumsum(sizes - 2) - (sizes - 2), np.repeat(np.arange(len(sizes)), sizes - 2)
    )
    corners = fans.corners
    if (sizes > 3).any():
        with np.errstate(all="ignore"):  # of numbers as large as there are: what is not finite stays a fan
            _cut(points, fans, corners)
    return corners, fans.owner


def _cut(points: Array, fans: _Fans, corners: Index) -> None:
    """Replaces the triangles (t, 3) of polygons of which the fan covers more than there is."""
    sides = points - np.repeat(points[fans.start], fans.sizes, axis=0)
    sides /= np.repeat(np.maximum.reduceat(np.abs(sides).max(1), fans.start), fans.sizes)[:, None]
    areas = _areas(sides, corners)
    normals = np.add.reduceat(areas, fans.first)
    enclosed = np.einsum("pk,pk->p", normals, normals)
    covered = np.add.reduceat(np.abs(np.einsum("tk,tk->t", areas, normals[fans.owner])), fans.first)
    wrong = (covered > (1.0 + _EXCESS) * enclosed) & (enclosed > _NOTHING)
    if not wrong.any():
        return
    rows = np.flatnonzero(wrong[fans.owner])
    cut = _ears(sides, fans, np.flatnonzero(wrong), normals)
    seen = np.abs(np.einsum("tk,tk->t", _areas(sides, cut), normals[fans.owner[rows]]))
    better = np.bincount(fans.owner[rows], seen, len(wrong)) < (1.0 - _EXCESS) * covered
    kept = better[fans.owner[rows]]
    corners[rows[kept]] = cut[kept]


def _ears(sides: Array, fans: _Fans, polygons: Index, normals: Array) -> Index:
    """Triangles (t, 3) of some polygons, one polygon after the other, seen along their normals."""
    chosen = np.zeros(len(fans.sizes), np.int64)
    chosen[polygons] = np.arange(len(polygons))
    axes = _across(normals[polygons])
    owner = np.repeat(np.arange(len(fans.sizes)), fans.sizes)
    flat = np.einsum("ck,ckj->cj", sides, axes[chosen[owner]])
    spans = zip(fans.start[polygons].tolist(), fans.sizes[polygons].tolist(), strict=True)
    return np.concatenate([start + manifold3d.triangulate([flat[start : start + size]]) for start, size in spans])


def _areas(points: Array, corners: Index) -> Array:
    """Normals of triangles (t, 3), twice as long as they are large."""
    a, b, c = points[corners[:, 0]], points[corners[:, 1]], points[corners[:, 2]]
    return np.cross(b - a, c - a)


def _across(normals: Array) -> Array:
    """Two axes, (n, 3, 2), across each of the normals (n, 3), along which it points to the viewer."""
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    right = np.cross(np.eye(3)[np.abs(unit).argmin(1)], unit)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(unit, right)], axis=2)
