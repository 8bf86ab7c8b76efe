"""Each optimizer of ours does what its textbook formula says."""

import numpy as np
import pytest
import torch
from objectives import OPTIMUM

from optimizers import Evolution, HybridGradient, PopulationBased, RandomSearch, Reinforce


def test_rmsprop_is_torchs() -> None:
    optimizer = HybridGradient(rule="rmsprop", step=0.1, decay=0.9, decay_after=None)
    optimizer.init(np.zeros(2), np.random.default_rng(0))
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.RMSprop([x], 0.1, alpha=0.9, eps=0.0)
    for gradient in ([1.0, -2.0], [0.5, 0.1], [-0.2, 0.3]):
        optimizer.tell(np.zeros((1, 2)), np.zeros(1), np.array(gradient))
        x.grad = torch.tensor(gradient, dtype=torch.float64)
        theirs.step()
        np.testing.assert_allclose(optimizer.recommend(), x.detach().numpy())


def test_adam_is_torchs_and_the_step_decays() -> None:
    optimizer = HybridGradient(rule="adam", step=0.1, decay=0.9, decay_after=2.0)
    optimizer.init(np.zeros(2), np.random.default_rng(0))
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.Adam([x], 0.1, betas=(0.9, 0.9), eps=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(theirs, lambda t: (1 + t / 2) ** -0.75)
    for gradient in ([1.0, -2.0], [0.5, 0.1], [-0.2, 0.3]):
        optimizer.tell(np.zeros((1, 2)), np.zeros(1), np.array(gradient))
        x.grad = torch.tensor(gradient, dtype=torch.float64)
        theirs.step()
        schedule.step()
        np.testing.assert_allclose(optimizer.recommend(), x.detach().numpy())


def test_average_divides_by_nothing() -> None:
    optimizer = HybridGradient(rule="average", step=0.1, decay=0.5, decay_after=1.0)
    optimizer.init(np.zeros(2), np.random.default_rng(0))
    first, second = np.array([1.0, -0.5]), np.array([0.5, 1.0])
    optimizer.tell(np.zeros((1, 2)), np.zeros(1), first)
    np.testing.assert_allclose(optimizer.recommend(), -0.1 * first)
    optimizer.tell(np.zeros((1, 2)), np.zeros(1), second)
    mean = (0.25 * first + 0.5 * second) / 0.75
    np.testing.assert_allclose(optimizer.recommend(), -0.1 * first - 0.1 * 2.0**-0.75 * mean)


def test_momentum_divides_by_one_length() -> None:
    optimizer = HybridGradient(rule="momentum", step=0.1, decay=0.5, decay_after=None)
    optimizer.init(np.zeros(2), np.random.default_rng(0))
    first, second = np.array([1.0, -2.0]), np.array([0.5, 0.0])
    optimizer.tell(np.zeros((1, 2)), np.zeros(1), first)
    np.testing.assert_allclose(optimizer.recommend(), -0.1 * first / np.sqrt(2.5))
    optimizer.tell(np.zeros((1, 2)), np.zeros(1), second)
    mean, square = (0.25 * first + 0.5 * second) / 0.75, (0.25 * 2.5 + 0.5 * 0.125) / 0.75
    np.testing.assert_allclose(optimizer.recommend(), -0.1 * first / np.sqrt(2.5) - 0.1 * mean / np.sqrt(square))


def test_basic_random_search_step_by_hand() -> None:
    search = RandomSearch(variant="BRS", pairs=2, nu=0.1, step=0.5)
    search.init(np.zeros(3), np.random.default_rng(7))
    delta = np.random.default_rng(7).standard_normal((2, 3))
    points = search.ask()
    np.testing.assert_allclose(points, np.concatenate([0.1 * delta, -0.1 * delta]))
    search.tell(points, np.array([1.0, 3.0, 2.0, 2.5]))
    np.testing.assert_allclose(search.recommend(), -0.5 * (-1.0 * delta[0] + 0.5 * delta[1]) / (2 * 0.2))


@pytest.mark.parametrize(("variant", "kept"), [("V1", [0, 1, 2]), ("V1-t", [2, 0])])
def test_normalised_random_search_steps_by_hand(variant: str, kept: list[int]) -> None:
    """V1-t keeps the two pairs with the lowest of their two losses; both divide by the deviation of the losses kept."""
    search = RandomSearch(variant=variant, pairs=3, best=2, nu=0.1, step=0.5)
    search.init(np.zeros(4), np.random.default_rng(7))
    delta = np.random.default_rng(7).standard_normal((3, 4))
    plus, minus = np.array([1.0, 3.0, 0.5]), np.array([2.0, 2.5, 0.8])
    search.tell(search.ask(), np.concatenate([plus, minus]))
    deviation = np.std([*plus[kept], *minus[kept]])
    expected = -0.5 / len(kept) * sum((plus[k] - minus[k]) * delta[k] for k in kept) / deviation
    np.testing.assert_allclose(search.recommend(), np.clip(expected, -1, 1))


def test_plain_random_search_is_the_formula_to_the_bit_and_rmsprop_another() -> None:
    """Mania et al. 2018, V1; and RMSprop, whose first move is as long along every coordinate."""
    plain, rng = RandomSearch(), np.random.default_rng(7)
    plain.init(x := np.array([0.3, -0.2, 0.1]), np.random.default_rng(7))
    for _ in range(20):
        delta = rng.standard_normal((2, 3))
        points = plain.ask()
        losses = ((points - OPTIMUM[:3]) ** 2).sum(1)
        plain.tell(points, losses)
        x = np.clip(x - 0.05 * ((losses[:2] - losses[2:]) @ delta) / (2 * float(np.std(losses))), -1.0, 1.0)
        np.testing.assert_array_equal(plain.recommend(), x)
    other = RandomSearch(rule="rmsprop", variant="BRS")
    other.init(np.zeros(3), np.random.default_rng(7))
    other.tell(other.ask(), np.array([1.0, 3.0, 2.0, 2.5]))
    delta = np.random.default_rng(7).standard_normal((2, 3))
    np.testing.assert_allclose(other.recommend(), -0.05 / 0.1**0.5 * np.sign(-1.0 * delta[0] + 0.5 * delta[1]))


def test_reinforce_by_hand() -> None:
    """Two probes: the mean moves along the losses less the baseline, times the scores."""
    policy = Reinforce(
        play="probes", reward="level", samples=2, sigma=0.1, rule="rmsprop", step=0.1, decay=0.0, decay_after=None,
        baseline_decay=0.5,
    )  # fmt: skip
    policy.init(np.zeros(3), np.random.default_rng(7))
    z = np.random.default_rng(7).standard_normal((2, 2, 3))
    points = policy.ask()
    np.testing.assert_allclose(points, 0.1 * z[0])
    policy.tell(points, np.array([1.0, 3.0]))  # the baseline starts at their mean, 2
    mean = -0.1 * np.sign(-z[0, 0] + z[0, 1])  # rmsprop without memory keeps the sign
    np.testing.assert_allclose(policy.recommend(), mean)
    policy.tell(policy.ask(), np.array([4.0, 4.0]))  # now 0.5 * 2 + 0.5 * 4 = 3
    np.testing.assert_allclose(policy.recommend(), mean - 0.1 * np.sign(z[1].sum(0)))


def test_reinforce_on_steps_plays_its_draws_and_is_paid_by_the_drop() -> None:
    policy = Reinforce(samples=2, sigma=0.1, rule="rmsprop", step=0.1, decay=0.0, decay_after=None)
    policy.init(np.zeros(3), np.random.default_rng(7))
    z = np.random.default_rng(7).standard_normal((2, 3))
    assert len(policy.ask()) == 0
    np.testing.assert_array_equal(policy.recommend(), np.zeros(3))
    for x, loss in ((np.zeros(3), 5.0), (0.1 * z[0], 4.0), (0.1 * z[1], 3.5)):  # drops of 1 and 0.5
        np.testing.assert_allclose(policy.recommend(), x)
        np.testing.assert_array_equal(policy.found(), np.zeros(3))
        policy.tell(x[None], np.array([loss]))
    np.testing.assert_allclose(policy.found(), 0.1 * np.sign(z[0] - z[1]))


def test_reinforce_learns_its_spread() -> None:
    """At the optimum of a quadratic the best spread is none."""
    policy = Reinforce(play="probes", samples=16, learn_sigma=True, reward="level")
    policy.init(OPTIMUM.copy(), np.random.default_rng(0))
    for _ in range(40):
        points = policy.ask()
        policy.tell(points, ((points - OPTIMUM) ** 2).sum(1))
    policy.ask()
    assert np.exp(policy._log_sigma).mean() < 0.1


def test_evolution_keeps_the_fittest_and_evaluates_parents_anew() -> None:
    search = Evolution(parents=2, children=3)
    search.init(np.zeros(4), np.random.default_rng(0))
    first = search.ask()
    assert len(first) == 1 + 3
    search.tell(first, np.array([2.0, np.nan, 1.0, 3.0]))
    np.testing.assert_array_equal(search.recommend(), first[2])
    second = search.ask()
    np.testing.assert_array_equal(second[:2], first[[2, 0]])
    search.tell(second, np.array([5.0, 4.0, 9.0, 9.0, 9.0]))  # the losses of a network that has changed
    np.testing.assert_array_equal(search.recommend(), first[0])
    unmixed = Evolution(crossover=0.0, mutation=0.0)
    unmixed.init(np.zeros(4), np.random.default_rng(0))
    assert ((unmixed.ask()[1:] != 0).sum(1) == 1).all()


def test_the_worst_of_a_population_take_over_from_the_best() -> None:
    search = PopulationBased(members=6, replaced=2)
    search.init(np.full(4, 0.2), np.random.default_rng(0))
    first = search.ask()
    np.testing.assert_array_equal(first[0], np.full(4, 0.2))
    assert len(np.unique(first, axis=0)) == 6
    for losses, lost in (([3, 9, 1, 2, 8, 4], [1, 4]), ([3, np.nan, 1, np.inf, 8, np.nan], [1, 3, 5])):
        before = search.ask()
        search.tell(before, np.array(losses, float))
        np.testing.assert_array_equal(search.recommend(), before[2])
        best = [2, 3] if len(lost) == 2 else [2, 0]
        stay = np.setdiff1d(np.arange(6), lost)
        np.testing.assert_array_equal(search.origins[stay], stay)
        np.testing.assert_array_equal(search.ask()[stay], before[stay])
        assert set(search.origins[lost]) <= set(best)
        moves = search.ask()[lost] - before[search.origins[lost]]
        assert (moves != 0).all()
    before = search.ask()
    search.tell(before, np.full(6, np.nan))
    np.testing.assert_array_equal(search.ask(), before)
    np.testing.assert_array_equal(search.origins, np.arange(6))


def test_both_of_the_best_are_taken_over_and_moves_have_many_lengths() -> None:
    search = PopulationBased(members=4, replaced=2, sigma=0.1)
    search.init(np.zeros(4), np.random.default_rng(0))
    taken, lengths = [], []
    for _ in range(200):
        before = search.ask()
        search.tell(before, (before**2).sum(1))
        best = np.argsort((before**2).sum(1), kind="stable")[:2]
        lost = np.setdiff1d(np.arange(4), best)
        taken += [int(np.flatnonzero(best == origin)[0]) for origin in search.origins[lost]]
        lengths += np.sqrt(((search.ask()[lost] - before[search.origins[lost]]) ** 2).mean(1)).tolist()
    assert np.mean(taken) == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(np.log10(np.quantile(lengths, [0.05, 0.5, 0.95]) / 0.1), [-1.9, -1.0, -0.1], atol=0.25)
