"""Target domains for surface normals indoors: procedural rooms that nobody tidied, and photographs with depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.batch import Batch, Split
from hgenv.data import nyu
from hgenv.domains.domain import Domain, Pictures
from hgenv.domains.shading import ShapeFromShading
from hgenv.quantities.normals import constant_normal, facing, unit_where
from hgenv.render.raster import render
from hgenv.render.renderer import Rendered, batch_of
from hgenv.rotations import unit_vector
from hgenv.scenes.interiors import Lighting, staged
from hgenv.scenes.rooms import room

Array = NDArray[np.float64]
# How the built-in target differs from a tidy room, standard deviations by interiors.DEGREES: furniture stands askew,
# and the camera is held in a hand that points it down (a positive pitch).
_ASKEW = np.array([0.15, 0.0, 0.15, 0.5, 0.03, 0.03])
_IN_HAND = np.array([0.2, 0.15, 0.2, 0.3, 0.15, 0.08])
_DOWN = np.array([0.0, 0.0, 0.0, 0.0, 0.3, 0.0])
FIRST_ROOM = 10_000
"""Rooms of the validation have numbers from here on, those of the test from twice as far; the training's are lower."""


def other_rooms(size: tuple[int, int], validation_size: int, test_size: int) -> Pictures:
    """Built in: one picture each of rooms that the training has not, in light from above, with sensor noise."""
    validation, test = (
        _developed(batch_of((_photograph(first + i, size) for i in range(count)), attrgetter("normal")), first)
        for first, count in ((FIRST_ROOM, validation_size), (2 * FIRST_ROOM, test_size))
    )
    shading = ShapeFromShading(validation, silhouette=False)
    return Pictures(validation, test, {"constant normal": constant_normal, "shape from shading": shading})


def _photograph(number: int, size: tuple[int, int]) -> Rendered:
    """The first try in which half the picture is farther than 1 m."""
    rng, scene = np.random.default_rng([12, number]), room(number)
    for _ in range(100):
        view = scene.views[int(rng.integers(len(scene.views)))]
        shapes = _ASKEW * rng.standard_normal((len(scene.objects), 6))
        camera = _IN_HAND * rng.standard_normal(6) + _DOWN
        lighting = Lighting(unit_vector(rng.random(2) * [0.7, 1.0] + [0.3, 0.0]), 1.0, 0.45)
        found = render(staged(scene, view, shapes, camera, size, lighting, shadow=256))
        if np.median(found.depth) > 1.0:
            return found
    raise ValueError(f"no picture of room {number} shows anything farther than 1 m")


def _developed(batch: Batch, seed: int) -> Batch:
    """An exposure of its own for every picture, and noise of the sensor."""
    rng, count = np.random.default_rng([13, seed]), len(batch.image)
    gain = torch.from_numpy(rng.uniform(0.8, 1.4, (count, 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(0.02 * rng.standard_normal(batch.image.shape).astype(np.float32))
    return batch._replace(image=(gain * batch.image + noise).clamp(0.0, 1.0))


@dataclass(frozen=True)
class IndoorFrames(Domain):
    """NYU Depth V2, scored at every fourth pixel of a frame's rows and columns."""

    folder: str
    size: tuple[int, int]
    count: int

    @cached_property
    def frames(self) -> dict[Split, list[nyu.Frame]]:
        """Both splits."""
        return nyu.load(self.folder, self.count)

    def batch(self, split: Split) -> Batch:
        return self._batches[split]

    @cached_property
    def _batches(self) -> dict[Split, Batch]:
        return {split: Batch.join([self._shrunk(frame) for frame in some]) for split, some in self.frames.items()}

    def _shrunk(self, frame: nyu.Frame) -> Batch:
        """A frame at the network's resolution: normals are averaged over what is valid, where that is half or more."""
        image = self._shrink(frame.image.astype(np.float64) / 255.0).transpose(2, 0, 1)
        share = self._shrink(frame.valid.astype(np.float64))
        normal = self._shrink((frame.normal * frame.valid).transpose(1, 2, 0)).transpose(2, 0, 1)
        target, inside = unit_where(normal, share >= 0.5)
        parts = (image[None], target[None], inside[None, None])
        return Batch(*(torch.from_numpy(part.astype(np.float32)) for part in parts))

    def _shrink(self, array: Array) -> Array:
        return np.asarray(cv2.resize(array, self.size[::-1], interpolation=cv2.INTER_AREA), np.float64)

    def truth(self, split: Split) -> Sequence[Batch]:
        return [_sparse(frame) for frame in self.frames[split]]

    def enlarged(self, prediction: NDArray, split: Split) -> Sequence[NDArray]:
        maps = np.moveaxis(prediction.astype(np.float64), 1, -1)
        return [
            np.moveaxis(cv2.resize(m, f.valid.shape[::-1], interpolation=cv2.INTER_LINEAR), -1, 0)
            for m, f in zip(maps, self.frames[split], strict=True)
        ]

    def answers(self, split: Split) -> dict[str, Sequence[NDArray]]:
        """A normal toward the viewer, and shape from shading."""
        shading = ShapeFromShading(self.batch("validation"), silhouette=False)
        return {
            "constant normal": [facing(f.valid) for f in self.frames[split]],
            "shape from shading": self.enlarged(shading(self.batch(split)), split),
        }


def _sparse(frame: nyu.Frame) -> Batch:
    """A frame at the pixels that are scored."""
    image = frame.image[2::4, 2::4].transpose(2, 0, 1)[None]
    parts = (image / 255.0, frame.normal[None], frame.valid[None, None].astype(np.float64))
    return Batch(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))
