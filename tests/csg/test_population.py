"""Populations of shapes: compositions against manifold3d, triviality, bounds, their arrays."""

import numpy as np
import pytest
import trimesh
from populations import grown

from hgenv.csg.export import to_mesh
from hgenv.csg.population import (
    _POINTS,
    PRIMITIVES,
    RADIUS,
    Member,
    Population,
    _named,
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
    assert population.grown(made, 100).composition(0.0, 0.3, False, moved(0.7, 0.2, 0)) is None, "it is there already"


def test_two_numbers_mean_the_same_parents_for_ever() -> None:
    """Once they mean any; and what they mean first is dealt out as `_named` says, counted on a grid."""
    codes, whole = np.random.default_rng(0).random((1000, 2)), grown(60)
    before: list[tuple[int, int] | None] = [None] * len(codes)
    missing = []
    for count in (0, 1, 2, 5, 20, 60):
        population = grown(count)
        for mine, theirs in zip(population.shapes, whole.rows(np.arange(len(population))), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        now = [population.parents(*code) for code in codes]
        assert all(old is None or old == new for old, new in zip(before, now, strict=True))
        assert all(sum(population.sizes[list(pair)]) <= 8 for pair in now if pair is not None)
        missing.append(np.mean([pair is None for pair in now]))
        before = now
    assert np.all(np.diff(missing) <= 0)
    np.testing.assert_allclose(missing, [0.5, 0.46, 0.42, 0.29, 1 / 7, 1 / 16], atol=0.04)
    grid = np.array([_named(u) for u in (np.arange(40_000) + 0.5) / 40_000])
    for member in range(24):
        depth = member // 4
        assert np.mean(grid == member) == pytest.approx(0.25 / ((depth + 1) * (depth + 2)), abs=1e-4)
    assert [_named(u) for u in (0.0, 0.49, 0.5, 1.0)] == [0, 1, 2, 3]
    assert _named(0.25) == np.inf


def test_every_member_is_a_second_parent() -> None:
    """Of the newest, all that fit are; a primitive stands for those that do not."""
    population = grown(20)
    newest = len(population) - 1
    assert population.sizes[newest] < 8
    first = next(u for u in np.linspace(0, 1, 100_000) if _named(u) == newest)
    seconds = {pair[1] for u in np.linspace(0, 1, 1000) if (pair := population.parents(first, u)) is not None}
    assert seconds == {row for row in range(len(population)) if population.sizes[row] + population.sizes[newest] <= 8}


def test_beyond_the_limit_a_member_takes_the_place_of_the_one_most_like_it() -> None:
    full, codes = grown(9), np.random.default_rng(0).random((500, 2))
    made = grown(30).member(30)
    member = Member(made, inside(made, 0, _POINTS))
    likeness = overlap(member.inside, full.occupied)
    place = PRIMITIVES + int(np.argmax(likeness[PRIMITIVES:]))
    for limit in (len(full), 6):  # a population that was larger than the limit does not grow either
        after = full.grown(member, limit)
        assert len(after) == len(full)
        np.testing.assert_array_equal(after.occupied[place], member.inside)
        for mine, theirs in zip(after.member(place), made, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        stay = np.delete(np.arange(len(full)), place)
        np.testing.assert_array_equal(after.to_array()[stay], full.to_array()[stay])
        np.testing.assert_array_equal(after.occupied[stay], full.occupied[stay])
        pairs = [(full.parents(*code), after.parents(*code)) for code in codes]
        assert all(
            old == new for old, new in pairs if old is not None and place not in old and new and place not in new
        )


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
