"""How pictures are exposed, and cut to a window, as the square about an object, and back."""

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


class Window(NamedTuple):
    """Top and left, which may be negative, height and width, in pixels."""

    top: int
    left: int
    height: int
    width: int


def square_about(mask: NDArray[np.bool_], margin: float) -> Window:
    """The square about a mask (h, w), with a border that is a share of its side."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(np.ceil(extent * (1.0 + 2.0 * margin)))
    top, left = int(rows[0] + rows[-1] + 1 - side) // 2, int(columns[0] + columns[-1] + 1 - side) // 2
    return Window(top, left, side, side)


def whole(size: tuple[int, int], aspect: float) -> Window:
    """All of a picture of a size (h, w), with borders where its aspect, width by height, is another by a tenth."""
    height, width = size
    if 1.0 / 1.1 <= width / height / aspect <= 1.1:
        return Window(0, 0, height, width)
    tall, wide = max(height, round(width / aspect)), max(width, round(height * aspect))
    return Window((height - tall) // 2, (width - wide) // 2, tall, wide)


def crop(channel: Array, window: Window, size: tuple[int, int]) -> Array:
    """A channel (h, w) cut to the window, 0 outside the picture, and averaged to a size (h, w)."""
    top, left, height, width = window
    tall, wide = channel.shape
    if top < 0 or left < 0 or top + height > tall or left + width > wide:
        channel = np.pad(channel, ((height, height), (width, width)))
        top, left = top + height, left + width
    inside = np.ascontiguousarray(channel[top : top + height, left : left + width])
    return np.asarray(cv2.resize(inside, size[::-1], interpolation=cv2.INTER_AREA), np.float64)


def uncrop(channels: Array, window: Window, size: tuple[int, ...]) -> Array:
    """(r, s, c) back to the picture's size (h, w), as (c, h, w)."""
    (top, left, tall, wide), (height, width) = window, size
    large = np.asarray(cv2.resize(channels, (wide, tall), interpolation=cv2.INTER_LINEAR), np.float64)
    large = large.reshape(tall, wide, -1)  # of one channel, OpenCV leaves out the axis
    canvas = np.pad(large, ((height, height), (width, width), (0, 0)))
    return np.moveaxis(canvas[height - top : 2 * height - top, width - left : 2 * width - left], -1, 0)
