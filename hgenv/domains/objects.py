"""Target domains of albedo and shading: procedural pots, and textured models."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.data.selection import evenly, read_each, say_left_out
from hgenv.data.shape_files import find_shapes, load_shape
from hgenv.domains.domain import Answer, Pictures
from hgenv.render.mesh import Mesh, of_unit_size, pack
from hgenv.render.raster import render
from hgenv.render.renderer import Rendered, batch_of
from hgenv.scenes.furniture import Cone, built, viewed
from hgenv.scenes.texture import pattern

Array = NDArray[np.float64]
_POTS = 48


def albedo_and_shading(picture: Rendered) -> NDArray[np.float32]:
    """What is learned of a picture, (4, h, w)."""
    return np.concatenate([picture.albedo, picture.shading[None]])


def _image_is_albedo(batch: Batch) -> NDArray:
    image = batch.image
    return torch.cat([image / 0.7, torch.full_like(image[:, :1], 0.7)], 1).numpy()


def _even_albedo(batch: Batch) -> NDArray:
    image = batch.image
    return torch.cat([torch.full_like(image, 0.5), image.mean(1, keepdim=True) / 0.5], 1).numpy()


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
    """Models in ShapeNetCore's layout or in files of their own, two views each: `count` of them, evenly over all; every
    second for the test.


    Of those that are chosen the broken ones are left out, which is said in a line, and the views of the others stay.
    Raises FileNotFoundError or ValueError if there are too few, or none is left for the validation or the test.
    """
    found = find_shapes(folder)
    if len(found) < 4:
        raise ValueError(f"{folder} has {len(found)} models: a target domain needs at least 4")
    chosen = list(enumerate(evenly(found, count)))
    problems: list[str] = []
    drawn = list(read_each(chosen, partial(_views, resolution=resolution, ambient=ambient), problems))
    say_left_out(problems, len(chosen), "models", folder)
    splits = [[batch for (number, _), batch in drawn if number % 2 == which] for which in (0, 1)]
    if not all(splits):
        raise ValueError(f"{folder} has models for one of validation and test only: {problems[0]}")
    return Pictures(Batch.join(splits[0]), Batch.join(splits[1]), INTRINSICS_OF_OBJECTS)


def _views(chosen: tuple[int, Path], resolution: int, ambient: float) -> Batch:
    """Two views of a model, by its number among those that are chosen. Raises FileNotFoundError or ValueError."""
    number, path = chosen
    model = load_shape(path)
    textures = pack(model.textures)
    seen = [
        render(viewed(model.mesh, textures, view, light, resolution, ambient))
        for view, light in np.random.default_rng([8, number % 2, number // 2]).random((2, 2, 2))
    ]
    if not all(picture.mask.any() for picture in seen):
        raise ValueError(f"{path} covers no pixel of a picture of {resolution}: it is too thin")
    return batch_of(seen, albedo_and_shading)


def _pot(rng: np.random.Generator) -> Mesh:
    """A smooth vase of several truncated cones: no shape of the training's."""
    radii = rng.uniform(0.12, 0.45, 6)
    levels = [(0.0, height, 0.0) for height in np.linspace(0.0, 1.0, 6)]
    cones = [Cone(levels[i], levels[i + 1], radii[i], radii[i + 1]) for i in range(5)]
    return of_unit_size(built(cones, sides=24))
