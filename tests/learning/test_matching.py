"""Distribution matching: the discrepancy as its definition says, and as part of the losses of steps and probes."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hgenv.beta.noise import stream_keys
from hgenv.cli import main as cli
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import Score
from hgenv.learning.matching import squared_discrepancy
from hgenv.options import EnvOptions
from hgenv.probe import validation_rows
from hgenv.task import sampled
from hgenv.tasks.toy_shading import ToyShading

TRAINING = EnvOptions(train_steps=3, batch_size=5, validation_images=6)
WEIGHT = 0.7


def directly(images: NDArray, target: NDArray) -> float:
    """Gretton et al. 2012, Eq. 3, pair by pair."""

    def square(a: NDArray, b: NDArray) -> float:
        return float(np.sum((a.astype(np.float64) - b) ** 2))

    def pairs(x: NDArray) -> list[tuple[NDArray, NDArray]]:
        return [(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]

    bandwidth = np.mean([square(*pair) for pair in pairs(target)])

    def mean(found: list[tuple[NDArray, NDArray]]) -> float:
        return float(np.mean([np.exp(-square(*pair) / bandwidth) for pair in found]))

    return mean(pairs(images)) + mean(pairs(target)) - 2.0 * mean([(a, b) for a in images for b in target])


def test_the_discrepancy_is_its_definition() -> None:
    rng = np.random.default_rng(0)
    images, target = rng.random((3, 5, 2, 4, 4), np.float32), rng.random((7, 2, 4, 4), np.float32) ** 2
    found = squared_discrepancy(torch.from_numpy(images), torch.from_numpy(target))
    np.testing.assert_allclose(found, [directly(one, target) for one in images], rtol=1e-4, atol=1e-6)


def test_it_is_0_on_average_for_one_distribution_and_larger_for_another() -> None:
    task = ToyShading()
    target = task.domain.batch("validation").image

    def mean(beta: list[float]) -> tuple[float, float]:
        images = sampled(task, np.tile(beta, (400, 1)), np.arange(1000, 1400, dtype=np.uint64)).batch.image
        found = squared_discrepancy(images.reshape(50, 8, *images.shape[1:]), target).numpy()
        return float(found.mean()), float(found.std() / np.sqrt(50))

    same, error = mean(list(ToyShading.optimum))
    assert abs(same) < 4 * error + 0.01  # the target is a sample of 64
    assert mean([-0.9, 0.1, 0.5])[0] > 0.3


def test_the_losses_of_steps_and_probes_have_it_besides() -> None:
    matched = dataclasses.replace(TRAINING, distribution_matching=WEIGHT)
    plain, ours, together = (
        DataGenEnv(ToyShading(), options)
        for options in (TRAINING, matched, dataclasses.replace(matched, probes_together=2))
    )
    for env in (plain, ours, together):
        env.reset(seed=3)
    points = np.array([[0.5, 0.0, 0.5], [-0.9, 0.3, -0.5], [0.0, 0.0, 0.0]])
    before = plain.evaluate(points)
    for env in (ours, together):
        np.testing.assert_allclose(env.evaluate(points), before + WEIGHT * terms(plain, points, "probe"), atol=1e-6)
    for action in points:
        losses = [env.step(action)[4]["val_loss"] for env in (plain, ours)]
        wanted = losses[0] + WEIGHT * terms(plain, action[None], "train")[0]
        assert losses[1] == pytest.approx(wanted, abs=1e-6)
    assert plain.ledger == ours.ledger
    np.testing.assert_array_equal(plain.episode.average, ours.episode.average)


def terms(env: DataGenEnv, points: NDArray, stream: str) -> NDArray:
    """The discrepancy of the last call's trainings, at points (k, d), from images drawn anew."""
    now = env.episode
    first = now.evaluations - 1 if stream == "probe" else now.steps - 1
    counter, validation = (first, "probe validation") if stream == "probe" else (first + 1, "validation")
    rows = validation_rows(env.task, env.options, dataclasses.replace(now.ledger), now.seed, validation, counter)
    found = []
    for point in points:
        seeds = [stream_keys(now.seed, stream, first * 3 + k, 5) for k in range(3)]
        images = [sampled(env.task, env.box.beta(np.tile(point, (5, 1))), keys).batch.image.numpy() for keys in seeds]
        found.append(np.mean([directly(one, rows.image.numpy()) for one in images]))
    return np.array(found)


@pytest.mark.parametrize(
    "options", [{"gradient": Score()}, {"batch_size": 1}, {"validation_images": 1}, {"distribution_matching": -1.0}]
)
def test_what_has_no_discrepancy_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="distribution_matching"):
        EnvOptions(**{"distribution_matching": 0.5, **options})


def test_a_domain_of_one_image_is_refused() -> None:
    env = DataGenEnv(ToyShading(validation_size=1), EnvOptions(distribution_matching=1.0))
    env.reset(seed=0)
    before = env.state_dict()
    for call, action in ((env.step, env.start), (env.evaluate, env.start[None])):
        with pytest.raises(ValueError, match="two validation images at least"):
            call(action)
    np.testing.assert_equal(env.state_dict(), before)


def test_the_command_line_refuses_it_for_a_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "hybrid-gradient", "--env", "hgenv/ToyShading-v0", "--distribution-matching", "1"]
    assert cli.main(words) == 2
    assert "and no gradient, which would be of the loss alone" in capsys.readouterr().err
