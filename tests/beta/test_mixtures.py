"""Mixtures and counts against scipy: values, densities, gradients, and the coupling of common uniforms."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import scipy.special
import scipy.stats

from hgenv.beta.distributions import Normal
from hgenv.beta.layout import Layout
from hgenv.beta.mixtures import Count, Mixture, NormalMixture, TruncatedNormalMixture, VonMisesMixture
from hgenv.beta.noise import Noise
from hgenv.beta.von_mises import angles

LOW, HIGH = -0.5, 1.5


def truncated(mean: float, std: float) -> scipy.stats.rv_continuous:
    return scipy.stats.truncnorm((LOW - mean) / std, (HIGH - mean) / std, mean, std)


def von_mises(mean: float, std: float) -> scipy.stats.rv_continuous:
    return scipy.stats.vonmises(1 / std**2, mean)


CASES: dict[str, tuple[Mixture, Callable]] = {
    "normal": (NormalMixture((-1, 1), (0.05, 1), ("x", "y")), scipy.stats.norm),
    "von Mises": (VonMisesMixture((-3, 3), (0.05, 2), ("yaw", "pitch")), von_mises),
    "truncated normal": (TruncatedNormalMixture((LOW, HIGH), (0.05, 1), ("x", "y")), truncated),
}
NAMES = list(CASES)
WEIGHTS = np.array([0.2, 0.5, 0.9])
MEANS = np.array([[-0.3, 0.9], [0.1, 0.2], [1.0, -0.4]])
STDS = np.array([[0.1, 0.3], [0.7, 0.05], [0.4, 0.9]])
PARAMETERS = np.concatenate([WEIGHTS, np.stack([MEANS, STDS], axis=1).ravel()])


def drawn(family: Mixture, u: np.ndarray) -> np.ndarray:
    return family.inverse_cdf(u, PARAMETERS[:, None])


@pytest.mark.parametrize("name", NAMES)
def test_values_are_the_inverse_cdf_of_the_chosen_component(name: str) -> None:
    family, reference = CASES[name]
    u = np.random.default_rng(0).uniform(size=(200, 3))
    x = drawn(family, u)
    chosen = np.searchsorted(np.cumsum(WEIGHTS) / WEIGHTS.sum(), u[:, 0])
    assert set(chosen) == {0, 1, 2}
    for row, component in enumerate(chosen):
        for axis in range(2):
            expected = reference(MEANS[component, axis], STDS[component, axis]).ppf(u[row, 1 + axis])
            assert x[row, axis] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_densities_are_scipys(name: str) -> None:
    family, reference = CASES[name]
    x = drawn(family, np.random.default_rng(1).uniform(size=(50, 3)))
    shares = WEIGHTS / WEIGHTS.sum()
    expected = sum(
        share * np.prod([reference(mean[a], std[a]).pdf(x[:, a]) for a in range(2)], axis=0)
        for share, mean, std in zip(shares, MEANS, STDS, strict=True)
    )
    np.testing.assert_allclose(family.log_probability(x, PARAMETERS[:, None]), np.log(expected), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_differences_of_the_log_density(name: str) -> None:
    family, _ = CASES[name]
    x = drawn(family, np.random.default_rng(2).uniform(size=(40, 3)))
    gradient = family.log_probability_gradient(x, PARAMETERS[:, None])
    assert gradient.shape == (15, 40)
    for i in range(15):
        step = 1e-6 * np.eye(15)[i]
        ends = [family.log_probability(x, (PARAMETERS + sign * step)[:, None]) for sign in (1, -1)]
        np.testing.assert_allclose(gradient[i], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_divergences_are_means_of_scipys_log_ratios(name: str) -> None:
    family, reference = CASES[name]
    other, rng, shares = PARAMETERS.copy(), np.random.default_rng(0), WEIGHTS / WEIGHTS.sum()
    other[:3], other[3::2] = [0.9, 0.2, 0.5], 0.8 * other[3::2]
    parts = [
        reference(MEANS[k], STDS[k]).rvs((round(100_000 * share), 2), random_state=rng)
        for k, share in enumerate(shares)
    ]
    ours, theirs = (log_density(reference, np.concatenate(parts), *family._split(p)) for p in (PARAMETERS, other))
    ratio = ours - theirs
    found = family.divergence(PARAMETERS, other)
    assert found.shape == ()
    assert found == pytest.approx(ratio.mean(), abs=4 * ratio.std() / np.sqrt(len(ratio)), rel=5e-3)
    assert family.divergence(PARAMETERS, PARAMETERS) == 0.0


def log_density(
    reference: Callable, x: np.ndarray, weights: np.ndarray, means: np.ndarray, stds: np.ndarray
) -> np.ndarray:
    """By scipy's densities of the components."""
    of_components = [weights[k] * reference(means[k], stds[k]).pdf(x).prod(-1) for k in range(len(weights))]
    return np.log(np.sum(of_components, axis=0) / weights.sum())


@pytest.mark.parametrize("name", NAMES)
def test_draws_follow_the_mixture(name: str) -> None:
    family, reference = CASES[name]
    x = drawn(family, np.random.default_rng(3).uniform(size=(4000, 3)))
    shares = WEIGHTS / WEIGHTS.sum()
    for axis in range(2):
        at = np.linspace(-4.0, 5.0, 400)
        cdf = sum(
            share * np.clip(reference(m[axis], s[axis]).cdf(at), 0.0, 1.0)
            for share, m, s in zip(shares, MEANS, STDS, strict=True)
        )
        empirical = np.searchsorted(np.sort(x[:, axis]), at, side="right") / len(x)
        assert np.abs(empirical - cdf).max() < 1.63 / np.sqrt(4000)  # Kolmogorov's 1 % bound


@pytest.mark.parametrize("name", NAMES)
def test_common_uniforms_couple_draws_under_beta_plus_and_minus(name: str) -> None:
    """Means and stds move draws by as much as themselves; weights change few draws, and those by a jump."""
    family, _ = CASES[name]
    u = np.random.default_rng(4).uniform(size=(2000, 3))
    size = 1e-3
    for i, jumps in enumerate(family.jumps):
        step = size * np.eye(15)[i]
        ends = [family.inverse_cdf(u, (PARAMETERS + sign * step)[:, None]) for sign in (1, -1)]
        moved = np.abs(ends[0] - ends[1]).max(1)
        if jumps:
            assert np.mean(moved > 0) < 0.01
        else:
            assert np.percentile(moved, 99) < 20 * size
            assert moved.max() > 0


def test_one_axis_needs_no_name() -> None:
    family = NormalMixture((-1, 1), (0.05, 1), components=2)
    assert [p.name for p in family.parameters()] == ["weight.0", "weight.1", "mean.0", "std.0", "mean.1", "std.1"]
    x = family.inverse_cdf(np.array([[0.2, 0.5], [0.9, 0.5]]), np.array([1.0, 1.0, -0.4, 0.1, 0.6, 0.1])[:, None])
    np.testing.assert_allclose(x, [-0.4, 0.6])


def test_components_start_apart() -> None:
    start = [p.initial for p in NormalMixture((-1, 1), (0.05, 1), apart=0.8).parameters()]
    np.testing.assert_allclose(start[3::2], [-0.4, 0.0, 0.4])


def test_counts_are_zero_truncated_poisson_numbers() -> None:
    family, rate = Count((0.5, 20.0)), np.array([2.5])
    u = np.random.default_rng(0).uniform(size=20_000)
    x = family.inverse_cdf(u, rate[:, None])
    assert x.min() == 1
    k = np.arange(1, 12)
    expected = scipy.stats.poisson.pmf(k, 2.5) / scipy.stats.poisson.sf(0, 2.5)
    np.testing.assert_allclose([np.mean(x == i) for i in k], expected, atol=0.01)
    np.testing.assert_allclose(family.log_probability(k, rate[:, None]), np.log(expected), rtol=1e-10)
    ends = [family.log_probability(k, (rate + h)[:, None]) for h in (1e-6, -1e-6)]
    np.testing.assert_allclose(
        family.log_probability_gradient(k, rate[:, None])[0], (ends[0] - ends[1]) / 2e-6, rtol=1e-6
    )
    np.testing.assert_array_equal(np.sort(x), x[np.argsort(u)])  # the inverse of a CDF is monotone


def test_the_divergence_of_counts_is_its_sum() -> None:
    p, q, n = 2.5, 4.0, np.arange(1, 200)
    one, other = (scipy.stats.poisson(rate).logpmf(n) - np.log(-np.expm1(-rate)) for rate in (p, q))
    found = Count((0.5, 20.0)).divergence(np.array([p]), np.array([q]))
    assert found == pytest.approx(np.sum(np.exp(one) * (one - other)))


@dataclass(frozen=True)
class Both(Layout):
    place: NormalMixture = NormalMixture((-1, 1), (0.05, 1), ("x", "y"), components=2, apart=0.5)
    plain: Normal = Normal((-1, 1), (0.1, 1), ("x", "y"))
    number: Count = Count((0.5, 5.0))


def test_a_layout_of_mixtures_draws_and_scores() -> None:
    layout = Both()
    beta = layout.from_action(np.random.default_rng(0).uniform(-0.8, 0.8, (6, len(layout.names))))
    assert len(layout.names) == 10 + 4 + 1
    assert layout.discrete.sum() == 2 + 1
    noise = Noise(np.arange(6))
    bound = layout.bind(beta)
    assert noise.draw(bound.place, "place", (3,)).shape == (6, 3, 2)
    assert noise.draw(bound.plain, "plain").shape == (6, 2)
    assert noise.draw(bound.number, "number", used=np.arange(6) < 4).shape == (6,)
    gradient = layout.log_probability_gradient(beta, noise.draws)
    log_probability = partial(layout.log_probability, draws=noise.draws)
    numerical = np.stack([differences(log_probability, beta, row) for row in range(6)])
    np.testing.assert_allclose(gradient, numerical, rtol=1e-5, atol=1e-6)


def differences(log_probability: Callable, betas: np.ndarray, row: int) -> np.ndarray:
    """d log p of row `row` by its beta, by central differences."""
    found = []
    for i in range(betas.shape[1]):
        step = np.zeros_like(betas)
        step[row, i] = 1e-6
        found.append((log_probability(betas + step)[row] - log_probability(betas - step)[row]) / 2e-6)
    return np.array(found)


def test_bad_mixtures_are_refused() -> None:
    with pytest.raises(ValueError, match="component"):
        NormalMixture((-1, 1), (0.05, 1), components=0)
    with pytest.raises(ValueError, match="positive"):
        VonMisesMixture((-1, 1), (0.0, 1))
    with pytest.raises(ValueError, match="positive"):
        Count((0.0, 1.0))


@pytest.mark.parametrize("name", NAMES)
def test_draws_do_not_depend_on_how_parameters_are_broadcast(name: str) -> None:
    """A row's parameters for all of its slots, one set for all rows, a set of its own for every draw; and no draws."""
    family, _ = CASES[name]
    u = np.random.default_rng(5).uniform(size=(6, 4, 3))
    rows = PARAMETERS[:, None] * np.linspace(0.9, 1.0, 6)
    wanted = [[family.inverse_cdf(u[i, j], rows[:, i]) for j in range(4)] for i in range(6)]
    np.testing.assert_array_equal(family.inverse_cdf(u, rows[:, :, None]), wanted)
    np.testing.assert_array_equal(family.inverse_cdf(u, np.repeat(rows[:, :, None], 4, axis=2)), wanted)
    twice = family.inverse_cdf(u[:, :1], np.repeat(rows[:, :, None], 2, axis=2))
    np.testing.assert_array_equal(twice, np.repeat(np.array(wanted)[:, :1], 2, axis=1))
    assert family.inverse_cdf(np.empty((0, 4, 3)), np.empty((15, 0, 1))).shape == (0, 4, 2)


def test_angles_are_those_of_newtons_method_on_scipys_cdf_to_the_bit() -> None:
    """On both sides of kappa = 50, where scipy's CDF becomes a normal approximation."""
    rng = np.random.default_rng(6)
    u, std = rng.uniform(1e-6, 1.0, 400), rng.uniform(0.02, 2.0, 400)
    x, kappa = np.clip(std * scipy.special.ndtri(u), -3.0, 3.0), 1.0 / std**2
    low, high, done = np.full(400, -np.pi), np.full(400, np.pi), np.zeros(400, bool)
    while not done.all():
        off = scipy.stats.vonmises.cdf(x, kappa) - u
        low, high = np.where(off < 0.0, x, low), np.where(off < 0.0, high, x)
        step = x - off * (2.0 * np.pi * scipy.special.i0e(kappa)) * np.exp(kappa * (1.0 - np.cos(x)))
        new = np.where(done, x, np.where((step >= low) & (step <= high), step, 0.5 * (low + high)))
        done |= (np.abs(new - x) < 1e-11) | (np.abs(off) < 4e-16)
        x = new
    assert 10 < (kappa > 50).sum() < 390
    np.testing.assert_array_equal(angles(u, std), x)
