"""A picture of a shape that is framed as a photograph of an object is: the object, with a border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hgenv.csg.raycast import render
from hgenv.csg.shapes import Shapes, transformed

Array = NDArray[np.float64]
_VIEWS = ((2.0, 32), (1.5, 64))
"""Half the width and the pixels of the pictures in which a shape is looked for, first from afar."""
_BEHIND = np.array([0.0, 0.0, -1.0])  # a light that nothing seen has, and that needs no rays for shadows


def framed(shapes: Shapes, margin: float) -> Shapes:
    """Shapes moved and scaled, with their depth, so that each fills the picture from -1 to 1 but for a border.

    margin: the border, as a share of the shape's extent on either side, to a fiftieth of the picture. What is seen from
    nowhere within twice the picture stays where it is.
    """
    for view in _VIEWS:
        shapes = transformed(shapes, _maps(*_box(shapes, *view), 1.0 + 2.0 * margin)[:, None])
    return shapes


def _box(shapes: Shapes, half: float, resolution: int) -> tuple[Array, Array]:
    """Centre (n, 2) and larger extent (n,) of what is seen of each shape; 0 of nothing."""
    light = np.tile(_BEHIND, (len(shapes.kind), 1))
    masks = render(shapes, light, resolution, extent=half).mask > 0
    unit = 2.0 * half / resolution
    ends = np.stack([_ends(np.any(masks, 1)), -_ends(np.any(masks, 2))], 1) * unit  # (n, 2, 2)
    return ends.mean(2), np.abs(ends[..., 1] - ends[..., 0]).max(1)


def _ends(there: NDArray[np.bool_]) -> Array:
    """Begin and end (n, 2) of what is there along an axis (n, pixels), from its middle; 0 and 0 of nothing."""
    pixels = there.shape[1]
    ends = np.stack([there.argmax(1), pixels - there[:, ::-1].argmax(1)], 1) - pixels / 2
    return np.where(there.any(1, keepdims=True), ends, 0.0)


def _maps(centre: Array, extent: Array, larger: float) -> Array:
    """The maps (n, 3, 4) that bring each centre to 0 and its extent, times so much, to 2."""
    scale = np.where(extent > 0, 2.0 / (larger * np.where(extent > 0, extent, 1.0)), 1.0)
    moved = -scale[:, None] * np.column_stack([centre, np.zeros(len(centre))])
    return np.concatenate([scale[:, None, None] * np.eye(3), moved[..., None]], 2)
