"""ShapeEvolution: a population that grows by committed steps, and long random play."""

import gymnasium
import numpy as np
import pytest
from populations import grown

from hgenv.beta.noise import Noise
from hgenv.csg.population import (
    PRIMITIVES,
    overlap,
)
from hgenv.env import DataGenEnv
from hgenv.tasks.shape_evolution import ShapeEvolution


def evolution(**changes: object) -> DataGenEnv:
    env = gymnasium.make(
        "hgenv/ShapeEvolution-v0", train_steps=1, batch_size=2, validation_size=4, test_size=2, validation_images=2,
        resolution=16, channels=8, **changes,
    ).unwrapped  # fmt: skip
    assert isinstance(env, DataGenEnv)
    return env


def test_random_play_keeps_the_population_whole() -> None:
    env = evolution(max_population=100)
    env.reset(seed=0)
    env.action_space.seed(0)
    sizes = []
    for _ in range(200):
        _, reward, _, _, info = env.step(env.action_space.sample())
        assert np.isfinite(reward)
        sizes.append(info["population"])
    task = env.task
    assert isinstance(task, ShapeEvolution)
    population = task.population
    assert sizes[-1] == 100, "more than half of the random compositions are new"
    assert np.all(np.diff(sizes) >= 0)
    assert population.sizes.max() <= 8
    assert population.occupied.sum(1).min() >= 20, "a degenerate member"
    assert np.isfinite(population.to_array()).all()
    same = [np.sort(overlap(one, population.occupied))[-2] for one in population.occupied[PRIMITIVES:]]
    assert max(same) <= 0.95
    batch = task.sample(np.tile(task.layout.initial, (64, 1)), Noise(np.arange(64)))
    assert (batch.mask.flatten(1).sum(1) > 0).all()


def test_a_step_adds_the_composition_that_evaluate_only_tries() -> None:
    env = evolution()
    _, info = env.reset(seed=0)
    assert info["population"] == PRIMITIVES
    action = np.full(12, 0.3)
    action[:2] = -1  # the first member, however many there are
    env.evaluate(action[None])
    assert env.info()["population"] == PRIMITIVES
    assert env.step(action)[4]["population"] == PRIMITIVES + 1
    assert env.step(action)[4]["population"] == PRIMITIVES + 1, "the same again is trivial"
    state = env.state_dict()
    expected = env.step(-action)[4]
    other = evolution()
    other.reset(seed=5)
    other.load_state_dict(state)
    assert other.step(-action)[4]["val_loss"] == expected["val_loss"]
    assert other.info()["population"] == expected["population"]
    assert env.reset(seed=0)[1]["population"] == PRIMITIVES
    bad = state | {"memory": np.zeros((9, 3))}
    with pytest.raises(ValueError, match="memory"):
        other.load_state_dict(bad)


def test_training_starts_from_a_population_that_is_given() -> None:
    env, memory = evolution(), grown(5).to_array()
    env.start_from(env.task.layout.initial, memory)
    assert env.reset(seed=0)[1]["population"] == PRIMITIVES + 5
    with pytest.raises(ValueError, match="max_primitives"):
        evolution(max_primitives=4).start_from(env.task.layout.initial, memory)


def test_bad_options_are_refused() -> None:
    for knobs in ({"max_primitives": 1}, {"max_population": 4}, {"share": 1.0}):
        with pytest.raises(ValueError, match="got"):
            ShapeEvolution(**knobs)
