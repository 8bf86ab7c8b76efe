"""Probes begin at the current network or at the initial one, and train for as long as is asked."""

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from hgenv.env import DataGenEnv

SMALL = {"train_steps": 2, "batch_size": 2, "validation_size": 4, "test_size": 4}
POINTS = np.array([[0.1, 0.2, 0.3], [-0.5, 0.0, 0.5]])


def made(**options: object) -> DataGenEnv:
    env = gymnasium.make("hgenv/ToyShading-v0", **(SMALL | options)).unwrapped
    assert isinstance(env, DataGenEnv)
    env.reset(seed=3)
    return env


def losses(steps: int, **options: object) -> NDArray[np.float64]:
    """Of the first probes, after so many environment steps."""
    env = made(**options)
    for _ in range(steps):
        env.step(env.start)
    return env.evaluate(POINTS)


def test_from_the_initial_network_the_loss_does_not_depend_on_what_was_committed() -> None:
    assert np.array_equal(losses(3, probes="initial"), losses(0, probes="initial"))
    assert np.array_equal(losses(0, probes="initial"), losses(0))
    assert (losses(3) != losses(0)).all()


def test_a_probe_is_a_training_of_its_own_length() -> None:
    assert np.array_equal(losses(0, train_steps=1, probe_steps=5), losses(0, train_steps=5))
    env = made(probe_steps=5)
    env.evaluate(POINTS)
    assert env.ledger.train_steps == 2 * 5
    assert env.ledger.renders == 2 * 5 * 2
    with pytest.raises(ValueError, match="probe_steps must be"):
        made(probe_steps=0)


def test_the_initial_network_is_that_of_the_state_that_was_loaded() -> None:
    env, other = made(probes="initial"), made(probes="initial")
    env.step(env.start)
    other.reset(seed=4)
    other.load_state_dict(env.state_dict())
    assert np.array_equal(other.evaluate(POINTS), env.evaluate(POINTS))
