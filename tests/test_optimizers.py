"""The contract of every registered optimizer, and the textbook formulas of each."""

import numpy as np
import pytest
import torch

from optimizers import OPTIMIZERS, HybridGradient, Optimizer, RandomSearch, register

NAMES = sorted(OPTIMIZERS)
OPTIMUM = np.array([0.5, -0.3, 0.8, 0.0])


def play(optimizer: Optimizer, steps: int, seed: int = 0, shift: float = 0.0) -> list[np.ndarray]:
    """The loop of hgenv.run on a quadratic."""
    optimizer.init(np.zeros(4), np.random.default_rng(seed))
    path = []
    for _ in range(steps):
        points = optimizer.ask()
        assert points.ndim == 2
        assert points.shape[1] == 4
        assert (np.abs(points) <= 1).all()
        if len(points):
            optimizer.tell(points, ((points - OPTIMUM) ** 2).sum(1) + shift)
        x = optimizer.recommend()
        assert x.shape == (4,)
        assert (np.abs(x) <= 1).all()
        path.append(optimizer.found().copy())
        if optimizer.uses_steps:
            optimizer.tell(x[None], np.array([((x - OPTIMUM) ** 2).sum() + shift]), 2 * (x - OPTIMUM))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_recommends_the_start_before_the_first_tell(name: str) -> None:
    optimizer, start = OPTIMIZERS[name](), np.array([0.1, 0.2, 0.3, 0.4])
    optimizer.init(start, np.random.default_rng(0))
    np.testing.assert_array_equal(optimizer.recommend(), start)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_path_and_a_constant_in_the_loss_does_not_matter(name: str) -> None:
    path = play(OPTIMIZERS[name](), 20)
    np.testing.assert_array_equal(path, play(OPTIMIZERS[name](), 20))
    np.testing.assert_allclose(path, play(OPTIMIZERS[name](), 20, shift=3.0), atol=1e-9)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("fixed", "random-beta")])
def test_finds_the_optimum_of_a_quadratic(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    steps = 400 if len(optimizer_asks(name)) or optimizer.uses_gradient else 1600  # four points a step, or one
    assert np.linalg.norm(play(optimizer, steps)[-1] - OPTIMUM) < 0.1


def optimizer_asks(name: str) -> np.ndarray:
    optimizer = OPTIMIZERS[name]()
    optimizer.init(np.zeros(4), np.random.default_rng(0))
    return optimizer.ask()


@pytest.mark.parametrize("rule", ["rmsprop", "adam", "momentum"])
def test_all_rules_find_the_optimum(rule: str) -> None:
    assert np.linalg.norm(play(HybridGradient(rule=rule), 400)[-1] - OPTIMUM) < 0.1


@pytest.mark.parametrize("variant", ["BRS", "V1", "V1-t"])
def test_all_variants_find_the_optimum(variant: str) -> None:
    search = RandomSearch(variant=variant, pairs=4, best=2, nu=0.05, step=0.05)
    assert np.linalg.norm(play(search, 500)[-1] - OPTIMUM) < 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_survives_a_loss_and_gradient_that_are_not_finite(name: str, bad: float) -> None:
    optimizer = OPTIMIZERS[name]()
    optimizer.init(np.zeros(4), np.random.default_rng(0))
    for _ in range(3):
        points = optimizer.ask()
        if len(points):
            optimizer.tell(points, np.full(len(points), bad))
        x = optimizer.recommend()
        assert np.isfinite(x).all()
        if optimizer.uses_steps:
            optimizer.tell(x[None], np.array([bad]), np.full(4, bad))
    assert np.isfinite(optimizer.recommend()).all()


def test_rmsprop_is_torchs_with_a_debiased_mean() -> None:
    optimizer = HybridGradient(rule="rmsprop", step=0.1, decay=0.9, decay_after=None)
    optimizer.init(np.zeros(2), np.random.default_rng(0))
    square = np.zeros(2)
    x = np.zeros(2)
    for k, gradient in enumerate(np.array([[1.0, -2.0], [0.5, 0.1], [-0.2, 0.3]]), 1):
        optimizer.tell(x[None], np.zeros(1), gradient)
        square = 0.9 * square + 0.1 * gradient**2
        x = x - 0.1 * gradient / np.sqrt(square / (1 - 0.9**k))
        np.testing.assert_allclose(optimizer.recommend(), x)


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


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (RandomSearch, {"variant": "V2"}),
        (RandomSearch, {"pairs": 0}),
        (RandomSearch, {"best": 3}),
        (HybridGradient, {"rule": "sgd"}),
        (HybridGradient, {"step": -1.0}),
        (HybridGradient, {"decay": 1.0}),
    ],
)
def test_bad_hyper_parameters_are_refused(cls: type[Optimizer], options: dict) -> None:
    with pytest.raises(ValueError, match="got"):
        cls(**options)
    with pytest.raises(ValueError, match="already"):
        register("fixed")(cls)
