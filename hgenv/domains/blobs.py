"""Smooth procedural objects, the built-in target domain: superquadrics and blended balls.

Clearly unlike the CSG generator: no edges or flat faces, light from above, no cast shadows, sensor noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.domains.domain import Answer, Pictures
from hgenv.domains.shading import ShapeFromShading
from hgenv.kernels import kernel
from hgenv.quantities.normals import constant_normal, dome_normals
from hgenv.rotations import unit_quaternion

BALLS = 6
_DEPTH, _COARSE, _BISECTIONS = 1.2, 64, 40


@kernel()
def _superquadric(p: Any, x: float, y: float, z: float) -> float:
    """Inside-outside function of Barr (1981) to the power e1 / 2, less 1; p = radii, exponents (2), rotation (9)."""
    u = abs(p[5] * x + p[6] * y + p[7] * z) / p[0]
    v = abs(p[8] * x + p[9] * y + p[10] * z) / p[1]
    w = abs(p[11] * x + p[12] * y + p[13] * z) / p[2]
    across = (u ** (2.0 / p[4]) + v ** (2.0 / p[4])) ** (p[4] / p[3])
    return (across + w ** (2.0 / p[3])) ** (p[3] / 2.0) - 1.0


@kernel()
def _balls(p: Any, x: float, y: float, z: float) -> float:
    """Level set of summed Gaussians (Blinn 1982); p = rows of (centre, radius), radius 0 for none."""
    total = 0.0
    for k in range(BALLS):
        r = p[4 * k + 3]
        if r > 0:
            squared = (x - p[4 * k]) ** 2 + (y - p[4 * k + 1]) ** 2 + (z - p[4 * k + 2]) ** 2
            total += np.exp(2.0 * (1.0 - squared / (r * r)))
    return 1.0 - total


@kernel()
def _field(kind: int, p: Any, x: float, y: float, z: float) -> float:
    return _superquadric(p, x, y, z) if kind == 0 else _balls(p, x, y, z)


@kernel()
def _first_root(kind: int, p: Any, x: float, y: float) -> float:
    """Largest z at which the view ray enters the object, or NaN."""
    step = 2.0 * _DEPTH / _COARSE
    for k in range(1, _COARSE + 1):
        low = _DEPTH - k * step
        if _field(kind, p, x, y, low) < 0.0:
            high = low + step
            for _ in range(_BISECTIONS):
                middle = 0.5 * (low + high)
                if _field(kind, p, x, y, middle) < 0.0:
                    low = middle
                else:
                    high = middle
            return low
    return np.nan


@kernel()
def _render(kind: Any, parameters: Any, resolution: int, normal: Any, mask: Any) -> None:
    step, h = 2.0 / resolution, 1e-5
    for row in range(len(kind)):
        k, p = kind[row], parameters[row]
        for i in range(resolution):
            for j in range(resolution):
                x, y = -1.0 + (j + 0.5) * step, 1.0 - (i + 0.5) * step
                z = _first_root(k, p, x, y)
                if np.isnan(z):
                    continue
                gx = _field(k, p, x + h, y, z) - _field(k, p, x - h, y, z)
                gy = _field(k, p, x, y + h, z) - _field(k, p, x, y - h, z)
                gz = _field(k, p, x, y, z + h) - _field(k, p, x, y, z - h)
                length = np.sqrt(gx * gx + gy * gy + gz * gz)
                normal[row, 0, i, j], normal[row, 1, i, j], normal[row, 2, i, j] = gx / length, gy / length, gz / length
                mask[row, i, j] = 1.0


def render_blobs(seeds: ArrayLike, resolution: int) -> tuple[NDArray, NDArray, NDArray]:
    """Objects of the given seeds (n,): image (n, h, w) in [0, 1], normal (n, 3, h, w), mask (n, h, w), float32."""
    noise = Noise(seeds)
    n = len(noise.seeds)
    kind = (noise.uniform("kind") < 0.5).astype(np.int64)
    parameters = np.where((kind == 0)[:, None], _superquadric_parameters(noise), _ball_parameters(noise))
    normal, mask = np.zeros((n, 3, resolution, resolution)), np.zeros((n, resolution, resolution))
    _render(kind, parameters, resolution, normal, mask)
    return _photograph(noise, normal, mask).astype(np.float32), normal.astype(np.float32), mask.astype(np.float32)


def _superquadric_parameters(noise: Noise) -> NDArray[np.float64]:
    radii = 0.4 + 0.45 * noise.uniform("radii", (3,))
    exponents = 0.4 + 0.8 * noise.uniform("exponents", (2,))
    w, x, y, z = np.moveaxis(unit_quaternion(noise.uniform("rotation", (3,))), -1, 0)
    rotation = np.stack(
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
        + [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
        + [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        axis=-1,
    )
    used = np.concatenate([radii, exponents, rotation], axis=1)
    return np.pad(used, ((0, 0), (0, 4 * BALLS - used.shape[1])))


def _ball_parameters(noise: Noise) -> NDArray[np.float64]:
    centre = 0.9 * (noise.uniform("centre", (BALLS, 3)) - 0.5)
    radius = 0.2 + 0.3 * noise.uniform("radius", (BALLS,))
    count = 2 + np.floor((BALLS - 1) * noise.uniform("count"))
    radius = np.where(np.arange(BALLS) < count[:, None], radius, 0.0)
    return np.concatenate([centre, radius[..., None]], axis=-1).reshape(len(centre), 4 * BALLS)


def _photograph(noise: Noise, normal: NDArray, mask: NDArray) -> NDArray:
    """Lambertian shading by a light in a cone about (0, 0.7, 0.7), ambient light, sensor noise."""
    light = np.stack([np.zeros(len(mask)), np.full(len(mask), 0.7), np.full(len(mask), 0.7)], axis=-1)
    light += 0.8 * (noise.uniform("light", (3,)) - 0.5)
    light /= np.linalg.norm(light, axis=-1, keepdims=True)
    shading = np.maximum(0.0, np.einsum("nchw,nc->nhw", normal, light))
    ambient = 0.1 + 0.2 * noise.uniform("ambient")[:, None, None]
    grain = 0.04 * (noise.uniform("grain", mask.shape[1:]) + noise.uniform("grain 2", mask.shape[1:]) - 1.0)
    return np.clip((ambient + (1.0 - ambient) * shading) * mask + grain, 0.0, 1.0)


def blobs(resolution: int, validation_size: int, test_size: int) -> Pictures:
    """The target domain: so many pictures a split, (1, resolution, resolution), with normals."""
    image, normal, mask = render_blobs(np.arange(validation_size + test_size), resolution)
    whole = Batch(torch.from_numpy(image)[:, None], torch.from_numpy(normal), torch.from_numpy(mask)[:, None])
    cut = validation_size
    validation, test = whole.rows(slice(0, cut)), whole.rows(slice(cut, None))
    ladder: dict[str, Answer] = {
        "constant normal": constant_normal, "dome": dome_normals, "shape from shading": ShapeFromShading(validation),
    }  # fmt: skip
    return Pictures(validation, test, ladder)
