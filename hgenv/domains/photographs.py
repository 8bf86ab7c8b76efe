"""The MIT-Berkeley photographs as target domains: of normals, and of albedo and shading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.batch import Batch, Split
from hgenv.data import mit_berkeley
from hgenv.domains.crop import MARGIN, crop, exposed, square_about, uncrop
from hgenv.domains.domain import Domain, Pictures
from hgenv.domains.objects import INTRINSICS_OF_OBJECTS
from hgenv.domains.shading import ShapeFromShading
from hgenv.quantities import metrics
from hgenv.quantities.normals import facing, unit_where

_SHADED = 64
"""Side of the pictures of which shape from shading is, in pixels."""


@dataclass(frozen=True)
class Photographs(Domain):
    """Normals of ten photographs a split, cut to a square about the object, scored at their full resolution.

    The network sees the textureless shading image, exposed as the training images are (`exposed`). With `turned`, the
    validation loss is of eight copies of each photograph, mirrored and turned by quarters with their normals; the
    originals alone are scored.
    """

    folder: str
    resolution: int
    turned: bool = False

    def batch(self, split: Split) -> Batch:
        return self._batches[split]

    def examined(self) -> Batch:
        return self._turned if self.turned else self.batch("validation")

    def truth(self, split: Split) -> Sequence[Batch]:
        return [_whole(p) for p in self.photographs[split]]

    def enlarged(self, prediction: NDArray, split: Split) -> Sequence[NDArray]:
        maps = np.moveaxis(prediction.astype(np.float64), 1, -1)
        pairs = zip(maps, self.photographs[split], strict=True)
        return [uncrop(m, square_about(p.mask, MARGIN), p.mask.shape) for m, p in pairs]

    def answers(self, split: Split) -> dict[str, Sequence[NDArray]]:
        """A normal toward the viewer, a dome over the silhouette, and shape from shading."""
        photographs = self.photographs[split]
        masks = [p.mask for p in photographs]
        shading = ShapeFromShading(self._cut(self.photographs["validation"], _SHADED))
        seen = Batch.join([_seen(p) for p in photographs])
        return {
            "constant normal": [facing(m) for m in masks],
            "dome": [metrics.dome(m) for m in masks],
            "shape from shading": self.enlarged(shading(seen), split),
        }

    @cached_property
    def photographs(self) -> dict[Split, list[mit_berkeley.Photograph]]:
        """Both splits at full resolution."""
        return {
            "validation": mit_berkeley.load(self.folder, mit_berkeley.VALIDATION),
            "test": mit_berkeley.load(self.folder, mit_berkeley.TEST),
        }

    @cached_property
    def _batches(self) -> dict[Split, Batch]:
        return {split: self._cut(photographs, self.resolution) for split, photographs in self.photographs.items()}

    @cached_property
    def _turned(self) -> Batch:
        return turned(self.batch("validation"))

    def _cut(self, photographs: list[mit_berkeley.Photograph], resolution: int) -> Batch:
        image, target, mask = [], [], []
        for p in photographs:
            cut = partial(crop, window=square_about(p.mask, MARGIN), size=(resolution, resolution))
            image.append(cut(exposed(p.shading, p.mask) * p.mask))
            share = cut(p.valid.astype(np.float64))
            normal, inside = unit_where(np.stack([cut(channel) for channel in p.normal]), share > 0.5)
            target.append(normal)
            mask.append(inside)
        stacked = (np.stack(image)[:, None], np.stack(target), np.stack(mask)[:, None])
        return Batch(*(torch.from_numpy(part.astype(np.float32)) for part in stacked))


def turned(batch: Batch) -> Batch:
    """Pictures of normals (n) and their mirror images, turned by quarters: 8 n, those of one picture in a row, so that
    an object is whole in one half."""
    copies = [_quarters(each, k) for each in (batch, _mirrored(batch)) for k in range(4)]
    parts = (torch.stack(parts, 1).flatten(0, 1) for parts in zip(*copies, strict=True))
    return Batch(*parts)


def _mirrored(batch: Batch) -> Batch:
    """Left and right exchanged."""
    image, target, mask = (part.flip(-1) for part in batch)
    return Batch(image, target * torch.tensor([-1.0, 1.0, 1.0])[:, None, None], mask)


def _quarters(batch: Batch, count: int) -> Batch:
    """Turned counterclockwise by quarters: what points right then points up."""
    image, target, mask = (torch.rot90(part, count, (-2, -1)) for part in batch)
    for _ in range(count):
        target = torch.stack([-target[:, 1], target[:, 0], target[:, 2]], 1)
    return Batch(image, target, mask)


def _seen(p: mit_berkeley.Photograph) -> Batch:
    """What shape from shading sees: a picture and the mask of the object, without ground truth."""
    cut = partial(crop, window=square_about(p.mask, MARGIN), size=(_SHADED, _SHADED))
    image, mask = cut(exposed(p.shading, p.mask) * p.mask), cut(p.mask.astype(np.float64)) > 0.5
    parts = (image[None, None], np.zeros((1, 3, *mask.shape)), mask[None, None].astype(np.float64))
    return Batch(*(torch.from_numpy(part) for part in parts))


def _whole(p: mit_berkeley.Photograph) -> Batch:
    """A photograph at its own resolution."""
    parts = (p.shading[None, None], p.normal[None], p.valid[None, None].astype(np.float64))
    return Batch(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))


def intrinsic_photographs(folder: str, resolution: int) -> Pictures:
    """Albedo and shading: ten photographs a split, cut to a square about the object.

    The data set leaves the scales open: image and reflectance are divided by their 99th percentiles inside the mask,
    shading is scaled so that albedo x shading is the image in the median, and where it then exceeds 1 at its 99th
    percentile, both are divided by that.
    """

    def batch(names: tuple[str, ...]) -> Batch:
        return Batch.join([_intrinsics(p, resolution) for p in mit_berkeley.load_intrinsics(folder, names)])

    return Pictures(batch(mit_berkeley.VALIDATION), batch(mit_berkeley.TEST), INTRINSICS_OF_OBJECTS)


def _intrinsics(p: mit_berkeley.Intrinsics, resolution: int) -> Batch:
    inside = p.mask
    image, albedo = (part / np.percentile(part[:, inside], 99.0) for part in (p.image, p.albedo))
    product = (albedo * p.shading)[:, inside]
    bright = product > 0.01 * product.max()
    shading = p.shading * np.median(image[:, inside][bright] / product[bright])
    brightest = max(1.0, float(np.percentile(shading[inside], 99.0)))
    image, shading = image / brightest, shading / brightest
    square, size = square_about(inside, MARGIN), (resolution, resolution)
    share = crop(inside.astype(np.float64), square, size)
    # Averages over the object's part of a pixel, which its edge shares with the background.
    channels = [
        crop(channel.clip(0.0, 1.0) * inside, square, size) / np.maximum(share, 1e-6)
        for channel in (*image, *albedo, shading)
    ]
    mask = share > 0.5
    stacked = np.where(mask, np.stack(channels), 0.0).astype(np.float32)
    parts = (stacked[:3], stacked[3:], mask[None].astype(np.float32))
    return Batch(*(torch.from_numpy(part[None]) for part in parts))
