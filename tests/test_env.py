"""DataGenEnv: Gymnasium's and stable-baselines3's contracts, determinism, bad input. Driven by the registry."""

import dataclasses
import time

import gymnasium
import numpy as np
import pytest
import scipy.stats
import stable_baselines3.common.env_checker
import torch
from analytic import Waves
from environments import QUICK, assert_same, made_waves, small
from gymnasium.utils.env_checker import check_env

import hgenv.probe
from hgenv.beta.box import spread_about
from hgenv.beta.noise import Noise, stream_keys
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ESTIMATORS, ImageDifference
from hgenv.options import EnvOptions
from hgenv.registry import declared

IDS = sorted(declared())  # whatever else other tests have registered


@pytest.mark.parametrize("gradient", [None, *ESTIMATORS])
@pytest.mark.parametrize("id", IDS)
def test_both_checkers_pass_with_warnings_as_errors(id: str, gradient: str | None) -> None:
    if gradient in ("score", "mixed") and not hgenv.TASKS[id]().layout.has_density:
        with pytest.raises(ValueError, match="needs a density"):
            small(id, gradient=gradient)
        return
    env = small(id, gradient=gradient, render_mode="rgb_array")
    check_env(env)
    stable_baselines3.common.env_checker.check_env(env)
    _, info = env.reset(seed=0)
    assert "hybrid_gradient" not in info
    info = env.step(env.start)[4]
    assert ("hybrid_gradient" in info) == (gradient is not None)


@pytest.mark.parametrize("id", IDS)
def test_rows_of_a_batch_do_not_depend_on_each_other(id: str) -> None:
    task = hgenv.TASKS[id](**QUICK.get(id, {}))
    betas = task.layout.from_action(np.random.default_rng(0).uniform(-1, 1, (5, len(task.layout.names))))
    together = task.sample(betas, Noise(np.arange(5)))
    for i in (0, 3):
        alone = task.sample(betas[i : i + 1], Noise([i]))
        for whole, row in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[i], row[0], rtol=0, atol=0)


@pytest.mark.parametrize("count", [16, pytest.param(1500, marks=pytest.mark.long)])
@pytest.mark.parametrize("id", IDS)
def test_any_beta_gives_finite_samples_in_bounded_time(id: str, count: int) -> None:
    """Anywhere in the box, in as many of its corners, and at both of its ends."""
    task = hgenv.TASKS[id](**QUICK.get(id, {}))
    rng, d = np.random.default_rng(0), len(task.layout.names)
    inside, corners = rng.uniform(-1, 1, (count, d)), rng.choice([-1.0, 1.0], (count, d))
    betas = task.layout.from_action(np.concatenate([inside, corners, [-np.ones(d), np.ones(d)]]))
    task.sample(betas[:1], Noise([0]))  # compiles
    begin = time.process_time()
    for first in range(0, len(betas), 100):
        some = betas[first : first + 100]
        noise = Noise(first + np.arange(len(some)))
        batch = task.sample(some, noise)
        assert all(torch.isfinite(part).all() for part in batch)
        assert batch.image.min() >= 0
        assert batch.image.max() <= 1
        score = task.layout.log_probability_gradient(some, noise.draws) if task.layout.has_density else np.zeros(1)
        assert np.isfinite(score).all()
    assert (time.process_time() - begin) / len(betas) < 0.25, "seconds a sample"


@pytest.mark.parametrize("id", IDS)
def test_splits_are_disjoint_and_networks_reversible(id: str) -> None:
    task = hgenv.TASKS[id](**QUICK.get(id, {}))
    for image in task.domain.batch("validation").image:
        assert not (task.domain.batch("test").image == image).flatten(1).all(1).any()
    assert not list(task.network().buffers())


@pytest.mark.parametrize("gradient", [None, *ESTIMATORS])
def test_same_seed_same_trajectory(gradient: str | None) -> None:
    first, second = small(gradient=gradient), small(gradient=gradient)
    assert trajectory(first, 1) == trajectory(second, 1)
    assert trajectory(first, 1) == trajectory(first, 1)
    assert trajectory(first, 1) != trajectory(first, 2)


def trajectory(env: DataGenEnv, seed: int) -> list:
    env.reset(seed=seed)
    return [env.step(env.start)[4]["val_loss"] for _ in range(3)] + env.state_dict()["weights"].tolist()


def test_probes_and_gradients_do_not_change_what_is_committed() -> None:
    plain, probing, differentiating = small(), small(), small(gradient="image")
    for env in (plain, probing, differentiating):
        env.reset(seed=0)
    for _ in range(3):
        probing.evaluate(np.stack([probing.start, -probing.start]))
        for env in (plain, probing, differentiating):
            env.step(env.start)
    expected = plain.state_dict()["weights"]
    np.testing.assert_array_equal(probing.state_dict()["weights"], expected)
    np.testing.assert_array_equal(differentiating.state_dict()["weights"], expected)


def test_evaluate_shares_seeds_among_probes_and_renews_them_between_calls() -> None:
    env = small()
    env.reset(seed=0)
    before = env.state_dict()
    a, b = env.start, np.zeros(29)
    losses = env.evaluate(np.stack([a, b, a]))
    assert losses[0] == losses[2] != losses[1]
    assert env.evaluate(a[None])[0] != losses[0]
    after = env.state_dict()
    for name in ("weights", "average", "moment0", "moment1", "taken", "steps", "action"):
        np.testing.assert_array_equal(before[name], after[name])
    assert after["ledger.train_steps"] == 4 * 2
    assert after["ledger.renders"] == 4 * 2 * 2


def test_evaluate_is_what_a_step_would_give_on_its_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the probes' streams renamed to the committed ones, a probe's loss is the step's, to the bit."""
    env = DataGenEnv(Waves(), EnvOptions(train_steps=3, validation_images=2))
    env.reset(seed=0)

    def renamed(seed: int, stream: str, counter: int, count: int) -> np.ndarray:
        if stream == "probe validation":  # validation counts from the reset's
            return stream_keys(seed, "validation", counter + 1, count)
        return stream_keys(seed, "train" if stream == "probe" else stream, counter, count)

    for module in (hgenv.env, hgenv.probe):
        monkeypatch.setattr(module, "stream_keys", renamed)
    probe = env.evaluate(np.full((1, 5), 0.3))[0]
    assert env.step(np.full(5, 0.3))[4]["val_loss"] == probe


BAD = [
    (np.full(29, np.nan), "finite"),
    (np.full(29, np.inf), "finite"),
    (np.zeros(28), "shape"),
    (np.zeros((1, 29)), "shape"),
    (np.zeros(29, dtype=complex), "dtype"),
    (np.array(["a"] * 29), "dtype"),
]


@pytest.mark.parametrize(("action", "message"), BAD)
def test_bad_actions_are_refused_and_change_nothing(action: np.ndarray, message: str) -> None:
    env = small()
    env.reset(seed=0)
    env.step(env.start)
    before = env.state_dict()
    with pytest.raises(ValueError, match=message):
        env.step(action)
    with pytest.raises(ValueError, match=message):
        env.evaluate(action[None])
    assert_same(before, env.state_dict())


def test_actions_outside_the_box_are_clipped_and_counted() -> None:
    env, inside = small(), small()
    env.reset(seed=0), inside.reset(seed=0)
    wild = np.zeros(29)
    wild[:3] = (5.0, -5.0, 1.5)
    info = env.step(wild)[4]
    assert info["clipped"] == 3
    env.evaluate(np.stack([wild, np.zeros(29)]))
    assert env.ledger.clipped == 6
    other = inside.step(np.clip(wild, -1, 1))[4]
    assert other["clipped"] == 0
    assert info["val_loss"] == other["val_loss"]


@pytest.mark.parametrize(
    ("knobs", "error"),
    [
        ({"nonsense": 1}, TypeError),
        ({"gradient": "nonsense"}, ValueError),
        ({"train_steps": 0}, ValueError),
        ({"train_steps": 2.5}, ValueError),
        ({"gradient": "image", "gradient_sigma": np.inf}, ValueError),
        ({"gradient_sigma": 0.1}, ValueError),
        ({"device": "nonsense"}, ValueError),
        ({"target": "moon"}, ValueError),
        ({"gradient": "image", "gradient_steps": 21}, ValueError),
        ({"gradient_steps": 2}, ValueError),
        ({"spread": -1.0}, ValueError),
        ({"gradient": "image", "spread": "uniform"}, ValueError),
        ({"resolution": 30}, ValueError),
        ({"target": "mit-berkeley"}, ValueError),
        ({"target": "mit-berkeley", "data": "/does/not/exist"}, FileNotFoundError),
        ({"channels": 7}, ValueError),
    ],
)
def test_bad_options_are_refused(knobs: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        gymnasium.make("hgenv/ShapeNormals-v0", **knobs)


def test_unknown_ids_are_refused_and_nothing_can_be_asked_before_a_reset() -> None:
    with pytest.raises(KeyError, match="ShapeNormals"):
        hgenv.env.make("hgenv/Nonsense-v0")
    with pytest.raises(gymnasium.error.ResetNeeded):
        DataGenEnv(Waves()).step(np.zeros(5))
    with pytest.raises(RuntimeError, match="signal"):
        _ = made_waves().signal


def test_spread_draws_samples_about_the_action_or_anywhere() -> None:
    estimator = ImageDifference(steps=1, directions=1)
    options = EnvOptions(train_steps=1, batch_size=400, gradient=estimator, spread=0.1)
    env = DataGenEnv(Waves(), options)
    env.reset(seed=0)
    env.step(np.zeros(5))
    offsets = env.signal.samples[0].actions
    assert offsets.shape == (400, 5)
    np.testing.assert_allclose(offsets.std(0), 0.1, rtol=0.15)
    np.testing.assert_allclose(offsets.mean(0), 0.0, atol=0.02)
    anywhere = DataGenEnv(Waves(), dataclasses.replace(options.without_gradient(), spread="uniform"))
    anywhere.reset(seed=0)
    assert anywhere.step(np.zeros(5))[4]["val_loss"] == anywhere_loss(np.full(5, 0.7))
    samples = spread_about(np.zeros(5), np.arange(2000, dtype=np.uint64), "uniform")
    assert scipy.stats.kstest(samples.ravel(), "uniform", (-1, 2)).pvalue > 0.01
    assert len(np.unique(samples)) == samples.size


def anywhere_loss(action: np.ndarray) -> float:
    """With spread="uniform" the action does not matter."""
    env = DataGenEnv(Waves(), EnvOptions(train_steps=1, batch_size=400, spread="uniform"))
    env.reset(seed=0)
    return env.step(action)[4]["val_loss"]


def test_gradient_every_so_many_steps() -> None:
    env = DataGenEnv(Waves(), EnvOptions(gradient=ImageDifference(steps=1), gradient_every=3, train_steps=2))
    env.reset(seed=0)
    assert ["hybrid_gradient" in env.step(env.start)[4] for _ in range(5)] == [True, False, False, True, False]


def test_an_agent_can_see_beta_recent_losses_progress_and_the_gradient() -> None:
    options = EnvOptions(
        gradient=ImageDifference(steps=1), gradient_every=2, train_steps=2, observed_losses=3,
        observe_gradient=True, observed_steps=10,
    )  # fmt: skip
    env = DataGenEnv(Waves(), options)
    first, info = env.reset(seed=0)
    assert env.observation_space.shape == first.shape == (5 + 3 + 1 + 5,)
    np.testing.assert_array_equal(first[-5:], 0.0)
    losses, action = [info["val_loss"]], np.linspace(-0.5, 0.5, 5)
    gradients = []
    for _ in range(4):
        observation, _, _, _, info = env.step(action)
        losses.append(info["val_loss"])
        gradients += [info["hybrid_gradient"]] if "hybrid_gradient" in info else []
    assert env.observation_space.contains(observation)
    np.testing.assert_allclose(observation[:5], action, rtol=1e-6)
    newest = np.array(losses[::-1][:3])
    np.testing.assert_allclose(observation[5:8], newest / (1 + np.abs(newest)), rtol=1e-5)
    assert observation[8] == np.float32(0.4)
    assert len(gradients) == 2
    np.testing.assert_allclose(observation[9:], gradients[-1] / np.abs(gradients[-1]).max(), rtol=1e-5)
    with pytest.raises(ValueError, match="observe_gradient needs"):
        EnvOptions(observe_gradient=True)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectorised_environments_are_the_single_ones(mode: str) -> None:
    envs = gymnasium.make_vec("hgenv/ToyShading-v0", num_envs=2, vectorization_mode=mode, train_steps=2)
    actions = np.linspace(-0.5, 0.5, 6).reshape(2, 3).astype(np.float32)
    try:
        envs.reset(seed=[3, 4])
        envs.step(actions)
        observations, rewards, *_ = envs.step(actions)
    finally:
        envs.close()
    for seed, action, observation, reward in zip((3, 4), actions, observations, rewards, strict=True):
        env = small("hgenv/ToyShading-v0", batch_size=8, validation_images=16)
        env.reset(seed=seed)
        env.step(action)
        alone, expected, *_ = env.step(action)
        np.testing.assert_array_equal(observation, alone)
        assert reward == pytest.approx(expected)


def test_rendering_shows_samples() -> None:
    env = small(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture is not None
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * 2 * 32, 8 * 32, 3)
    assert picture.std() > 20
    assert small().reset(seed=0) is not None


def test_an_episode_ends_where_gymnasium_says() -> None:
    """One notion of an episode's end, max_episode_steps, which wrappers see; an environment that is made directly, as
    by a run, goes on."""
    env = gymnasium.make("hgenv/ToyShading-v0", max_episode_steps=3, observed_steps=2, train_steps=1)
    assert env.spec is not None
    assert env.spec.max_episode_steps == 3
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.wrappers.TimeAwareObservation(env, normalize_time=True))
    env.reset(seed=0)
    results = [env.step(np.zeros(3, np.float32)) for _ in range(3)]
    assert [r[3] for r in results] == [False, False, True]
    assert not any(r[2] for r in results)
    assert [r[0][-1] for r in results] == pytest.approx([1 / 3, 2 / 3, 1])
    assert [r[0][-2] for r in results] == [0.5, 1.0, 1.0]
    assert env.observation_space.contains(results[-1][0])
    assert results[-1][4]["episode"]["r"] == pytest.approx(sum(r[1] for r in results))
    assert results[-1][4]["episode"]["l"] == 3
    assert env.unwrapped.step(np.zeros(3, np.float32))[3] is False


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gives_the_same_loss() -> None:
    losses = []
    for device in ("cpu", "cuda"):
        env = small(device=device)
        env.reset(seed=0)
        losses.append(env.step(env.start)[4]["val_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("id", ["hgenv/ToyShading-v0", "hgenv/ShapeNormals-v0"])
def test_probes_together_give_what_they_give_one_after_another(id: str) -> None:
    found = []
    for together in (1, 2, 5):
        env = small(id, probes_together=together)
        env.reset(seed=1)
        actions = np.linspace(-0.5, 0.5, 5)[:, None] * np.ones(len(env.start))
        found.append((env.evaluate(actions), dataclasses.asdict(env.ledger)))
    for losses, costs in found[1:]:
        np.testing.assert_allclose(losses, found[0][0], rtol=1e-4)
        assert costs == found[0][1]
    assert len(set(found[0][0])) == 5
