"""Meshes."""

import numpy as np
import pytest

from hgenv.render.mesh import coarsened, plain_mesh


def test_merging_small_features_keeps_large_ones() -> None:
    rng = np.random.default_rng(0)
    side = 40
    grid = np.stack(np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side)), -1).reshape(-1, 2)
    vertices = np.concatenate([grid, 0.001 * rng.random((side * side, 1))], 1)
    i, j = np.mgrid[: side - 1, : side - 1]
    a = (i * side + j).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + side], 1), np.stack([a + 1, a + side, a + side + 1], 1)])
    fine = plain_mesh(vertices, faces, smooth=False)
    coarse = coarsened(fine, 0.1)
    assert len(coarse.corners) < 0.15 * len(fine.corners)
    area = np.linalg.norm(
        np.cross(coarse.corners[:, 1] - coarse.corners[:, 0], coarse.corners[:, 2] - coarse.corners[:, 0]), axis=1
    ).sum() / 2  # fmt: skip
    assert area == pytest.approx(0.85, abs=0.1)
    assert len(coarsened(fine, 10.0).corners) == len(fine.corners), "a mesh that would vanish stays"
