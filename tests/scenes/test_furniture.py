"""Furniture: sizes, areas, and the solids that it is made of against plain numpy."""

import numpy as np
import pytest

from hgenv.render.mesh import Mesh, joined, plain_mesh
from hgenv.scenes.furniture import SHAPES, Box, Cone, box, built, furniture


def test_furniture_is_whole_and_of_unit_size() -> None:
    rng = np.random.default_rng(0)
    for kind in range(len(SHAPES)):
        for u in rng.random((5, 4)):
            mesh = furniture((kind + 0.5) / len(SHAPES), u)
            points = mesh.corners.reshape(-1, 3)
            assert np.linalg.norm(np.ptp(points, axis=0)) == pytest.approx(1.0)
            np.testing.assert_allclose(points.min(0) + points.max(0), 0.0, atol=1e-12)
            assert np.isfinite(mesh.uv).all()
            assert (mesh.texture == 0).all()


def test_boxes_and_cylinders_have_their_areas() -> None:
    def area(mesh: Mesh) -> float:
        corners = mesh.corners
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return float(np.linalg.norm(cross, axis=1).sum() / 2)

    assert area(box(np.zeros(3), np.array([1.0, 2.0, 3.0]))) == pytest.approx(2 * (2 + 3 + 6))
    found = area(built([Cone((0.0, 0.0, 0.0), (0.0, 2.0, 0.0), 0.5, 0.5)], sides=200))
    assert found == pytest.approx(np.pi * 0.5 * 2 * (2 + 0.5), rel=1e-3)


def patch(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, smooth: bool) -> Mesh:
    mesh = plain_mesh(vertices, faces, smooth=smooth)
    return mesh._replace(uv=uv[faces], texture=np.zeros(len(faces), np.int64))


def plain_box(solid: Box) -> Mesh:
    corners, parts = np.array(solid), []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for end in (0, 1):
            square = np.empty((4, 3))
            square[:, axis] = corners[end, axis]
            square[:, u], square[:, v] = corners[[0, 1, 1, 0], u], corners[[0, 0, 1, 1], v]
            parts.append(patch(square, np.array([[0, 1, 2], [0, 2, 3]]), square[:, [u, v]], smooth=False))
    return joined(parts)


def plain_cone(solid: Cone, sides: int) -> Mesh:
    around = np.linspace(0.0, 2.0 * np.pi, sides + 1)
    ring = np.stack([np.cos(around), np.zeros_like(around), np.sin(around)], axis=1)
    ends = [(np.array(solid.bottom), solid.radius), (np.array(solid.top), solid.end)]
    vertices = np.concatenate([centre + radius * ring for centre, radius in ends])
    uv = np.concatenate([np.stack([around / (2 * np.pi), np.full_like(around, v)], axis=1) for v in (0.0, 1.0)])
    i = np.arange(sides)
    j = i + sides + 1
    wall = np.concatenate([np.stack([i, j, i + 1], 1), np.stack([i + 1, j, j + 1], 1)])
    parts = [patch(vertices, wall, uv, smooth=True)]
    for centre, radius in ends:
        rim = np.concatenate([[centre], centre + radius * ring])
        fan = np.stack([np.zeros(sides, np.int64), 1 + i, 2 + i], axis=1)
        parts.append(patch(rim, fan, rim[:, [0, 2]], smooth=False))
    return joined(parts)


def test_solids_are_those_of_plain_numpy_to_the_bit() -> None:
    rng = np.random.default_rng(1)
    solids = [Box(*rng.normal(size=(2, 3))) for _ in range(3)]
    cones = [Cone(*rng.normal(size=(2, 3)), *rng.random(2)) for _ in range(3)]
    wanted = joined([*map(plain_box, solids), *(plain_cone(cone, 7) for cone in cones)])
    for name, part, expected in zip(Mesh._fields, built([*solids, *cones], sides=7), wanted, strict=True):
        np.testing.assert_array_equal(part, expected, err_msg=name)
    assert len(built([]).corners) == 0
