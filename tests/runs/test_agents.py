"""stable-baselines3's agents give the rows of a run."""

import dataclasses
from functools import cached_property
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import stable_baselines3

import hgenv
from hgenv import run
from hgenv.cli.main import main
from hgenv.domains.domain import Domain, Pictures
from hgenv.learning.gradient import Perturbed
from hgenv.options import EnvOptions
from hgenv.runs import agents, open_run
from hgenv.tasks.toy_shading import ToyShading


def played(algorithm: str, seed: int = 0, **budget: float) -> tuple[hgenv.DataGenEnv, list[run.Row]]:
    options = EnvOptions(train_steps=2, observed_steps=10, gradient=Perturbed(), observe_gradient=True)
    env, rows = hgenv.DataGenEnv(ToyShading(), options), list[run.Row]()
    own = {"rollout": 4} if algorithm == "PPO" else {"warmup": 4}
    choice = agents.AgentOptions(algorithm=algorithm, **own)
    agents.play(env, agents.made(env, choice, seed), run.Budget(**budget), rows.append, 3)
    return env, rows


@pytest.mark.parametrize("algorithm", ["PPO", "SAC", "TD3"])
def test_rows_are_those_of_a_run_and_depend_on_the_seed(algorithm: str) -> None:
    env, rows = played(algorithm, max_steps=14)
    assert [row["step"] for row in rows] == list(range(15)), "longer than the progress that the agent sees"
    assert [row["train_steps"] for row in rows] == [2 * k for k in range(15)]
    assert ["test.mae" in row for row in rows] == [k % 3 == 0 or k == 14 for k in range(15)]
    assert rows[0].keys() == rows[-1].keys()
    assert len({row["beta.light.mean"] for row in rows}) > 3
    again = played(algorithm, max_steps=14)[1]
    for first, second in zip(rows, again, strict=True):
        np.testing.assert_equal(*({k: v for k, v in row.items() if "seconds" not in k} for row in (first, second)))
    assert played(algorithm, seed=1, max_steps=3)[1][-1]["val_loss"] != rows[3]["val_loss"]
    assert env.ledger.train_steps == 28


def test_budgets_end_an_agents_run() -> None:
    assert len(played("SAC", max_renders=60)[1]) == 1 + 4  # 16 samples a step
    rows = played("PPO", max_seconds=1e-9)[1]
    assert len(rows) == 2
    assert rows[0]["cpu_seconds"] == 0.0 < rows[1]["cpu_seconds"] < 0.5, "making the agent is not its time"


def test_agents_survive_a_loss_that_is_not_finite() -> None:
    for algorithm in ("PPO", "SAC"):
        own = {"rollout": 4} if algorithm == "PPO" else {"warmup": 2}
        env, rows = hgenv.DataGenEnv(Broken(), EnvOptions(train_steps=2)), list[run.Row]()
        agent = agents.made(env, agents.AgentOptions(algorithm=algorithm, **own), 0)
        agents.play(env, agent, run.Budget(max_steps=12), rows.append, 3)
        assert len(rows) == 13
        lost = [np.isnan(row["val_loss"]) for row in rows]
        assert any(lost)
        assert not all(lost)
        assert rows[-1]["failed_steps"] == sum(lost)
        assert np.isfinite(rows[-1]["beta.light.mean"])


@dataclasses.dataclass(frozen=True)
class Broken(ToyShading):
    """A target domain that spoils one loss in four."""

    @cached_property
    def domain(self) -> Domain:
        validation = super().domain.batch("validation")
        validation.target[0] = np.nan
        return Pictures(validation, super().domain.batch("test"))


@pytest.mark.parametrize("algorithm", ["PPO", "SAC", "TD3"])
def test_agents_learn_on_plain_gymnasium_environments(algorithm: str) -> None:
    env = gymnasium.make("hgenv/ToyShading-v0", train_steps=2, max_episode_steps=4)
    kwargs = {"n_steps": 4, "batch_size": 4} if algorithm == "PPO" else {"learning_starts": 2}
    agent = getattr(stable_baselines3, algorithm)("MlpPolicy", env, seed=0, device="cpu", **kwargs)
    before = [parameter.detach().clone() for parameter in agent.policy.parameters()]
    agent.learn(12)
    assert any(not np.array_equal(b, a.detach()) for b, a in zip(before, agent.policy.parameters(), strict=True))
    assert agent.num_timesteps == 12
    assert [episode["l"] for episode in agent.ep_info_buffer] == [4, 4, 4], "returns are logged"


def test_bad_options_are_refused() -> None:
    for knobs in ({"algorithm": "A2C"}, {"discount": 1.0}, {"warmup": 0}, {"learning_rate": 0.0}, {"rollout": 8}):
        with pytest.raises(ValueError, match="got"):
            agents.AgentOptions(**knobs)


def test_a_run_keeps_its_agent(tmp_path: Path) -> None:
    words = ["--env", "hgenv/ToyShading-v0", "--train-steps", "2", "--max-steps", "6", "--no-figures"]
    assert main(["run", "sb3", "--warmup", "2", *words, "--out", str(tmp_path / "run")]) == 0
    opened = open_run(tmp_path / "run")
    agent = stable_baselines3.SAC.load(tmp_path / "run" / "agent.zip")
    assert agent.num_timesteps == 6
    observation, _ = opened.env.reset(seed=0)
    action, _ = agent.predict(observation, deterministic=True)
    assert action.shape == (3,)
    agent.set_env(opened.env)
    agent.learn(4)


def test_an_interrupted_run_keeps_its_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, count = hgenv.DataGenEnv.step, 0

    def interrupted(env: hgenv.DataGenEnv, action: object) -> object:
        nonlocal count
        count += 1
        if count > 3:
            raise KeyboardInterrupt
        return step(env, action)

    monkeypatch.setattr(hgenv.DataGenEnv, "step", interrupted)
    words = ["--env", "hgenv/ToyShading-v0", "--max-steps", "9", "--no-figures", "--out", str(tmp_path / "run")]
    assert main(["run", "sb3", *words]) == 130
    assert stable_baselines3.SAC.load(tmp_path / "run" / "agent.zip").num_timesteps == 3


def test_an_agent_learns_where_it_is_told_to() -> None:
    with pytest.raises(ValueError, match="device 'abacus' cannot be used"):
        agents.AgentOptions(policy_device="abacus")
    env = hgenv.DataGenEnv(ToyShading(), EnvOptions(train_steps=2))
    assert agents.made(env, agents.AgentOptions(), 0).device.type == "cpu"
    assert agents.made(env, agents.AgentOptions(policy_device="meta"), 0).device.type == "meta"
