"""ShapeEvolution: a population that grows by committed steps, and long random play."""

import gymnasium
import numpy as np
import pytest
from populations import grown

from hgenv.beta.noise import Noise
from hgenv.csg.population import PRIMITIVES, Population, overlap
from hgenv.env import DataGenEnv
from hgenv.run import Budget, run
from hgenv.tasks.shape_evolution import ShapeEvolution
from optimizers import Evolution


def evolution(**changes: object) -> DataGenEnv:
    env = gymnasium.make(
        "hgenv/ShapeEvolution-v0", train_steps=1, batch_size=2, validation_size=4, test_size=2, validation_images=2,
        resolution=16, channels=8, **changes,
    ).unwrapped  # fmt: skip
    assert isinstance(env, DataGenEnv)
    return env


def of(env: DataGenEnv) -> Population:
    assert isinstance(env.task, ShapeEvolution)
    return env.task.population


def test_random_play_keeps_the_population_whole() -> None:
    env = evolution(max_population=100)
    env.reset(seed=0)
    env.action_space.seed(0)
    sizes = []
    for _ in range(200):
        _, reward, _, _, info = env.step(env.action_space.sample())
        assert np.isfinite(reward)
        sizes.append(info["population"])
    task, population = env.task, of(env)
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


def test_what_is_trivial_is_worth_nothing_and_costs_nothing() -> None:
    """The start, a cone less itself, is trivial; so is the same composition again, once it has been committed."""
    new = np.full(12, 0.3)
    new[:2] = 0.0  # members that are there
    other = new.copy()
    other[2] = -0.3  # a union
    alone, mixed, together = (evolution(probes_together=size) for size in (1, 1, 3))
    for env in (alone, mixed, together):
        env.reset(seed=0)
    expected = alone.evaluate(np.stack([new, other]))
    assert np.isfinite(expected).all()
    points = np.stack([new, mixed.start, other])
    found = mixed.evaluate(points)
    np.testing.assert_array_equal(found, [expected[0], np.inf, expected[1]])
    assert mixed.ledger == alone.ledger
    np.testing.assert_allclose(together.evaluate(points), found, rtol=1e-4)
    assert np.isfinite(mixed.step(mixed.start)[1]), "a step trains on the population all the same"
    for env in (alone, mixed):
        env.step(new)
    before = mixed.ledger.train_steps
    np.testing.assert_array_equal(mixed.evaluate(np.stack([new, new])), [np.inf, np.inf])
    assert mixed.ledger.train_steps == before


def test_every_step_of_evolution_adds_a_shape() -> None:
    env = evolution()
    rows = list(run(env, Evolution(), Budget(max_steps=12), seed=0))
    assert [row["population"] for row in rows] == [PRIMITIVES + step for step in range(13)]


def test_an_action_that_was_committed_means_the_same_parents_for_ever() -> None:
    """However many members come after it: it makes what it made, so that it is trivial."""
    env, made = evolution(), []
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    while len(made) < 12:
        action, population = rng.uniform(-1.0, 1.0, 12), of(env)
        parents = population.parents(*env.box.beta(action)[:2])
        env.step(action)
        if len(of(env)) > len(population):
            made.append((action, parents))
    for action, parents in made:
        beta = env.box.beta(action)
        assert of(env).parents(*beta[:2]) == parents
        assert env.task.trivial(beta)
    assert len({parents for _, parents in made}) > 6


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
