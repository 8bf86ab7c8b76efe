"""Polygons of OBJ cut into triangles: they cover what they enclose."""

from pathlib import Path

import numpy as np
import pytest
from obj import area, write

from hgenv.data.model import load_obj
from hgenv.data.polygons import triangles
from hgenv.render.mesh import face_normals

L = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]
POLYGONS = {
    "an L": (L, 3.0),
    "an L turned round": (L[::-1], 3.0),
    "an L with corners on its sides": ([(0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (1, 1.5), (1, 2), (0, 2), (0, 1)], 3.0),
    "an arrow": ([(0, 0), (2, -1), (0, 3), (-2, -1)], 6.0),
    "an arrow from the side": ([(2, -1), (0, 3), (-2, -1), (0, 0)], 6.0),
    "a comb": ([(0, 0), (5, 0), (5, 2), (4, 1), (3, 2), (2, 1), (1, 2), (0, 1)], 7.5),
    "a corner twice": ([(0, 0), (2, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], 3.0),
    "a ring, bridged": ([(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)], 12.0),
}


@pytest.mark.parametrize("name", POLYGONS)
@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_polygons_cover_what_they_enclose_wherever_they_start(name: str, scale: float, tmp_path: Path) -> None:
    outline, size = POLYGONS[name]
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    for first in range(len(outline)):
        points = np.array([(*p, 0.0) for p in outline[first:] + outline[:first]]) @ turned
        corners, owner = triangles(scale * points, np.array([len(points)]))
        assert len(corners) == len(points) - 2
        assert not owner.any()
        normals = face_normals(points[corners])
        assert 0.5 * np.linalg.norm(normals, axis=1).sum() == pytest.approx(size)
        assert 0.5 * np.linalg.norm(normals.sum(0)) == pytest.approx(size), "all look the same way, none lies twice"


def test_an_l_has_its_area_and_its_coordinates(tmp_path: Path) -> None:
    text = "".join(f"v {x} {y} 0\nvt {x} {y}\n" for x, y in L) + "f 1 2 3\nf 4/4 5/5 6/6 1/1 2/2 3/3\nf 1 2 5 6\n"
    model = load_obj(write(tmp_path, text))
    assert area(model) == pytest.approx(1.0 + 3.0 + 3.0)
    uv, corners = model.mesh.uv[1:5], model.mesh.corners[1:5, :, :2]
    np.testing.assert_array_equal(uv, corners, "corners keep their coordinates")


def test_fans_that_are_right_stay_as_they_are() -> None:
    """Convex ones, also with noise, and such that have no area or cross themselves: pictures keep their bits."""
    rng = np.random.default_rng(0)
    for size in (3, 4, 5, 12):
        angle = np.sort(rng.uniform(0, 2 * np.pi, (50, size)), axis=1)
        points = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=2)
        points[:10, :, 2] = 1e-9 * rng.normal(size=(10, size))
        fan = [[0, i, i + 1] for i in range(1, size - 1)]
        corners, owner = triangles(points.reshape(-1, 3), np.full(50, size))
        np.testing.assert_array_equal(corners.reshape(50, -1, 3), np.array(fan) + size * np.arange(50)[:, None, None])
        np.testing.assert_array_equal(owner, np.repeat(np.arange(50), size - 2))
    for quad in ([(0, 0)] * 4, [(0, 0), (1, 0), (2, 0), (3, 0)], [(0, 0), (1, 1), (1, 0), (0, 1)]):
        corners, _ = triangles(np.array([(*p, 0.0) for p in quad]), np.array([4]))
        np.testing.assert_array_equal(corners, [[0, 1, 2], [0, 2, 3]])
    corners, _ = triangles(np.full((5, 3), 1e308) * [[1], [-1], [1], [-1], [1]], np.array([5]))
    assert len(corners) == 3


def test_any_polygon_becomes_as_many_triangles_as_it_has_to() -> None:
    rng = np.random.default_rng(2)
    sizes = rng.integers(3, 30, 400)
    points = np.round(rng.normal(size=(sizes.sum(), 3)), rng.integers(0, 3)) * [1, 1, 0.1]
    corners, owner = triangles(points, sizes)
    np.testing.assert_array_equal(np.bincount(owner), sizes - 2)
    start = np.cumsum(sizes) - sizes
    assert (corners >= start[owner][:, None]).all()
    assert (corners < (start + sizes)[owner][:, None]).all()
