"""stable-baselines3's agents give the rows of a run."""

import gymnasium
import numpy as np
import pytest
import stable_baselines3

import hgenv
from hgenv import agents, run
from hgenv.options import EnvOptions
from hgenv.tasks.toy_shading import ToyShading


def played(algorithm: str, seed: int = 0, **budget: float) -> tuple[hgenv.DataGenEnv, list[run.Row]]:
    options = EnvOptions(train_steps=2, episode_steps=10, gradient="perturbed", observe_gradient=True)
    env, rows = hgenv.DataGenEnv(ToyShading(), options), list[run.Row]()
    choice = agents.AgentOptions(algorithm=algorithm, warmup=4, rollout=4)
    agents.play(env, choice, run.Budget(**budget), seed, 3, rows.append)
    return env, rows


@pytest.mark.parametrize("algorithm", ["PPO", "SAC", "TD3"])
def test_rows_are_those_of_a_run_and_depend_on_the_seed(algorithm: str) -> None:
    env, rows = played(algorithm, max_steps=14)
    assert [row["step"] for row in rows] == list(range(15)), "longer than the environment's own episode"
    assert [row["train_steps"] for row in rows] == [2 * k for k in range(15)]
    assert ["test.mae" in row for row in rows] == [k % 3 == 0 or k == 14 for k in range(15)]
    assert rows[0].keys() == rows[-1].keys()
    assert len({row["beta.light.mean"] for row in rows}) > 3
    again = played(algorithm, max_steps=14)[1]
    for first, second in zip(rows, again, strict=True):
        assert all(first[name] == second[name] for name in first if "seconds" not in name)
    assert played(algorithm, seed=1, max_steps=3)[1][-1]["val_loss"] != rows[3]["val_loss"]
    assert env.ledger.train_steps == 28


def test_budgets_end_an_agents_run() -> None:
    assert len(played("SAC", max_renders=60)[1]) == 1 + 4  # 16 samples a step
    assert len(played("PPO", max_seconds=1e-9)[1]) == 2


@pytest.mark.parametrize("algorithm", ["PPO", "SAC", "TD3"])
def test_agents_learn_on_plain_gymnasium_environments(algorithm: str) -> None:
    env = gymnasium.make("hgenv/ToyShading-v0", train_steps=2, episode_steps=4)
    kwargs = {"n_steps": 4, "batch_size": 4} if algorithm == "PPO" else {"learning_starts": 2}
    agent = getattr(stable_baselines3, algorithm)("MlpPolicy", env, seed=0, device="cpu", **kwargs)
    before = [parameter.detach().clone() for parameter in agent.policy.parameters()]
    agent.learn(12)
    assert any(not np.array_equal(b, a.detach()) for b, a in zip(before, agent.policy.parameters(), strict=True))
    assert agent.num_timesteps == 12


def test_bad_options_are_refused() -> None:
    for knobs in ({"algorithm": "A2C"}, {"discount": 1.0}, {"warmup": 0}, {"learning_rate": 0.0}):
        with pytest.raises(ValueError, match="got"):
            agents.AgentOptions(**knobs)
