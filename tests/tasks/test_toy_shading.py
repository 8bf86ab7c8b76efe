"""ToyShading: its closed form, its known optimum, and every estimator against the exact gradient by quadrature."""

import dataclasses
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv.beta.layout import divergence
from hgenv.beta.noise import stream_keys
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import Estimator, InfluenceDifference, Mixed, Perturbed, Score, Signal
from hgenv.learning.natural import natural_gradient
from hgenv.learning.training import Adam
from hgenv.options import EnvOptions
from hgenv.tasks.toy_shading import RADIUS, ToyShading

TASK = ToyShading(validation_size=32, test_size=32)
ANGLES = np.linspace(-5.0, 5.0, 2001)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
Array = NDArray[np.float64]


def test_pictures_are_lambertian_and_normals_are_of_a_sphere() -> None:
    batch = TASK.render(np.array([0.5]), np.array([True]))
    y, x = np.mgrid[0.875:-1:-0.25, -0.875:1:0.25] / RADIUS
    inside = x**2 + y**2 < 1
    z = np.sqrt(np.where(inside, 1 - x**2 - y**2, 0))
    np.testing.assert_array_equal(batch.mask[0, 0].numpy() > 0, inside)
    np.testing.assert_allclose(batch.target[0].numpy(), np.stack([x, y, z]) * inside, atol=1e-6)
    expected = np.maximum(0, np.sin(0.5) * y + np.cos(0.5) * z) * inside
    np.testing.assert_allclose(batch.image[0, 0].numpy(), expected, atol=1e-6)


def test_a_ball_lit_from_above_looks_like_a_bowl_lit_from_below() -> None:
    both = TASK.render(np.array([0.4, -0.4]), np.array([True, False]))
    torch.testing.assert_close(both.image[0], both.image[1])
    assert (both.target[0, 1] * both.target[1, 1]).min() < -0.1


@pytest.mark.slow
def test_training_is_best_at_the_optimum() -> None:
    """Against the optimum moved by 0.3 of the box along every coordinate, either way, at equal training."""
    env = DataGenEnv(ToyShading(), EnvOptions(train_steps=400, validation_images=None, inner=Adam(learning_rate=1e-2)))
    best = env.task.layout.to_action(ToyShading.optimum)
    moved = np.concatenate([best + 0.6 * np.eye(3), best - 0.6 * np.eye(3)])
    losses = []
    for seed in range(3):
        env.reset(seed=seed)
        losses.append(env.evaluate(np.concatenate([[best], moved, [env.start]])))
    mean = np.mean(losses, axis=0)
    assert np.argmin(mean) == 0, mean
    assert mean[-1] > 5 * mean[0], "the start should be far from the optimum"


@cache
def trained() -> tuple[DataGenEnv, Signal]:
    options = EnvOptions(
        gradient=Score(steps=6, curvature=True, exact=True), train_steps=6, validation_images=None
    )  # fmt: skip
    env = DataGenEnv(TASK, options)
    env.reset(seed=1)
    for _ in range(20):
        env.step(POINT)
    return env, env.signal


POINT = np.array([0.1, -0.2, 0.1])


@cache
def influences() -> Array:
    """Sum over steps of the influence of a ball and of a bowl by the angle of its light, times the batch: (2, angles).

    With it, E[sum of influences] is an integral over one angle: the loss that the estimators claim to differentiate.
    """
    _, signal = trained()
    found = np.zeros((2, len(ANGLES)))
    for step in signal.reversed():
        size = len(signal.samples[step.k].seeds)
        for side in (0, 1):
            batch = TASK.render(ANGLES, np.full(len(ANGLES), bool(side)))
            found[side] += size * signal.influence(step, batch).numpy()
    return found


def expected(action: Array) -> Array:
    """E over r of the summed influence at actions (..., 3), clipped to the box."""
    mean, std, convex = np.moveaxis(TASK.layout.from_action(action), -1, 0)
    angle = mean[..., None] + std[..., None] * NODES
    bowl, ball = (np.interp(angle, ANGLES, row) @ WEIGHTS for row in influences())
    return convex * ball + (1 - convex) * bowl


def exact_gradient() -> Array:
    h = 1e-3 * np.eye(3)
    return (expected(POINT + h) - expected(POINT - h)) / 2e-3


def smoothed_gradient(sigma: float) -> Array:
    """Of the expectation over action + sigma N(0, I)."""
    offsets = np.stack(np.meshgrid(NODES, NODES, NODES, indexing="ij"), -1).reshape(-1, 3)
    weights = np.einsum("i,j,k->ijk", WEIGHTS, WEIGHTS, WEIGHTS).ravel()
    return (weights * expected(POINT + sigma * offsets)) @ offsets / sigma


def fresh(repeat: int, points: Estimator | None = None) -> Signal:
    """The signal with other samples than those trained on, drawn as the estimator wants them."""
    env, signal = trained()
    samples = []
    for k, old in enumerate(signal.samples):
        counter = 10_000 + 100 * repeat + k

        def seeds(counter: int, count: int) -> NDArray[np.uint64]:
            return stream_keys(env.episode.seed, "test", counter, count)

        if isinstance(points, Perturbed):
            actions, keys = points.points(POINT, counter, len(old.seeds), seeds, None)
        else:
            actions, keys = old.actions, seeds(counter, len(old.seeds))
        samples.append(env.generate(actions, keys))
    return dataclasses.replace(signal, samples=samples)


def estimates(estimator: Estimator, repeats: int) -> Array:
    env, _ = trained()
    return np.array(
        [estimator.estimate(fresh(k, estimator), env.generate, np.random.default_rng(k)) for k in range(repeats)]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        InfluenceDifference(directions=8, sigma=0.05, exact=True),
        InfluenceDifference(directions=8, sigma=0.05, shared=False),
        Score(exact=True),
        Score(baseline=False),
        Score(samples=16),
        Mixed(directions=8, sigma=0.05),
        Perturbed(sigma=0.15, group="pair", exact=True),
    ],
)
def test_unbiased_for_the_loss_that_is_claimed(estimator: Estimator) -> None:
    """The mean over repetitions is the exact gradient, to its standard error; samples are not those trained on."""
    wanted = smoothed_gradient(estimator.sigma) if isinstance(estimator, Perturbed) else exact_gradient()
    got = estimates(estimator, 150)
    error = got.std(0, ddof=1) / np.sqrt(len(got))
    assert np.linalg.norm(error) < 0.3 * np.linalg.norm(wanted), "the standard error is too large to tell anything"
    assert np.all(np.abs(got.mean(0) - wanted) < 3.5 * error + 0.01 * np.linalg.norm(wanted)), (got.mean(0), wanted)


def test_the_natural_gradient_divides_by_the_curvature_of_the_divergence() -> None:
    """The Fisher matrix is the second derivative of the divergence of the distributions beside one from that at it."""
    layout, h = TASK.layout, 1e-3

    def diverged(by: Array) -> float:
        return sum(divergence(layout, layout.from_action(POINT + by), layout.from_action(POINT)).values())

    e = h * np.eye(3)
    fisher = np.array([[diverged(a + b) - diverged(a - b) for b in e] for a in e]) / (2 * h**2)
    gradient, count = np.array([1.0, -2.0, 0.5]), 160_000
    scores = trained()[0].generate(np.tile(POINT, (count, 1)), np.arange(count, dtype=np.uint64)).score()
    found = natural_gradient(gradient, scores)
    damped = fisher + 0.1 * np.trace(fisher) / 3 * np.eye(3)
    wanted = np.linalg.solve(damped, gradient)
    wanted /= np.sqrt(wanted @ damped @ wanted)
    assert np.linalg.norm(wanted / np.linalg.norm(wanted) - gradient / np.linalg.norm(gradient)) > 0.3
    assert np.linalg.norm(found - wanted) < 0.02 * np.linalg.norm(wanted)  # a standard error is 0.008
    assert not natural_gradient(gradient, np.zeros((4, 3))).any()
    assert not natural_gradient(np.zeros(3), scores).any()
    assert np.isnan(natural_gradient(np.full(3, np.nan), scores)).all()


def test_batches_are_perturbed_by_sigma_in_antithetic_pairs_of_common_seeds() -> None:
    env, _ = trained()
    drawn = [
        Perturbed(sigma=0.2).points(POINT, k, 4, partial(stream_keys, env.episode.seed, "x"), None) for k in range(600)
    ]
    points, seeds = zip(*drawn, strict=True)
    offsets = np.array(points) - POINT
    assert (offsets == offsets[:, :1]).all()
    np.testing.assert_allclose(offsets[::2], -offsets[1::2], atol=1e-12)
    np.testing.assert_array_equal(seeds[::2], seeds[1::2])
    assert len(np.unique(seeds)) == 300 * 4
    np.testing.assert_allclose(np.cov(offsets[::2, 0].T), 0.04 * np.eye(3), atol=0.012)


def test_a_batch_that_shares_a_perturbation_sums_its_influences() -> None:
    """What training recorded, <v, gradient>, is the sum of the samples' own influences."""
    env = DataGenEnv(TASK, EnvOptions(gradient=Perturbed(), train_steps=6))
    env.reset(seed=0)
    got = env.step(POINT)[4]["hybrid_gradient"]
    signal = env.signal
    wanted = np.zeros(3)
    for step in signal.reversed():
        samples = signal.samples[step.k]
        influence = signal.influence(step, samples.batch).sum().item()
        wanted += influence * (samples.actions[0] - POINT) / 0.15**2
    np.testing.assert_allclose(got, wanted, rtol=1e-3)
    pairs = [(a.actions[0] + b.actions[0]) / 2 for a, b in zip(signal.samples[::2], signal.samples[1::2], strict=True)]
    np.testing.assert_allclose(pairs, [POINT] * 3, atol=1e-12)
    assert all((a.seeds == b.seeds).all() for a, b in zip(signal.samples[::2], signal.samples[1::2], strict=True))


def test_influence_of_what_was_trained_on_by_one_forward_pass_is_that_of_forward_mode() -> None:
    """In float32, with the losses that training has left on the tape, which stand for the second pass."""
    _, signal = trained()
    for step in signal.reversed():
        batch = signal.samples[step.k].batch
        assert signal.tape.losses[step.k] is not None
        exact, found = (signal.influence(step, batch, exact) for exact in (True, False))
        assert (found - exact).abs().max() < 0.01 * exact.abs().max()
        other = signal.influence(step, batch._replace(image=batch.image.clone()), False)
        assert not torch.equal(found, other), "two passes, as the batch is another"
        assert (other - exact).abs().max() < 0.01 * exact.abs().max()


class Shifted(Signal):
    def influence(self, *arguments: Any) -> Tensor:
        return super().influence(*arguments) + 1.0


def test_the_baseline_takes_away_what_all_influences_share() -> None:
    env, _ = trained()
    signal = fresh(0)
    shifted = Shifted(**{f.name: getattr(signal, f.name) for f in dataclasses.fields(Signal)})
    rng = np.random.default_rng(0)
    with_baseline, without = (
        [Score(baseline=baseline).estimate(s, env.generate, rng) for s in (signal, shifted)]
        for baseline in (True, False)
    )
    np.testing.assert_allclose(with_baseline[0], with_baseline[1], rtol=1e-6)
    assert np.linalg.norm(without[0] - without[1]) > 10 * np.linalg.norm(without[0])
