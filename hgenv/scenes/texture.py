"""The painter's algorithm: textures of random polygons whose edges are roughened by Perlin noise (the paper's fourth).

Polygons are painted one over the other onto a canvas, which is then repeated. The draws of a polygon are keyed by its
slot, so that one polygon more is one painted on top, and the others stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.beta.distributions import Categorical
from hgenv.beta.layout import Layout
from hgenv.beta.mixtures import Count, TruncatedNormalMixture
from hgenv.beta.noise import Noise
from hgenv.kernels import kernel

Array = NDArray[np.float64]
MAX_POLYGONS = 40
MAX_VERTICES = 6
ROUGHNESS = 0.15
_LATTICE = 6


@dataclass(frozen=True)
class TextureBeta(Layout):
    """The 36 coordinates. The paper does not itemise 30 of them: five truncated Gaussians for x and y are ours."""

    polygons: Count = Count((0.5, 16.0), initial=3.0, meaning="number of polygons on a canvas, at most 40")
    repetitions: Count = Count((0.2, 4.0), initial=0.5, meaning="copies of the canvas across a texture")
    vertices: Categorical = Categorical("3", "4", "5", "6", meaning="vertices of a polygon")
    x: TruncatedNormalMixture = TruncatedNormalMixture(
        (0.0, 1.0), (0.03, 0.6), components=5, initial=(0.5, 0.15), apart=0.6, meaning="x of a vertex on the canvas"
    )
    y: TruncatedNormalMixture = TruncatedNormalMixture(
        (0.0, 1.0), (0.03, 0.6), components=5, initial=(0.5, 0.15), apart=0.6, meaning="y of a vertex on the canvas"
    )


@kernel()
def _perlin(px: float, py: float, slopes: Any) -> float:
    """Gradient noise (Perlin 1985, 2002) of a periodic lattice (n, n, 2) of unit vectors at a point of the square."""
    n = slopes.shape[0]
    u, v = px * n, py * n
    i, j = int(np.floor(u)), int(np.floor(v))
    s, t = u - i, v - j
    a, b = s * s * s * (s * (6.0 * s - 15.0) + 10.0), t * t * t * (t * (6.0 * t - 15.0) + 10.0)
    total = 0.0
    for di in range(2):
        for dj in range(2):
            along = slopes[(i + di) % n, (j + dj) % n]
            slope = along[0] * (s - di) + along[1] * (t - dj)
            total += slope * (a if di else 1.0 - a) * (b if dj else 1.0 - b)
    return total


@kernel()
def _signed_distance(px: float, py: float, edges: Any) -> float:
    """Distance of a point to a simple polygon, negative inside (even-odd rule). edges (v, 5): start, way to the vertex
    before, and its length squared."""
    nearest, inside = 1e30, False
    for k in range(len(edges)):
        x, y, ex, ey, square = edges[k, 0], edges[k, 1], edges[k, 2], edges[k, 3], edges[k, 4]
        wx, wy = px - x, py - y
        along = min(1.0, max(0.0, (wx * ex + wy * ey) / square))
        bx, by = wx - ex * along, wy - ey * along
        nearest = min(nearest, bx * bx + by * by)
        before = edges[k - 1, 1] if k else edges[len(edges) - 1, 1]
        if (y > py) != (before > py) and px < x + (py - y) / ey * ex:
            inside = not inside
    return -np.sqrt(nearest) if inside else np.sqrt(nearest)


@kernel()
def _edges(x: Any, y: Any) -> Any:
    """What `_signed_distance` takes of vertices (v,)."""
    edges = np.empty((len(x), 5))
    for k in range(len(x)):
        ex, ey = x[k - 1] - x[k], y[k - 1] - y[k]
        edges[k] = x[k], y[k], ex, ey, max(ex * ex + ey * ey, 1e-18)
    return edges


@kernel()
def _paint(canvas: Any, x: Any, y: Any, vertices: Any, colours: Any, angles: Any, rough: Any) -> None:
    """Paint polygons, the first at the bottom, onto a canvas (h, w, 3) of the unit square: from the top, so that what
    is hidden is not looked at."""
    height, width = canvas.shape[0], canvas.shape[1]
    bare, slopes = np.ones((height, width), np.bool_), np.empty((*angles.shape, 2))
    slopes[..., 0], slopes[..., 1] = np.cos(angles), np.sin(angles)
    for p in range(len(x) - 1, -1, -1):
        # Noise is within -1 and 1: a pixel farther from the polygon than its roughness is never painted.
        edges, reach = _edges(x[p, : vertices[p]], y[p, : vertices[p]]), rough[p]
        low_x, high_x = edges[:, 0].min() - reach, edges[:, 0].max() + reach
        low_y, high_y = edges[:, 1].min() - reach, edges[:, 1].max() + reach
        for i in range(max(0, int(low_y * height)), min(height, int(high_y * height) + 1)):
            for j in range(max(0, int(low_x * width)), min(width, int(high_x * width) + 1)):
                if not bare[i, j]:
                    continue
                px, py = (j + 0.5) / width, (i + 0.5) / height
                off = _signed_distance(px, py, edges)
                if abs(off) <= reach:
                    off += reach * _perlin(px + 0.37 * p, py + 0.61 * p, slopes)
                if off < 0.0:
                    bare[i, j] = False
                    canvas[i, j] = colours[p]


@kernel()
def _paint_each(
    canvases: Any, x: Any, y: Any, vertices: Any, colours: Any, angles: Any, rough: Any, counts: Any
) -> None:
    """`_paint` every canvas (n, h, w, 3) with the next of all polygons (m,), and with its own first colours."""
    first = 0
    for row in range(len(canvases)):
        mine = slice(first, first + counts[row])
        _paint(canvases[row], x[mine], y[mine], vertices[mine], colours[row], angles[row], rough[row])
        first += counts[row]


def stages(bound: SimpleNamespace, noise: Noise, side: int) -> list[NDArray[np.uint8]]:
    """How textures (n, side, side, 3) come about: bare canvases, polygons, rough edges, the canvas repeated (the
    paper's Fig. E.1)."""
    bare, smooth = (paint(bound, noise, side, most, 0.0)[0] for most in (0, MAX_POLYGONS))
    canvases, repeats = paint(bound, noise, side)
    places = [np.arange(side) * times % side for times in repeats]
    repeated = np.stack([canvas[at][:, at] for canvas, at in zip(canvases, places, strict=True)])
    return [bare, smooth, canvases, repeated]


def paint(
    bound: SimpleNamespace, noise: Noise, side: int, most: int = MAX_POLYGONS, roughness: float = ROUGHNESS
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Canvases (n, side, side, 3) uint8 of n samples, and how often each is repeated (n,).

    most: polygons a canvas; roughness: of the roughest edge, in canvases.
    """
    slots = (MAX_POLYGONS,)
    wanted = noise.draw(bound.polygons, "polygons")
    count = np.minimum(wanted, most)
    repeats = noise.draw(bound.repetitions, "repetitions")
    used = np.arange(MAX_POLYGONS) < count[:, None]
    vertices = 3 + noise.draw(bound.vertices, "vertices", slots, used=used)
    corner = used[..., None] & (np.arange(MAX_VERTICES) < vertices[..., None])
    x = noise.draw(bound.x, "x", (*slots, MAX_VERTICES), used=corner)
    y = noise.draw(bound.y, "y", (*slots, MAX_VERTICES), used=corner)
    colours, base = (_level(noise.uniform(*place)) for place in (("colours", (*slots, 3)), ("base", (3,))))
    angles = 2.0 * np.pi * noise.uniform("lattice", (_LATTICE, _LATTICE))
    rough = roughness * noise.uniform("roughness", slots) ** 2
    canvases = np.empty((len(count), side, side, 3), np.uint8)
    canvases[:] = base[:, None, None]
    _paint_each(canvases, *_simple(x[used], y[used], vertices[used]), vertices[used], colours, angles, rough, count)
    return canvases, repeats


def _level(share: Array) -> NDArray[np.uint8]:
    """A texture's colours of uniforms."""
    return (255.0 * (0.05 + 0.95 * share)).round().astype(np.uint8)


def _simple(x: Array, y: Array, vertices: NDArray[np.int64]) -> tuple[Array, Array]:
    """The vertices in order of their angle about their middle, so that edges do not cross; those in use first."""
    present = np.arange(MAX_VERTICES) < vertices[..., None]
    middle = [np.sum(np.where(present, c, 0.0), -1, keepdims=True) / vertices[..., None] for c in (x, y)]
    angle = np.where(present, np.arctan2(y - middle[1], x - middle[0]), np.inf)
    order = np.argsort(angle, axis=-1, kind="stable")
    return np.take_along_axis(x, order, -1), np.take_along_axis(y, order, -1)


def pattern(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A texture that is not painted, (64, 64, 3): stripes, checks or a gradient of two colours, with a little grain."""
    y, x = np.mgrid[0:1:64j, 0:1:64j]
    angle, times = rng.uniform(0, np.pi), rng.integers(2, 7)
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    kind = rng.integers(3)
    share = (along * times) % 1.0 if kind == 2 else (np.sin(2 * np.pi * times * along) > 0).astype(float)
    if kind == 1:
        share = np.abs(share - (np.sin(2 * np.pi * times * across) > 0))
    first, second = rng.uniform(0.1, 0.95, (2, 3))
    colours = first + share[..., None] * (second - first) + 0.03 * rng.standard_normal((64, 64, 1))
    return (255.0 * colours.clip(0, 1)).round().astype(np.uint8)
