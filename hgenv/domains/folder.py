"""Your own pictures with ground truth as a target domain, of any quantity, scored at the ground truth's resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.batch import Batch, Split
from hgenv.data.pairs import Pair, load, resized
from hgenv.data.picture import brightness
from hgenv.domains.crop import MARGIN, Window, crop, exposed, square_about, uncrop, whole
from hgenv.domains.domain import Domain
from hgenv.domains.objects import INTRINSICS_OF_OBJECTS
from hgenv.domains.photographs import turned
from hgenv.domains.shading import ShapeFromShading
from hgenv.quantities import Depth, Intrinsics, Normals, Quantity, metrics
from hgenv.quantities.normals import facing, unit_where

Array = NDArray[np.float64]


def check_named(target: str, data: str | None) -> None:
    """ValueError for target="folder" without data, or for the generator's own with them."""
    if target == "folder" and data is None:
        raise ValueError("target='folder' needs data='FOLDER'")
    if target == "itself" and data is not None:
        raise ValueError("target='itself' reads no data: with data='FOLDER' goes target='folder'")


@dataclass(frozen=True)
class Folder(Domain):
    """Pairs of picture and ground truth of a quantity, in a folder (`hgenv.data.pairs`).

    The network sees `channels` channels at `size`, height and width: with `objects`, the square about the mask,
    exposed as the training images are, and black outside; else all of the picture, with borders if its aspect is
    another. Of normals of objects, the validation loss is of eight copies, turned and mirrored, if `turn` says so.
    """

    folder: str
    quantity: Quantity
    targets: int
    channels: int
    size: tuple[int, int]
    objects: bool = False
    turn: bool = False

    @cached_property
    def pairs(self) -> dict[Split, list[Pair]]:
        """Both splits."""
        return load(self.folder, [part.name for part in self.quantity.parts(self.targets)], self.targets)

    def batch(self, split: Split) -> Batch:
        return self._batches[split]

    def examined(self) -> Batch:
        return self._turned if self.turn and self.objects else self.batch("validation")

    def truth(self, split: Split) -> Sequence[Batch]:
        return [self._whole(pair) for pair in self.pairs[split]]

    def enlarged(self, prediction: NDArray, split: Split) -> Sequence[NDArray]:
        maps = np.moveaxis(prediction.astype(np.float64), 1, -1)
        pairs = zip(maps, self.pairs[split], strict=True)
        return [uncrop(one, self._window(pair, pair.valid.shape), pair.valid.shape) for one, pair in pairs]

    def answers(self, split: Split) -> dict[str, Sequence[NDArray]]:
        """For normals, one toward the viewer, a dome over an object, and shape from shading; for depth, the median of
        the validation's; for intrinsics as for models."""
        pairs = self.pairs[split]
        if isinstance(self.quantity, Normals):
            shading = ShapeFromShading(self.batch("validation"), silhouette=self.objects)
            found: dict[str, Sequence[NDArray]] = {"constant normal": [facing(pair.valid) for pair in pairs]}
            if self.objects:
                found["dome"] = [metrics.dome(resized(p.mask, p.valid.shape)) for p in pairs]
            return found | {"shape from shading": self.enlarged(shading(self.batch(split)), split)}
        if isinstance(self.quantity, Depth):
            known = np.concatenate([pair.target[0][pair.valid] for pair in self.pairs["validation"]])
            return {"constant depth": [np.full_like(pair.target, np.median(known)) for pair in pairs]}
        if isinstance(self.quantity, Intrinsics):
            truth = self.truth(split)
            return {name: [answer(one)[0] for one in truth] for name, answer in INTRINSICS_OF_OBJECTS.items()}
        return {}

    @cached_property
    def _batches(self) -> dict[Split, Batch]:
        return {split: Batch.join([self._shown(pair) for pair in pairs]) for split, pairs in self.pairs.items()}

    @cached_property
    def _turned(self) -> Batch:
        return turned(self.batch("validation"))

    def _window(self, pair: Pair, size: tuple[int, int]) -> Window:
        """What the network sees of a pair, in pixels of a size."""
        if self.objects:
            return square_about(resized(pair.mask, size), MARGIN)
        return whole(size, self.size[1] / self.size[0])

    def _shown(self, pair: Pair) -> Batch:
        """A pair as the network sees it: ground truth is averaged over what is known, where that is half or more."""
        channels, mask = _channels(pair.image, self.channels), pair.mask
        if self.objects:
            channels = exposed(channels, mask) * mask
        window, true = self._window(pair, mask.shape), self._window(pair, pair.valid.shape)
        image = np.stack([crop(channel, window, self.size) for channel in channels])
        share = crop(pair.valid.astype(np.float64), true, self.size)
        summed = np.stack([crop(channel.astype(np.float64), true, self.size) for channel in pair.target])
        inside = share >= 0.5
        if isinstance(self.quantity, Normals):
            target, inside = unit_where(summed, inside)
        else:
            target = np.where(inside, summed / np.maximum(share, 1e-6), 0.0)
        return _batch(image, target, inside)

    def _whole(self, pair: Pair) -> Batch:
        """A pair at the resolution of its ground truth."""
        height, width = pair.valid.shape
        channels = _channels(pair.image, self.channels)
        if channels.shape[1:] != pair.valid.shape:
            channels = np.stack([cv2.resize(c, (width, height), interpolation=cv2.INTER_AREA) for c in channels])
        return _batch(channels, pair.target, pair.valid)


def _channels(image: NDArray, count: int) -> Array:
    """A picture as (count, h, w) in [0, 1]: grey is the mean of the colours, and all of them."""
    values = brightness(image)
    if values.ndim == 2:
        return np.repeat(values[None], count, 0)
    return values.mean(-1)[None] if count == 1 else np.moveaxis(values, -1, 0)


def _batch(image: NDArray, target: NDArray, mask: NDArray[np.bool_]) -> Batch:
    parts = (image[None], target[None], mask[None, None])
    return Batch(*(torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in parts))
