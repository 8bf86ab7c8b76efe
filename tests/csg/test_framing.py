"""Shapes framed as photographs of objects are."""

import numpy as np

from hgenv.beta.noise import Noise
from hgenv.csg.framing import framed
from hgenv.csg.grammar import ShapeBeta, derive
from hgenv.csg.raycast import render
from hgenv.csg.shapes import Shapes, transformed

COUNT, SIDE = 40, 128
LIGHT = np.tile([0.0, 0.6, 0.8], (COUNT, 1))


def shapes() -> Shapes:
    layout = ShapeBeta()
    return derive(layout, np.tile(layout.initial, (COUNT, 1)), Noise(np.arange(COUNT)), 2)


def extents(masks: np.ndarray) -> np.ndarray:
    """Of masks (n, h, w): left, right, top and bottom border in pixels, (n, 4)."""
    columns, rows = masks.any(1), masks.any(2)
    return np.stack([line.argmax(1) for side in (columns, rows) for line in (side, side[:, ::-1])], 1)


def test_the_larger_extent_fills_the_picture_but_for_the_border() -> None:
    borders = extents(render(framed(shapes(), 0.05), LIGHT, SIDE).mask > 0)
    wanted = SIDE * 0.05 / 1.1
    tight = borders.reshape(COUNT, 2, 2).sum(2).min(1) / 2
    assert np.abs(tight - wanted).max() < 0.02 * SIDE
    assert abs(np.mean(tight) - wanted) < 1
    off_centre = np.abs(borders[:, 0::2] - borders[:, 1::2]) / 2
    assert off_centre.max() < 0.02 * SIDE


def test_normals_and_shading_are_those_of_before() -> None:
    """As if the photographer had come nearer: the framed shape, moved back, is the shape."""
    plain = shapes()
    near = framed(plain, 0.05)
    back = plain.to_world[:, :1] @ _homogeneous(near.from_world[:, :1])
    again = transformed(near, back[..., :3, :])
    before, after = (render(s, LIGHT, 32) for s in (plain, again))
    for ours, theirs in zip(after, before, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


def _homogeneous(maps: np.ndarray) -> np.ndarray:
    last = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (*maps.shape[:-2], 1, 4))
    return np.concatenate([maps, last], axis=-2)


def test_what_cannot_be_seen_stays_where_it_was() -> None:
    plain = shapes()
    far = transformed(plain, np.array([[1.0, 0, 0, 50.0], [0, 1, 0, 0], [0, 0, 1, 0]]))
    for ours, theirs in zip(framed(far, 0.05), far, strict=True):
        np.testing.assert_array_equal(ours, theirs)
