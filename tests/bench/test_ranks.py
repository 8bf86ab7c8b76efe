"""Ranks over environments against Demsar's tables and scipy, runtime profiles by hand."""

import itertools

import numpy as np
import pytest
import scipy.stats

from hgenv.bench.profiles import profile, targets
from hgenv.bench.ranks import critical_difference, friedman, groups, mean_ranks

DEMSAR = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
"""His table 5 (a): critical values of the two-tailed Nemenyi test at 5 %, by the number of classifiers."""


@pytest.mark.parametrize("methods", DEMSAR)
def test_critical_differences_are_published_ones(methods: int) -> None:
    expected = DEMSAR[methods] * np.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) == pytest.approx(expected, abs=1e-3)


def test_demsars_example_of_four_classifiers_on_fourteen_datasets() -> None:
    """His table 6: C4.5 and three variants, AUC; his ranks are 3.143, 2.000, 2.893, 1.964, and CD = 1.25."""
    auc = np.array(
        [
            [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
            [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
            [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
            [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
            [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
        ]
    )  # fmt: skip
    np.testing.assert_allclose(mean_ranks(-auc), [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert friedman(-auc) == pytest.approx(scipy.stats.friedmanchisquare(*auc.T).pvalue, abs=0.01)


def test_friedmans_probability_of_few_rows_is_counted_out() -> None:
    """All orders of three methods in each of three environments, without the asymptotics."""
    values = np.array([[1.0, 2, 3], [1, 3, 2], [1, 2, 3]])
    orders = list(itertools.permutations([1.0, 2, 3]))
    spreads = np.array([np.var(np.mean(rows, axis=0)) for rows in itertools.product(orders, repeat=3)])
    exact = np.mean(spreads >= np.var(values.mean(0)) - 1e-12)
    assert friedman(values) == pytest.approx(exact, abs=0.015)
    assert friedman(np.tile([1.0, 2, 3], (2, 1))) == pytest.approx(1 / 6, abs=0.015)


def test_groups_are_the_largest_of_those_that_do_not_differ() -> None:
    assert groups(np.array([3.0, 1.0, 1.5, 2.2]), 1.0) == [(1.0, 1.5), (1.5, 2.2), (2.2, 3.0)]
    assert groups(np.array([1.0, 1.5, 2.2, 4.0]), 1.3) == [(1.0, 2.2)]
    assert groups(np.array([1.0, 2.0, 3.0]), 0.5) == []


def test_profiles_by_hand() -> None:
    assert targets(10.0, 2.0, 4).tolist() == [8.0, 6.0, 4.0, 2.0]
    x, y = profile(np.array([[1.0, 3.0, np.inf], [1.0, 1.0, 5.0]]))
    assert (x.tolist(), y.tolist()) == (
        [1.0, 3.0, 5.0],
        [pytest.approx(0.5), pytest.approx(4 / 6), pytest.approx(5 / 6)],
    )
    assert [len(one) for one in profile(np.full((2, 2), np.inf))] == [0, 0]
    for wrong in (10.0, 11.0, np.nan):
        with pytest.raises(ValueError, match="something better"):
            targets(10.0, wrong)
