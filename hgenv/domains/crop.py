"""How pictures of single objects are exposed, and cut to a square about the object, and back."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MARGIN = 0.05
"""Border about an object, as a share of its own extent on either side."""


def exposed(image: NDArray, mask: NDArray[np.bool_]) -> NDArray:
    """A picture (..., h, w) whose 99th percentile inside the mask (h, w) is 1, clipped to [0, 1]; one that is black
    there as it is."""
    bright = np.percentile(image[..., mask], 99.0) if mask.any() else 0.0
    return (image / bright).clip(0.0, 1.0) if bright > 0 else image


class Square(NamedTuple):
    """Top and left, which may be negative, and side, in pixels."""

    top: int
    left: int
    side: int


def square_about(mask: NDArray[np.bool_], margin: float) -> Square:
    """The square about a mask (h, w), with a border that is a share of its side."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(np.ceil(extent * (1.0 + 2.0 * margin)))
    return Square(int(rows[0] + rows[-1] + 1 - side) // 2, int(columns[0] + columns[-1] + 1 - side) // 2, side)


def crop(channel: Array, square: Square, resolution: int) -> Array:
    """A channel (h, w) cut to the square, 0 outside the photograph, and averaged to (resolution, resolution)."""
    top, left, side = square
    padded = np.pad(channel, side)[top + side : top + 2 * side, left + side : left + 2 * side]
    return np.asarray(cv2.resize(padded, (resolution, resolution), interpolation=cv2.INTER_AREA), np.float64)


def uncrop(channels: Array, square: Square, size: tuple[int, ...]) -> Array:
    """(r, r, 3) back to the photograph's size (h, w), as (3, h, w)."""
    (top, left, side), (height, width) = square, size
    large = np.asarray(cv2.resize(channels, (side, side), interpolation=cv2.INTER_LINEAR), np.float64)
    canvas = np.pad(large, ((height, height), (width, width), (0, 0)))
    return np.moveaxis(canvas[height - top : 2 * height - top, width - left : 2 * width - left], -1, 0)
