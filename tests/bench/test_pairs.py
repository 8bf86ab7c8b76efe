"""Comparisons with the control: what pairs say, and that their intervals cover."""

import numpy as np
import pytest
import scipy.stats

from hgenv.bench.pairs import on_common_seeds, probability_of_improvement, score


def test_only_seeds_that_all_have_count() -> None:
    mine, control = on_common_seeds({0: 1.0, 3: np.nan, 2: 5.0, 4: 6.0}, {2: 7.0, 0: 2.0, 3: 1.0, 4: np.inf})
    assert (mine.tolist(), control.tolist()) == ([1.0, 5.0], [2.0, 7.0])
    assert [len(one) for one in on_common_seeds({0: 1.0}, {})] == [0, 0]


def test_the_probability_of_improvement_by_hand() -> None:
    found = probability_of_improvement(np.array([1.0, 4.0]), np.array([2.0, 4.0, 5.0]))
    assert found.centre == pytest.approx((3 + 1.5) / 6), "ties count half"
    mine, control = np.random.default_rng(0).standard_normal((2, 9))
    u = scipy.stats.mannwhitneyu(control, mine).statistic
    assert probability_of_improvement(mine, control).centre == pytest.approx(u / 81)


def test_the_ends_are_where_newcombes_equation_holds() -> None:
    found = probability_of_improvement(*np.random.default_rng(1).standard_normal((2, 5)))
    for p in found[1:]:
        variance = p * (1 - p) * (1 + 4 * ((1 - p) / (2 - p) + p / (1 + p))) / 25
        assert abs(p - found.centre) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-6)
    whole = probability_of_improvement(np.zeros(5), np.ones(5))
    assert (whole.centre, whole.high) == (1.0, 1.0)
    assert 0.6 < whole.low < 0.7, "5 of 5 is not certain"
    assert probability_of_improvement(np.ones(5), np.zeros(5)) == pytest.approx((0.0, 0.0, 1.0 - whole.low))
    assert np.isnan(probability_of_improvement(np.zeros(1), np.ones(1)).low)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("true", [0.5, 0.7, 0.9, 0.98])
def test_probabilities_are_covered_and_more_so_if_seeds_have_much_in_common(n: int, true: float) -> None:
    rng, apart = np.random.default_rng(0), scipy.stats.norm.ppf(true) * np.sqrt(2.0)
    for common, least in ((0.0, 0.89), (0.7, 0.93)):
        own, shared = rng.standard_normal((600, 2, n)), rng.standard_normal((600, 1, n))
        values = np.sqrt(1.0 - common) * own + np.sqrt(common) * shared
        ends = np.array([probability_of_improvement(mine, control + apart) for mine, control in values])
        assert np.mean((ends[:, 1] <= true) & (true <= ends[:, 2])) >= least


@pytest.mark.parametrize("n", [3, 5, 10])
def test_scores_are_covered(n: int) -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.standard_normal((2000, 1, n)), rng.standard_normal((2000, 3, n))
    found = [score(10 - 2.5 + mine, 10 + control, 10 - 5 + good) for mine, control, good in shared + 0.5 * own]
    bounded = np.array([one for one in found if np.isfinite(one.low)])
    assert len(bounded) > 1500
    assert 0.94 <= np.mean((bounded[:, 1] <= 0.5) & (bounded[:, 2] >= 0.5)) <= 0.965


def test_scores_by_hand() -> None:
    control, good = np.array([10.0, 12.0, 11.0]), np.array([5.0, 7.5, 5.5])
    assert score(control, control, good)[:1] == (0.0,)
    assert score(good, control, good) == pytest.approx((1.0, 1.0, 1.0))
    halfway, mine = score((control + good) / 2, control, good), np.array([6.0, 12.5, 8.5])
    assert halfway == pytest.approx((0.5, 0.5, 0.5))
    for ratio in score(mine, control, good)[1:]:
        rest = (control - mine) - ratio * (control - good)  # Fieller: its mean is as far from 0 as Student's t allows
        assert scipy.stats.ttest_1samp(rest, 0.0).pvalue == pytest.approx(0.05)
    assert np.isnan(score(mine, control, control + 1.0)).all(), "the good beta is worse"
    assert np.isnan(score(*[np.array([])] * 3)).all()
    unbounded = score(mine, control, np.array([5.0, 30.0, -10.0]))
    assert np.isfinite(unbounded.centre)
    assert np.isnan(unbounded[1:]).all()
    assert np.isnan(score(mine[:1], control[:1], good[:1])[1:]).all()
