"""Intervals of 95 % hold what they are of in 95 of 100 simulated comparisons, about."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from hgenv.bench import intervals
from hgenv.bench.intervals import ENOUGH, interquartile_mean, interval, student

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SHAPES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "skewed": lambda rng, shape: np.exp(0.5 * rng.standard_normal(shape)),
    "very skewed": lambda rng, shape: np.exp(rng.standard_normal(shape)),
    "heavy-tailed": lambda rng, shape: rng.standard_t(3, shape),
    "a quarter fails": lambda rng, shape: rng.standard_normal(shape) + 8.0 * (rng.random(shape) < 0.25),
}
SEEDS = (2, 3, 4, 5, 6, 7, 8, 10, 16)
"""How many seeds a comparison has."""


@functools.cache
def middle_of(shape: str) -> float:
    """Its true interquartile mean: 0 by symmetry, or that of many draws."""
    known = {"normal": 0.0, "heavy-tailed": 0.0}
    return known[shape] if shape in known else interquartile_mean(SHAPES[shape](np.random.default_rng(9), (1_000_000,)))


def coverage(of: Callable[[list[np.ndarray]], tuple[float, float, float]], samples: np.ndarray, true: float) -> float:
    """Share of the samples (repeats, strata, n) whose interval holds the true value."""
    ends = np.array([of(list(strata)) for strata in samples])
    return float(np.mean((ends[:, 1] <= true) & (true <= ends[:, 2])))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", SEEDS)
def test_intervals_cover_the_interquartile_mean(n: int, shape: str) -> None:
    repeats = 2000 if n < ENOUGH else 500  # to resample takes time
    covered = coverage(interval, SHAPES[shape](np.random.default_rng(0), (repeats, 1, n)), middle_of(shape))
    assert 0.905 <= covered <= 0.97


@pytest.mark.parametrize(("n", "expected"), [(2, 0.51), (3, 0.74), (5, 0.89)])
def test_bootstrap_intervals_of_few_seeds_do_not(n: int, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would see it."""
    monkeypatch.setattr(intervals, "ENOUGH", 0)
    covered = coverage(interval, np.random.default_rng(0).standard_normal((1000, 1, n)), 0.0)
    assert covered == pytest.approx(expected, abs=0.03)
    assert covered < 0.905


@pytest.mark.parametrize(("n", "repeats"), [(2, 800), (3, 800), (5, 800), (8, 150)])
@pytest.mark.parametrize("scales", [[1.0, 1.0], [1.0, 3.0, 9.0], [1.0] * 6])
def test_intervals_cover_the_mean_over_environments(n: int, repeats: int, scales: list[float]) -> None:
    rng = np.random.default_rng(0)
    for shape in ("normal", "skewed"):
        samples = SHAPES[shape](rng, (repeats, len(scales), n)) * np.array(scales)[:, None]
        covered = coverage(interval, samples, middle_of(shape) * float(np.mean(scales)))
        assert 0.905 <= covered <= 0.995, shape


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_means_of_paired_differences_are_covered(n: int) -> None:
    """Differences of seeds that share what is hard about a seed, which is skewed, while their noise is not."""
    rng = np.random.default_rng(0)
    hard = np.exp(rng.standard_normal((2000, 1, n)))
    mine, control = (hard + noise for noise in rng.standard_normal((2, 2000, 1, n)))
    assert 0.94 <= coverage(student, mine - control - 0.3, -0.3) <= 0.96


def test_nothing_trimmed_is_students_t() -> None:
    values = np.random.default_rng(0).standard_normal(7)
    expected = scipy.stats.ttest_1samp(values, 0.0).confidence_interval()
    assert student([values]) == pytest.approx((values.mean(), *expected))
    assert interval([values[:3]]) == pytest.approx(student([values[:3]]))
    assert interval([values]) == student([values], trim=0.25)


def test_the_trimmed_interval_is_scipys_of_yuen() -> None:
    """scipy knows Yuen's test of two samples, of which one is ours and the other a sample without any spread."""
    values = np.random.default_rng(1).standard_normal(12)
    found = student([values], trim=0.25)
    for end in found[1:]:
        constant = end + 1e-9 * np.linspace(-1.0, 1.0, 200_000)
        p = scipy.stats.ttest_ind(values, constant, equal_var=False, trim=0.25).pvalue
        assert p == pytest.approx(0.05, rel=1e-3)


def test_welchs_interval_is_that_of_two_strata() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal(6), 4.0 * rng.standard_normal(9)
    low, high = scipy.stats.ttest_ind(a, -b, equal_var=False).confidence_interval()
    assert student([a, b]) == pytest.approx(((a.mean() + b.mean()) / 2, low / 2, high / 2))


def test_one_seed_has_no_interval_and_no_spread_an_empty_one() -> None:
    centre, *ends = interval([np.array([3.0])])
    assert centre == 3.0
    assert np.isnan(ends).all()
    assert np.isnan(interval([np.array([3.0]), np.array([1.0, 2.0])]).low)
    for n in (3, ENOUGH):
        assert interval([np.full(n, 1.0), np.full(n, 5.0)]) == (3.0, 3.0, 3.0), "strata are resampled apart"


def test_the_interquartile_mean_leaves_out_a_quarter_on_either_side() -> None:
    for values, expected in (([100.0, 1, 2, 3, -50], 2.0), ([1.0, 2, 6], 3.0), ([*range(8)], 3.5)):
        assert interquartile_mean(np.array(values)) == student([np.array(values)], 0.25).centre == expected
