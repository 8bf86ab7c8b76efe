"""The grammar: derivations, keyed draws, and the score of what was drawn, over random beta."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hgenv.beta.noise import Noise
from hgenv.csg import shapes as csg
from hgenv.csg.grammar import ShapeBeta, derive
from hgenv.tasks.shape_normals import ShapeNormals

LAYOUT = ShapeBeta()
BETAS = st.integers(0, 2**32).map(
    # corners of the box are where things break: half of the coordinates are at a bound
    lambda k: LAYOUT.from_action(np.clip(np.random.default_rng(k).uniform(-2, 2, 29), -1, 1))
)
SEEDS = np.arange(4)


def tile(beta: np.ndarray) -> np.ndarray:
    return np.tile(beta, (len(SEEDS), 1))


def test_beta_has_the_papers_29_coordinates() -> None:
    sizes = {name: len(LAYOUT.distributions[name].parameters()) for name in LAYOUT.distributions}
    assert sum(sizes.values()) == len(LAYOUT.names) == 29
    assert len(set(LAYOUT.names)) == 29
    assert (sizes["primitive"], sizes["operation"], sizes["expand"]) == (4, 2, 1)
    assert (sizes["translation"], sizes["scale"]) == (6, 6)
    assert LAYOUT.discrete.sum() == 7
    assert all(p.meaning for p in LAYOUT.parameters)


@settings(max_examples=40, deadline=None)
@given(BETAS, st.integers(0, 2**60))
def test_derivations_are_bounded_and_images_sound(beta: np.ndarray, seed: int) -> None:
    task = ShapeNormals(resolution=16)
    seeds = seed + SEEDS
    images = task.images(tile(beta), Noise(seeds))
    assert all(np.isfinite(part).all() for part in images)
    lit = images.mask > 0
    length = np.linalg.norm(images.normal, axis=1)
    np.testing.assert_allclose(length[lit], 1.0, atol=1e-5)
    assert not length[~lit].any()
    assert (images.normal[:, 2][lit] >= 0).all()
    assert images.image.min() >= 0
    assert images.image.max() <= 1
    shapes = derive(LAYOUT, tile(beta), Noise(seeds), 3)
    assert ((shapes.kind >= 0).sum(1) - 1 == shapes.used).all()
    large = (shapes.kind[:, 0] == csg.SPHERE) & (shapes.size[:, 0, 0] > 0.1) & (shapes.used == 0)
    assert lit.any(axis=(1, 2))[large].all()


@settings(max_examples=40, deadline=None)
@given(BETAS, st.integers(0, 28), st.floats(-1, 1))
def test_changing_one_parameter_leaves_independent_draws_alone(beta: np.ndarray, which: int, to: float) -> None:
    action = LAYOUT.to_action(beta)
    changed = action.copy()
    changed[which] = to
    first, second = Noise(SEEDS), Noise(SEEDS)
    derive(LAYOUT, LAYOUT.from_action(tile(action)), first, 3)
    derive(LAYOUT, LAYOUT.from_action(tile(changed)), second, 3)
    touched = next(name for name, part in LAYOUT.slices.items() if part.start <= which < part.stop)
    assert len(first.draws) == len(second.draws)
    for a, b in zip(first.draws, second.draws, strict=True):
        if a.name != touched:
            np.testing.assert_array_equal(a.values, b.values)
        elif a.name in ("translation", "scale"):
            axis = (which - LAYOUT.slices[touched].start) % 3
            np.testing.assert_array_equal(np.delete(a.values, axis, -1), np.delete(b.values, axis, -1))


def test_expanding_keeps_the_old_shape_as_left_operand() -> None:
    beta = LAYOUT.initial.copy()
    index = LAYOUT.names.index("expand.probability")
    small, large = beta.copy(), beta.copy()
    small[index], large[index] = 0.3, 0.6
    seeds = np.arange(200)
    few = derive(LAYOUT, np.tile(small, (200, 1)), Noise(seeds), 3)
    many = derive(LAYOUT, np.tile(large, (200, 1)), Noise(seeds), 3)
    old = few.kind >= 0
    assert (many.kind >= 0).sum() > old.sum()
    np.testing.assert_array_equal(few.kind[old], many.kind[old])
    np.testing.assert_array_equal(few.size[old], many.size[old])


def test_expected_number_of_primitives() -> None:
    # E_0 = 1, E_k = (1 - p) + 2 p E_(k-1)
    beta = LAYOUT.initial.copy()
    beta[LAYOUT.names.index("expand.probability")] = 0.4
    shapes = derive(LAYOUT, np.tile(beta, (20_000, 1)), Noise(np.arange(20_000)), 3)
    expected = 1.0
    for _ in range(3):
        expected = 0.6 + 0.8 * expected
    assert abs((shapes.kind >= 0).sum(1).mean() - expected) < 0.03


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_score_of_the_draws_matches_differences(seed: int) -> None:
    beta = LAYOUT.from_action(np.random.default_rng(seed).uniform(-0.9, 0.9, 29))
    noise = Noise(SEEDS)
    derive(LAYOUT, tile(beta), noise, 3)
    gradient = LAYOUT.log_probability_gradient(tile(beta), noise.draws)
    h = 1e-6
    for i in range(29):
        step = h * np.eye(29)[i]
        plus = LAYOUT.log_probability(tile(beta + step), noise.draws)
        minus = LAYOUT.log_probability(tile(beta - step), noise.draws)
        np.testing.assert_allclose(gradient[:, i], (plus - minus) / (2 * h), rtol=1e-4, atol=1e-5)


def test_unused_draws_do_not_count_in_the_score() -> None:
    beta = LAYOUT.initial.copy()
    beta[LAYOUT.names.index("expand.probability")] = 0.02
    noise = Noise(np.arange(50))
    shapes = derive(LAYOUT, np.tile(beta, (50, 1)), noise, 3)
    gradient = LAYOUT.log_probability_gradient(np.tile(beta, (50, 1)), noise.draws)
    alone = (shapes.kind >= 0).sum(1) == 1
    assert alone.sum() > 40
    assert not gradient[alone][:, LAYOUT.slices["translation"]].any()
    spheres = alone & (shapes.kind[:, 0] == csg.SPHERE)
    assert gradient[spheres][:, LAYOUT.slices["sphere_radius"]].any(axis=1).all()
    assert not gradient[spheres][:, LAYOUT.slices["cube_length"]].any()
