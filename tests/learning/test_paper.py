"""The paper's preset against its equations, computed another way."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from analytic import Waves
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.beta.noise import stream_keys
from hgenv.env import DataGenEnv, make
from hgenv.learning.gradient import ImageDifference
from hgenv.learning.training import SGD
from hgenv.options import EnvOptions
from hgenv.quantities import metrics
from hgenv.quantities.depth import Depth
from hgenv.quantities.intrinsics import Intrinsics
from hgenv.quantities.normals import Normals

Array = NDArray[np.float64]
PAPER = EnvOptions(
    gradient=ImageDifference(steps="all", weights="last", scaling="paper", directions=5, sigma=1e-4),
    train_steps=6, inner=SGD(learning_rate=0.1, momentum=0.0), weight_average=0.0, validation="error",
    validation_images=None, batch_size=4,
)  # fmt: skip
POINT = np.array([0.1, -0.2, 0.3, 0.1, 0.0])


def loss_at(env: DataGenEnv, state: dict[str, Any], action: Array) -> float:
    """L after the step at an action, from a state; the training seeds are those of the step."""
    env.load_state_dict(state)
    return -float(env.step(action)[1])


def test_the_gradient_of_six_steps_is_that_of_brute_force() -> None:
    """Eqs. 6-11: through six steps of SGD, after two that have moved the weights, along the directions that it drew."""
    env = DataGenEnv(Waves(), PAPER)
    env.reset(seed=3)
    env.step(POINT)
    env.step(POINT)
    state = env.state_dict()
    found = env.step(POINT)[4]["hybrid_gradient"]
    plain = DataGenEnv(Waves(), PAPER.without_gradient())
    plain.reset(seed=3)
    ends = [[loss_at(plain, state, POINT + sign * 1e-5 * e) for sign in (1, -1)] for e in np.eye(5)]
    truth = np.array([(plus - minus) / 2e-5 for plus, minus in ends])
    assert np.linalg.norm(truth) > 1e-4
    rng = np.random.default_rng(stream_keys(env.episode.seed, "direction", 3, 4))
    directions = rng.standard_normal((5, 5))
    along = directions @ truth / np.sum(directions**2, axis=1)
    np.testing.assert_allclose(found, along @ directions / 5, rtol=1e-5, atol=1e-7 * np.abs(truth).max())


def test_all_steps_are_all_whatever_their_number() -> None:
    estimator = ImageDifference(steps="all")
    assert [estimator.window(count) for count in (3, 20)] == [3, 20]


def rows(channels: int, seed: int) -> tuple[torch.Tensor, Batch, list[NDArray]]:
    """Predictions (2 stacks), truth, and the last stack's predictions one by one."""
    rng = torch.Generator().manual_seed(seed)
    prediction = torch.rand(2, 3, channels, 6, 6, generator=rng, dtype=torch.float64) + 0.2
    target = torch.rand(3, channels, 6, 6, generator=rng, dtype=torch.float64) + 0.3
    mask = (torch.rand(3, 1, 6, 6, generator=rng) < 0.6).double()
    image = torch.rand(3, 3, 6, 6, generator=rng, dtype=torch.float64)
    return prediction, Batch(image, target, mask), [one.numpy() for one in prediction[-1]]


def test_the_error_of_normals_is_their_mean_angle() -> None:
    prediction, truth, last = rows(3, 1)
    found = Normals().error_loss(prediction, truth)
    pairs = zip(last, truth.target, truth.mask, strict=True)
    angles = [metrics.angular_error(p, t.numpy(), m[0].numpy() > 0).mean() for p, t, m in pairs]
    np.testing.assert_allclose(np.degrees(found.numpy()), angles, rtol=1e-6)


def test_a_perfect_prediction_of_normals_has_a_gradient() -> None:
    _, truth, _ = rows(3, 2)
    prediction = truth.target[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Normals().error_loss(prediction, truth).mean(), prediction)
    assert gradient.isfinite().all()


def test_the_error_of_intrinsics_is_the_sum_of_both() -> None:
    prediction, truth, last = rows(4, 3)
    found = Intrinsics().error_loss(prediction, truth)
    inside = truth.mask[:, 0].numpy() > 0
    off = [np.abs(p - t.numpy())[:, m] for p, t, m in zip(last, truth.target, inside, strict=True)]
    np.testing.assert_allclose(found.numpy(), [o[:3].mean() + o[3].mean() for o in off])


def test_the_error_of_depth_is_relative() -> None:
    prediction, truth, last = rows(1, 4)
    found = Depth(middle=1.0, half=1.0, unit="m").error_loss(prediction, truth)
    pairs = zip(last, truth.target.numpy(), truth.mask.numpy() > 0, strict=True)
    np.testing.assert_allclose(found.numpy(), [np.mean(np.abs(p - t)[m] / t[m]) for p, t, m in pairs])


@pytest.mark.parametrize("gradient", ["image", "score"])
def test_an_environment_is_validated_by_the_error(gradient: str) -> None:
    """The loss of its steps is the metric, and probes are of it too; the training is the same."""
    made = [
        make("hgenv/ToyShading-v0", gradient=gradient, validation=which, validation_images=None, train_steps=4)
        for which in ("loss", "error")
    ]
    for env in made:
        env.reset(seed=1)
        env.step(env.start)
    loss, error = (dataclasses.asdict(env.episode)["losses"][0] for env in made)
    assert loss != error
    np.testing.assert_array_equal(*(env.episode.weights.weights.numpy() for env in made))
    truth = made[1].task.domain.batch("validation")
    prediction = made[1].network(last=True)(truth.image).detach()
    assert error == pytest.approx(float(made[1].task.quantity.error_loss(prediction, truth).mean()), rel=1e-5)
    assert 0 < made[1].evaluate(made[1].start[None])[0] < np.pi
