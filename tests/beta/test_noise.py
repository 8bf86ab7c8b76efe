"""Keyed draws."""

import zlib

import numpy as np
import scipy.stats

from hgenv.beta.distributions import Normal
from hgenv.beta.mixtures import NormalMixture
from hgenv.beta.noise import Bound, Noise, keys


def test_uniforms_are_uniform_independent_and_inside_the_open_interval() -> None:
    u = Noise(np.arange(20_000)).uniform("place", (3,))
    assert u.shape == (20_000, 3)
    assert u.min() > 0
    assert u.max() < 1
    assert scipy.stats.kstest(u[:, 0], "uniform").pvalue > 0.01
    correlation = np.corrcoef(u.T) - np.eye(3)
    assert np.abs(correlation).max() < 0.03
    successive = np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]
    assert abs(successive) < 0.03


def test_a_draw_depends_on_seed_place_and_index_only() -> None:
    few, many = Noise([5, 6]), Noise(np.arange(10))
    many.uniform("other", (7,))
    np.testing.assert_array_equal(few.uniform("place", (2,)), many.uniform("place", (4,))[5:7, :2])
    assert not np.any(few.uniform("place", (2,)) == few.uniform("place 2", (2,)))
    assert Noise(5).uniform("place", (2,)).tolist() == few.uniform("place", (2,))[0].tolist()


def test_draws_are_recorded_with_what_was_used() -> None:
    noise = Noise([1, 2])
    bound = Bound("x", Normal((-1, 1), (0.1, 1), ("a", "b")), np.array([[[0.0, 5.0]] * 2, [[1.0, 0.1]] * 2]))
    values = noise.draw(bound, "place", (3,), used=np.array([[True], [False]]))
    assert values.shape == (2, 3, 2)
    assert np.abs(values[..., 1] - 5.0).max() < 1.0
    (draw,) = noise.draws
    assert draw.used.tolist() == [[True] * 3, [False] * 3]


def test_keys_are_splitmix64_of_seed_name_and_index() -> None:
    """By Python's integers, which do not wrap around by themselves."""
    golden, whole = 0x9E3779B97F4A7C15, 2**64

    def mix(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % whole
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % whole
        return x ^ (x >> 31)

    seeds, name = [0, 7, 2**64 - 1], mix(zlib.crc32(b"place") * golden % whole)
    wanted = [[mix((mix(mix((s + golden) % whole) ^ name) + i * golden) % whole) for i in (1, 2)] for s in seeds]
    np.testing.assert_array_equal(keys(np.array(seeds, np.uint64), "place", 2), np.array(wanted, np.uint64))


def test_draws_of_several_at_once_are_those_of_each() -> None:
    rng, used = np.random.default_rng(0), np.array([[True, True, False]] * 4)
    mixture = NormalMixture((-1, 1), (0.1, 1))
    bounds = {f"place {i}": Bound(f"x{i}", mixture, rng.uniform(0.1, 1.0, (9, 4))) for i in range(3)}
    one, several = Noise(np.arange(4)), Noise(np.arange(4))
    each = [one.draw(bound, place, (3,), used) for place, bound in bounds.items()]
    np.testing.assert_array_equal(several.draw_alike(bounds, (3,), used), each)
    for a, b in zip(one.draws, several.draws, strict=True):
        assert a.name == b.name
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.used, b.used)
