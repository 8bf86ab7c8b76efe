"""Target domains of albedo and shading: procedural pots, and textured models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.data.selection import evenly
from hgenv.data.shapenet import find_models, load_model
from hgenv.domains.domain import Answer, Pictures
from hgenv.render.mesh import Mesh, joined, of_unit_size, pack
from hgenv.render.raster import render
from hgenv.render.renderer import Rendered, batch_of
from hgenv.scenes.furniture import cylinder, viewed
from hgenv.scenes.texture import pattern

Array = NDArray[np.float64]
_POTS = 48


def albedo_and_shading(picture: Rendered) -> NDArray[np.float32]:
    """What is learned of a picture, (4, h, w)."""
    return np.concatenate([picture.albedo, picture.shading[None]])


def _image_is_albedo(one: Batch) -> NDArray:
    image = one.image[0].numpy()
    return np.concatenate([image / np.float32(0.7), np.full_like(image[:1], 0.7)])


def _even_albedo(one: Batch) -> NDArray:
    image = one.image
    return torch.cat([torch.full_like(image, 0.5), image.mean(1, keepdim=True) / 0.5], 1)[0].numpy()


INTRINSICS_OF_OBJECTS: dict[str, Answer] = {"image is albedo": _image_is_albedo, "even albedo": _even_albedo}
"""Albedo and shading that need no learning: the image as the albedo under even light; and an even albedo."""


def pots(resolution: int, ambient: float) -> Pictures:
    """Built in: smooth vases, in stripes, checks and gradients; 48 a split."""

    def one(which: int, number: int) -> Rendered:
        rng = np.random.default_rng([9, which, number])
        view, light = rng.random((2, 2))
        pot, repeat = _pot(rng), 1.0 + rng.integers(3)
        return render(viewed(pot, pack([pattern(rng)]), view, light, resolution, ambient, repeat))

    validation, test = (batch_of((one(which, k) for k in range(_POTS)), albedo_and_shading) for which in (0, 1))
    return Pictures(validation, test, INTRINSICS_OF_OBJECTS)


def objects(folder: str, count: int, resolution: int, ambient: float) -> Pictures:
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

    validation = batch_of(views(found[::2], 0), albedo_and_shading)
    return Pictures(validation, batch_of(views(found[1::2], 1), albedo_and_shading), INTRINSICS_OF_OBJECTS)


def _pot(rng: np.random.Generator) -> Mesh:
    """A smooth vase of several truncated cones: no shape of the training's."""
    radii = rng.uniform(0.12, 0.45, 6)
    heights = np.linspace(0.0, 1.0, 6)
    parts = [
        cylinder(np.array([0.0, heights[i], 0.0]), np.array([0.0, heights[i + 1], 0.0]), radii[i], radii[i + 1], 24)
        for i in range(5)
    ]
    return of_unit_size(joined(parts))
