"""Populations of shapes: compositions against manifold3d, triviality, bounds, their arrays."""

import numpy as np
import pytest
import trimesh
from populations import grown

from hgenv.csg.export import to_mesh
from hgenv.csg.population import (
    PRIMITIVES,
    RADIUS,
    Member,
    Population,
    combined,
    inside,
    overlap,
    primitives,
)
from hgenv.csg.shapes import ABSENT, transformed


def moved(*offset: float, scale: float = 1.0) -> np.ndarray:
    return np.concatenate([scale * np.eye(3), np.reshape(offset, (3, 1))], axis=1)


def test_primitives_fit_the_ball_and_their_volumes_are_known() -> None:
    population = primitives(8)
    points = np.random.default_rng(0).uniform(-1, 1, (200_000, 3))
    for row in range(PRIMITIVES):
        held = points[inside(population.shapes, row, points)]
        radius, volume = np.linalg.norm(held, axis=1).max(), len(held) / len(points) * 8
        assert 0.95 * RADIUS < radius < 1.1 * RADIUS
        known = {0: 4 / 3 * np.pi, 1: (2 / np.sqrt(3)) ** 3}.get(row, volume / radius**3)
        assert volume == pytest.approx(known * radius**3, rel=0.1)


def test_compositions_are_manifolds_booleans() -> None:
    """Volumes by counting points against those of the exported meshes."""
    population = grown(12)
    points = np.random.default_rng(1).uniform(-1, 1, (100_000, 3))
    for row in range(PRIMITIVES, len(population)):
        mesh = to_mesh(population.shapes, row, segments=128)
        assert np.mean(inside(population.shapes, row, points)) * 8 == pytest.approx(mesh.volume, rel=0.1, abs=0.01)


def test_a_union_and_a_difference_by_hand() -> None:
    population = primitives(8)
    ball, other = population.member(0), transformed(population.member(0), moved(0.5, 0, 0))
    points = np.random.default_rng(2).uniform(-1.5, 1.5, (5000, 3))
    radius = trimesh.util.row_norm(points[inside(ball, 0, points)]).max()
    first, second = (np.linalg.norm(points - centre, axis=1) <= radius for centre in ([0, 0, 0], [0.5, 0, 0]))
    near = np.abs(np.linalg.norm(points[:, None] - [[0, 0, 0], [0.5, 0, 0]], axis=2) - radius).min(1) < 0.02
    for subtract, expected in ((False, first | second), (True, first & ~second)):
        together = inside(combined(ball, other, subtract), 0, points)
        np.testing.assert_array_equal(together[~near], expected[~near])


def test_trivial_compositions_are_rejected() -> None:
    population = primitives(8)
    assert population.composition(0.0, 0.3, False, moved(0, 0, 0, scale=0.2)) is None, "hidden inside its parent"
    assert population.composition(0.0, 0.3, True, moved(0, 0, 0, scale=4.0)) is None, "nothing is left"
    assert population.composition(0.0, 0.3, True, moved(5, 0, 0)) is None, "nothing is taken away"
    made = population.composition(0.0, 0.3, False, moved(0.7, 0.2, 0))
    assert made is not None
    assert population.grown(made, 100).composition(0.0, 0.21, False, moved(0.7, 0.2, 0)) is None, "it is there already"


def test_members_leave_but_primitives_stay() -> None:
    population, first = primitives(8), None
    rng = np.random.default_rng(0)
    while len(population) < 8 or first is None or overlap(first, population.occupied).max() == 1.0:
        made = population.composition(*rng.random(2), rng.random() < 0.5, moved(*rng.uniform(-0.8, 0.8, 3)))
        if made is not None:
            first = made.inside if first is None else first
            population = population.grown(made, 8)
    assert len(population) == 8
    made = grown(9).composition(0.0, 0.0, False, moved(0.7, 0.0, 0.0))
    assert made is not None
    assert len(grown(9).grown(made, 6)) == 6, "a population that was larger than the limit"
    np.testing.assert_array_equal(population.occupied[:PRIMITIVES], primitives(8).occupied)


def test_a_population_survives_its_array_and_others_are_refused() -> None:
    population = grown(6)
    array = population.to_array()
    again = Population.from_array(array)
    np.testing.assert_array_equal(again.to_array(), array)
    np.testing.assert_array_equal(again.occupied, population.occupied)
    broken = array.copy()
    broken[5, 0] = 7
    wrong_operations = array.copy()
    wrong_operations[5, -1] = 3
    gap = array.copy()
    gap[0, 1], gap[0, 2] = -1, 0
    for bad in (gap, array[:3], array[:, :-1], np.full_like(array, np.nan), broken, wrong_operations):
        with pytest.raises(ValueError, match="population"):
            Population.from_array(bad)


def test_growing_needs_room() -> None:
    shapes = primitives(2).shapes
    full = shapes._replace(kind=np.where(shapes.kind == ABSENT, 0, shapes.kind))
    member = Member(type(shapes)._make(array[:1] for array in full), np.zeros(1, bool))
    with pytest.raises(ValueError, match="do not fit"):
        combined(member.shape, member.shape, False)
