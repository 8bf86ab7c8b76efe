"""Every family against scipy and against numerical differentiation."""

import numpy as np
import pytest
import scipy.stats

from hgenv.beta.distributions import Bernoulli, Categorical, Distribution, LogNormal, Normal, Value

U = np.linspace(0.003, 0.997, 41)
CASES = {
    "normal": (Normal((-1, 1), (0.1, 1)), np.array([0.3, 0.7]), scipy.stats.norm(0.3, 0.7)),
    "log-normal": (LogNormal((-1, 1), (0.1, 1)), np.array([0.3, 0.7]), scipy.stats.lognorm(0.7, scale=np.exp(0.3))),
}


@pytest.mark.parametrize("name", CASES)
def test_continuous_families_match_scipy(name: str) -> None:
    family, parameters, reference = CASES[name]
    x = family.inverse_cdf(U, parameters[:, None])
    np.testing.assert_allclose(x, reference.ppf(U), rtol=1e-12)
    np.testing.assert_allclose(family.log_probability(x, parameters[:, None]), reference.logpdf(x), rtol=1e-10)


def test_categorical_matches_its_weights() -> None:
    family, weights = Categorical("a", "b", "c"), np.array([0.2, 0.9, 0.4])
    x = family.inverse_cdf(np.linspace(0, 1, 100_001)[1:-1], weights[:, None])
    np.testing.assert_allclose(np.bincount(x) / len(x), weights / weights.sum(), atol=2e-5)
    expected = np.log(weights / weights.sum())
    np.testing.assert_allclose(family.log_probability(np.arange(3), weights[:, None]), expected)


def test_bernoulli_matches_its_probability() -> None:
    family, p = Bernoulli(), np.array([0.3])
    assert family.inverse_cdf(np.array([0.29, 0.31]), p[:, None]).tolist() == [True, False]
    expected = scipy.stats.bernoulli(0.3).logpmf([1, 0])
    np.testing.assert_allclose(family.log_probability(np.array([True, False]), p[:, None]), expected)


FAMILIES: list[tuple[Distribution, list[float]]] = [
    (Normal((-1, 1), (0.1, 1)), [0.3, 0.7]),
    (LogNormal((-1, 1), (0.1, 1)), [-0.2, 0.5]),
    (Categorical("a", "b", "c"), [0.2, 0.9, 0.4]),
    (Bernoulli(), [0.3]),
]


@pytest.mark.parametrize(("family", "values"), FAMILIES)
def test_gradient_of_log_probability_matches_differences(family: Distribution, values: list[float]) -> None:
    p, h = np.array(values), 1e-6
    x = family.inverse_cdf(U, p[:, None])
    gradient = family.log_probability_gradient(x, p[:, None])
    for i in range(len(p)):
        step = h * np.eye(len(p))[i][:, None]
        numerical = family.log_probability(x, p[:, None] + step) - family.log_probability(x, p[:, None] - step)
        np.testing.assert_allclose(gradient[i], numerical / (2 * h), rtol=1e-6, atol=1e-7)


OTHERS = [[-0.5, 0.3], [0.4, 1.1], [0.9, 0.1, 0.4], [0.8]]


@pytest.mark.parametrize(
    ("family", "values", "others"), [(*one, other) for one, other in zip(FAMILIES, OTHERS, strict=True)]
)
def test_closed_forms_of_the_divergence_match_means_of_the_log_ratio(
    family: Distribution, values: list[float], others: list[float]
) -> None:
    p, q = np.array(values), np.array(others)
    assert family.divergence(p, q) == pytest.approx(float(Distribution.divergence(family, p, q)), rel=1e-3)
    assert family.divergence(p, p) == pytest.approx(0.0, abs=1e-15)


def test_divergences_match_scipys_densities() -> None:
    (p, q), rng = (scipy.stats.norm(0.3, 0.7), scipy.stats.norm(-0.5, 0.4)), np.random.default_rng(0)
    ratio = p.logpdf(x := p.rvs(400_000, random_state=rng)) - q.logpdf(x)
    found = Normal((-1, 1), (0.1, 1)).divergence(np.array([0.3, 0.7]), np.array([-0.5, 0.4]))
    assert found == pytest.approx(ratio.mean(), abs=4 * ratio.std() / np.sqrt(len(x)))
    shares, others = np.array([0.2, 0.9, 0.4]) / 1.5, np.array([0.9, 0.1, 0.4]) / 1.4
    found = Categorical("a", "b", "c").divergence(np.array([0.2, 0.9, 0.4]), np.array([0.9, 0.1, 0.4]))
    assert found == pytest.approx(scipy.stats.entropy(shares, others))
    found = Bernoulli().divergence(np.array([0.3]), np.array([0.8]))
    assert found == pytest.approx(scipy.stats.entropy([0.3, 0.7], [0.8, 0.2]))


def test_axes_diverge_one_by_one_and_a_value_not_at_all() -> None:
    family = Normal((-1, 1), (0.1, 1), axes=("x", "y"))
    found = family.divergence(np.array([[0.3, 0.0], [0.7, 0.5]]), np.array([[-0.5, 0.0], [0.4, 0.5]]))
    assert found.tolist() == [Normal((-1, 1), (0.1, 1)).divergence(np.array([0.3, 0.7]), np.array([-0.5, 0.4])), 0.0]
    with pytest.raises(TypeError, match="no density"):
        Value((0.0, 1.0)).divergence(np.array([0.3]), np.array([0.4]))


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (0.0, np.nan), (0.0, np.inf)])
def test_bad_ranges_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="range"):
        Normal(bounds, (0.1, 1.0))
    with pytest.raises(ValueError, match="positive"):
        Normal((0.0, 1.0), (0.0, 1.0))
    with pytest.raises(ValueError, match="at least two"):
        Categorical("alone")
