"""The renderer against closed forms and against another renderer on an exported mesh."""

import time

import numpy as np
import pytest
import trimesh

from hgenv.beta.noise import Noise
from hgenv.csg import shapes as csg
from hgenv.csg.export import to_mesh
from hgenv.csg.grammar import ShapeBeta, derive
from hgenv.csg.raycast import render

LAYOUT = ShapeBeta()
RESOLUTION = 48
UP = np.array([[0.0, 0.0, 1.0]])


def single(kind: int, size: tuple[float, float, float], tilt: float = 0.0) -> csg.Shapes:
    """One primitive, turned about the x axis."""
    place = csg.Placement(
        np.zeros((1, 1), bool), np.zeros((1, 1), bool), np.ones((1, 1, 3)),
        np.array([[[np.cos(tilt / 2), np.sin(tilt / 2), 0.0, 0.0]]]), np.zeros((1, 1, 3)), np.zeros((1, 1, 3)),
    )  # fmt: skip
    return csg.compose(np.array([[kind]]), np.array([[size]]), place)


def pixel_centres(resolution: int) -> tuple[np.ndarray, np.ndarray]:
    step = 2.0 / resolution
    x = -1.0 + (np.arange(resolution) + 0.5) * step
    return np.meshgrid(x, -x)


def shapes_of(n: int) -> csg.Shapes:
    beta = LAYOUT.initial.copy()
    beta[LAYOUT.names.index("expand.probability")] = 0.7
    return derive(LAYOUT, np.tile(beta, (n, 1)), Noise(np.arange(n)), 3)


def test_sphere_matches_its_closed_form() -> None:
    light = np.array([[0.6, 0.0, 0.8]])
    images = render(single(csg.SPHERE, (0.7, 0.0, 0.0)), light, RESOLUTION, ambient=0.2)
    x, y = pixel_centres(RESOLUTION)
    inside = x**2 + y**2 < 0.49
    z = np.sqrt(np.where(inside, 0.49 - x**2 - y**2, 0.0))
    normal = np.stack([x, y, z]) / 0.7 * inside
    np.testing.assert_array_equal(images.mask[0], inside)
    np.testing.assert_allclose(images.depth[0], -z, atol=1e-6)
    np.testing.assert_allclose(images.normal[0], normal, atol=1e-6)
    shading = np.maximum(0, np.einsum("chw,c->hw", normal, light[0]))
    np.testing.assert_allclose(images.image[0], (0.2 + 0.8 * shading) * inside, atol=1e-6)


def test_two_by_two_antialiasing_averages_the_finer_picture() -> None:
    shapes, light = shapes_of(6), np.tile(UP, (6, 1))
    fine = render(shapes, light, 2 * RESOLUTION)
    smooth = render(shapes, light, RESOLUTION, antialias=2)
    blocks = (6, RESOLUTION, 2, RESOLUTION, 2)
    np.testing.assert_allclose(smooth.image, fine.image.reshape(blocks).mean((2, 4)), atol=1e-6)
    np.testing.assert_allclose(smooth.mask, fine.mask.reshape(blocks).mean((2, 4)), atol=1e-6)
    length = np.linalg.norm(smooth.normal, axis=1)
    np.testing.assert_allclose(length[smooth.mask > 0], 1.0, atol=1e-5)


def cast(mesh: trimesh.Trimesh, origins: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(hit, triangle) of the first hit of each ray, by Embree."""
    triangle = mesh.ray.intersects_first(origins, np.tile(direction, (len(origins), 1)))
    return triangle >= 0, triangle


def test_exported_mesh_agrees_in_mask_depth_normals_and_shadows() -> None:
    n = 24
    shapes = shapes_of(n)
    light = np.array([0.48, 0.36, 0.8])
    images = render(shapes, np.tile(light, (n, 1)), RESOLUTION)
    x, y = pixel_centres(RESOLUTION)
    origins = np.stack([x.ravel(), y.ravel(), np.full(x.size, 5.0)], axis=-1)
    agree, depth_errors, angles, lit = [], [], [], []
    for row in range(n):
        mesh = to_mesh(shapes, row, segments=256)
        assert mesh.is_watertight
        hit, triangle = cast(mesh, origins, np.array([0.0, 0.0, -1.0]))
        ours = images.mask[row].ravel() > 0
        agree.append(hit == ours)
        both = hit & ours
        normal = mesh.face_normals[triangle[both]]
        corner = mesh.triangles[triangle[both], 0]
        depth = 5.0 - ((corner - origins[both]) * normal).sum(1) / -normal[:, 2]
        point = origins[both] * [1, 1, 0] + np.stack([0 * depth, 0 * depth, depth], -1)
        depth_errors.append(np.abs(-depth - images.depth[row].ravel()[both]))
        mine = images.normal[row].reshape(3, -1).T[both]
        angles.append(np.degrees(np.arccos(np.clip((normal * mine).sum(1), -1, 1))))
        shadowed, _ = cast(mesh, point + 1e-3 * normal, light)
        toward = (normal * light).sum(1)
        clear = np.abs(toward) > 0.05  # a facet's normal differs where light grazes
        lit.append(((toward > 0) & ~shadowed)[clear] == (images.image[row].ravel()[both] > 0)[clear])
    agree, depth_errors, angles, lit = map(np.concatenate, (agree, depth_errors, angles, lit))
    assert len(angles) > 5000
    assert agree.mean() > 0.999
    assert np.quantile(depth_errors, 0.99) < 2e-3
    assert np.median(angles) < 0.5
    assert np.mean(angles < 3.0) > 0.99
    assert lit.mean() > 0.99


@pytest.mark.parametrize(
    ("kind", "size", "volume"),
    [
        (csg.SPHERE, (0.5, 0.0, 0.0), 4 / 3 * np.pi * 0.125),
        (csg.CUBE, (0.4, 0.0, 0.0), 0.512),
        (csg.CONE, (0.5, 0.25, 0.4), np.pi * 0.8 / 3 * (0.25 + 0.0625 + 0.125)),
        (csg.TETRAHEDRON, (0.6, 0.0, 0.0), (0.6 / np.sqrt(3 / 8)) ** 3 / (6 * np.sqrt(2))),
    ],
)
def test_primitives_have_their_volume_as_mesh_and_by_rays(kind: int, size: tuple, volume: float) -> None:
    shape = single(kind, size, tilt=0.7)
    assert to_mesh(shape, segments=256).volume == pytest.approx(volume, rel=2e-3)
    front = render(shape, UP, 256)
    # the same body seen from behind: turned by pi about the x axis
    back = render(single(kind, size, tilt=0.7 + np.pi), UP, 256)
    thickness = -front.depth[0] - back.depth[0][::-1]
    assert thickness.sum() * (2 / 256) ** 2 == pytest.approx(volume, rel=5e-3)


def test_full_subtraction_shows_the_first_primitive_and_has_no_mesh() -> None:
    place = csg.Placement(
        np.array([[False, True]]), np.array([[False, True]]), np.full((1, 2, 3), 9.0),
        np.tile([1.0, 0.0, 0.0, 0.0], (1, 2, 1)), np.zeros((1, 2, 3)), np.zeros((1, 2, 3)),
    )  # fmt: skip
    kind, size = np.array([[csg.CUBE, csg.SPHERE]]), np.full((1, 2, 3), 0.4)
    gone = csg.compose(kind, size, place)
    np.testing.assert_array_equal(render(gone, UP, 32).image, render(single(csg.CUBE, (0.4, 0.0, 0.0)), UP, 32).image)
    with pytest.raises(ValueError, match="empty"):
        to_mesh(gone)


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        render(single(csg.SPHERE, (np.nan, 0.0, 0.0)), UP, 8)


def test_speed_with_composition() -> None:
    """At least 300 images a core-second at 64 x 64."""
    rates = []
    for repeat in range(4):
        seeds = np.arange(64) + 64 * repeat
        begin = time.process_time()
        shapes = derive(LAYOUT, np.tile(LAYOUT.initial, (64, 1)), Noise(seeds), 3)
        render(shapes, np.tile(UP, (64, 1)), 64)
        rates.append(64 / (time.process_time() - begin))
    assert max(rates) > 300


def test_threads_do_not_change_a_bit() -> None:
    light = np.tile([0.6, 0.0, 0.8], (13, 1))
    for alone, shared in zip(
        render(shapes_of(13), light, 24), render(shapes_of(13), light, 24, threads=3), strict=True
    ):
        assert alone.any()
        np.testing.assert_array_equal(alone, shared)
