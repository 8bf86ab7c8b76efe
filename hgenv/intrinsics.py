"""Albedo and shading of single objects: how one is viewed, and the target domains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.crop import crop, square_about
from hgenv.data import mit_berkeley
from hgenv.data.selection import evenly
from hgenv.data.shapenet import find_models, load_model
from hgenv.drawn import batch_of
from hgenv.furniture import cylinder
from hgenv.grammar import unit_vector
from hgenv.render.raster import render
from hgenv.render.renderer import Camera, Drawing, Rendered
from hgenv.scene import Mesh, Textures, joined, of_unit_size, pack, placed, turn
from hgenv.task import Batch, Split
from hgenv.texture import pattern

Array = NDArray[np.float64]
DISTANCE = 2.2
"""Of an object's centre from the camera; its bounding box has a diagonal of 1."""
_POTS = 48
_MARGIN = 0.05


def camera(resolution: int) -> Camera:
    """Sees a little more than a bounding box's diagonal."""
    return Camera.of_angle(resolution, resolution, 2.0 * np.arctan(0.55 / DISTANCE))


def viewed(
    mesh: Mesh, textures: Textures, view: Array, light: Array, resolution: int, ambient: float, repeat: float = 1.0
) -> Drawing:
    """An object seen from any side and a little above, by two uniforms, under a light by two more."""
    seen = placed(mesh, turn(2.0 * np.pi * view[0], 0.1 + 0.5 * view[1]), DISTANCE)
    toward = unit_vector(np.array([0.3 + 0.7 * light[0], light[1]]))
    return Drawing(seen._replace(uv=seen.uv * repeat), camera(resolution), toward, ambient, textures)


def ground_truth(picture: Rendered) -> NDArray[np.float32]:
    """Albedo, then shading, (4, h, w)."""
    return np.concatenate([picture.albedo, picture.shading[None]])


def pots(resolution: int, ambient: float) -> dict[Split, Batch]:
    """Built in: smooth vases, in stripes, checks and gradients; 48 a split."""

    def one(which: int, number: int) -> Rendered:
        rng = np.random.default_rng([9, which, number])
        view, light = rng.random((2, 2))
        pot, repeat = _pot(rng), 1.0 + rng.integers(3)
        return render(viewed(pot, pack([pattern(rng)]), view, light, resolution, ambient, repeat))

    validation, test = (batch_of((one(which, k) for k in range(_POTS)), ground_truth) for which in (0, 1))
    return {"validation": validation, "test": test}


def objects(folder: str, count: int, resolution: int, ambient: float) -> dict[Split, Batch]:
    """Models in ShapeNetCore's layout, two views each: `count` of them, evenly over all; every second for the test."""
    found = find_models(folder)
    if len(found) < 4:
        raise ValueError(f"{folder} has {len(found)} models: a target domain needs at least 4")
    found = evenly(found, count)

    def views(paths: Sequence, which: int) -> Iterable[Rendered]:
        for number, path in enumerate(paths):
            model, u = load_model(path), np.random.default_rng([8, which, number]).random((2, 2, 2))
            textures = pack(model.textures)
            for view, light in u:
                seen = render(viewed(model.mesh, textures, view, light, resolution, ambient))
                if not seen.mask.any():
                    raise ValueError(f"{path} covers no pixel of a picture of {resolution}: it is too thin")
                yield seen

    return {
        "validation": batch_of(views(found[::2], 0), ground_truth),
        "test": batch_of(views(found[1::2], 1), ground_truth),
    }


def photographs(folder: str, resolution: int) -> dict[Split, Batch]:
    """MIT-Berkeley: ten photographs a split, cut to a square about the object.

    The data set leaves the scales open: image and reflectance are divided by their 99th percentiles inside the mask,
    shading is scaled so that albedo x shading is the image in the median, and where it then exceeds 1 at its 99th
    percentile, both are divided by that.
    """

    def batch(names: tuple[str, ...]) -> Batch:
        return Batch.join([_photograph(p, resolution) for p in mit_berkeley.load_intrinsics(folder, names)])

    return {"validation": batch(mit_berkeley.VALIDATION), "test": batch(mit_berkeley.TEST)}


def _photograph(p: mit_berkeley.Intrinsics, resolution: int) -> Batch:
    inside = p.mask
    image, albedo = (part / np.percentile(part[:, inside], 99.0) for part in (p.image, p.albedo))
    product = (albedo * p.shading)[:, inside]
    bright = product > 0.01 * product.max()
    shading = p.shading * np.median(image[:, inside][bright] / product[bright])
    brightest = max(1.0, float(np.percentile(shading[inside], 99.0)))
    image, shading = image / brightest, shading / brightest
    square = square_about(inside, _MARGIN)
    share = crop(inside.astype(np.float64), square, resolution)
    # Averages over the object's part of a pixel, which its edge shares with the background.
    channels = [
        crop(channel.clip(0.0, 1.0) * inside, square, resolution) / np.maximum(share, 1e-6)
        for channel in (*image, *albedo, shading)
    ]
    mask = share > 0.5
    stacked = np.where(mask, np.stack(channels), 0.0).astype(np.float32)
    parts = (stacked[:3], stacked[3:], mask[None].astype(np.float32))
    return Batch(*(torch.from_numpy(part[None]) for part in parts))


def _pot(rng: np.random.Generator) -> Mesh:
    """A smooth vase of several truncated cones: no shape of the training's."""
    radii = rng.uniform(0.12, 0.45, 6)
    heights = np.linspace(0.0, 1.0, 6)
    parts = [
        cylinder(np.array([0.0, heights[i], 0.0]), np.array([0.0, heights[i + 1], 0.0]), radii[i], radii[i + 1], 24)
        for i in range(5)
    ]
    return of_unit_size(joined(parts))
