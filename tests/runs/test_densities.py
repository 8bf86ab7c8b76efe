"""Densities over a run: against scipy's, and exact shares."""

import numpy as np
import pytest
import scipy.stats

import hgenv
from hgenv.beta import Bernoulli, Categorical, Layout, Normal, Value
from hgenv.beta.mixtures import Count, NormalMixture
from hgenv.pages.density import density
from hgenv.runs.densities import Moved, groups

X = (0.0, 100.0)


def moved(distribution: object, *betas: list[float]) -> list[Moved]:
    """The axes of one distribution at these parameters."""

    class One(Layout):
        distributions = {"one": distribution}  # type: ignore[assignment]  # noqa: RUF012

    ((group),) = groups(One(), np.array(betas), X)
    return group.axes


def shares(one: Moved) -> np.ndarray:
    """What share of all draws is in every bin, (bins, m): the shade is the root of a count."""
    assert one.density.shade is not None
    return one.density.shade**2 / 2**11


def expected(one: Moved, cdf: object) -> np.ndarray:
    """The same of a CDF."""
    edges = np.linspace(*one.density.y, len(shares(one)) + 1)
    return np.diff(cdf(edges))  # type: ignore[operator]


def test_a_normal_is_as_dense_as_scipys() -> None:
    distribution = Normal((-1.0, 1.0), (0.05, 0.8), ("x", "y"), meaning="m")
    first, second = moved(distribution, [-0.1, 0.5, 0.4, 0.1], [0.3, 0.5, 0.2, 0.1])
    for t, (mean, std) in enumerate([(-0.1, 0.4), (0.3, 0.2)]):
        wanted = scipy.stats.norm(mean, std)
        np.testing.assert_allclose(shares(first)[:, t], expected(first, wanted.cdf), atol=1.1 / 2**11)
        np.testing.assert_allclose(first.density.lines[:, t], wanted.ppf([0.05, 0.5, 0.95]), atol=0.005)
    # Quantiles of two normals are (0.4 + 0.2 z) apart on average over z.
    gap = np.abs(0.4 - 0.2 * scipy.stats.norm.ppf((np.arange(2**11) + 0.5) / 2**11)).mean()
    assert first.distance == pytest.approx(gap / np.diff(first.density.y)[0])
    assert second.distance == 0.0
    assert (first.density.title, first.density.note, second.density.title) == ("one x", "m", "one y")


def test_every_axis_of_a_mixture_is_its_own_mixture() -> None:
    """30 axes share the component: what is drawn is spread well along each of them."""
    axes = tuple(map(str, range(30)))
    distribution = NormalMixture((-2.0, 2.0), (0.1, 1.0), axes, components=2)
    means, stds = np.linspace(-1.5, 1.5, 60).reshape(2, 30), np.linspace(0.2, 0.8, 60).reshape(2, 30)
    beta = [0.2, 0.6, *means[0], *stds[0], *means[1], *stds[1]]
    for axis, one in enumerate(moved(distribution, beta)):
        parts = [scipy.stats.norm(means[k, axis], stds[k, axis]).cdf for k in (0, 1)]
        wanted = expected(one, lambda edges, parts=parts: 0.25 * parts[0](edges) + 0.75 * parts[1](edges))
        np.testing.assert_allclose(shares(one)[:, 0], wanted, atol=0.008)


def test_outcomes_have_their_probabilities() -> None:
    (one,) = moved(Categorical("a", "b", "c"), [0.1, 0.2, 0.5], [0.5, 0.2, 0.1])
    assert one.density.outcomes == ("a", "b", "c")
    np.testing.assert_allclose(one.density.shade, np.array([[1, 2, 5], [5, 2, 1]]).T / 8, atol=1 / 2**11)
    assert one.distance == pytest.approx(0.5, abs=1 / 2**11)
    (one,) = moved(Bernoulli(), [0.25], [0.25])
    np.testing.assert_allclose(one.density.shade, [[0.75, 0.75], [0.25, 0.25]])
    assert one.distance == 0.0


def test_counts_have_a_bin_each() -> None:
    (one,) = moved(Count((0.5, 16.0)), [3.0])
    low, high = one.density.y
    assert (low, len(shares(one))) == (0.5, high - low)
    k = np.arange(1, round(high - low) + 1)
    np.testing.assert_allclose(shares(one)[:, 0], scipy.stats.poisson(3.0).pmf(k) / (1 - np.exp(-3.0)), atol=1 / 2**11)


def test_values_are_lines_in_their_range() -> None:
    first, second = moved(Value((-1.0, 3.0), ("x", "y")), [0.0, 1.0], [2.0, 1.0])
    assert first.density.shade is None
    assert first.density.y == (-1.0, 3.0)
    assert (first.density.lines.tolist(), second.density.lines.tolist()) == ([[0.0, 2.0]], [[1.0, 1.0]])
    assert (first.distance, second.distance) == (0.5, 0.0)


@pytest.mark.parametrize("id", sorted(hgenv.TASKS))
def test_every_layout_is_drawn(id: str) -> None:
    layout = hgenv.TASKS[id]().layout
    found = [axis for group in groups(layout, np.stack([layout.low, layout.high]), X) for axis in group.axes]
    assert len(found) == sum(len(d.axes) or 1 for d in layout.distributions.values())
    for one in found:
        assert one.distance > 0.0 or one.density.outcomes, "all weights at an end are the same probabilities"
        assert "nan" not in density(one.density)
