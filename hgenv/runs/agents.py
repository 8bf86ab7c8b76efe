"""stable-baselines3's agents play an environment and give the same rows as an optimizer does.

`hgenv run sb3` keeps the agent in the run's folder, as stable-baselines3 saves it. To let it act:

    opened = hgenv.runs.open_run("RUN")
    agent = stable_baselines3.SAC.load("RUN/agent.zip")  # the class that --algorithm named
    observation, _ = opened.env.reset(seed=0)
    action, _ = agent.predict(observation, deterministic=True)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import gymnasium
import numpy as np

from hgenv.checkpoint import Checkpoint, part
from hgenv.clock import Clock, Seconds
from hgenv.devices import GpuTime, check_device
from hgenv.env import DataGenEnv
from hgenv.fields import MOST, AtLeast, AtMost, Decay, Natural, Positive, check
from hgenv.run import Budget, Row, check_progress, elsewhere, make_row
from hgenv.runs.agent_state import load_state, state_of

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@dataclasses.dataclass(frozen=True)
class AgentOptions:
    """A stable-baselines3 agent with a small network, as a run has hundreds of steps and not millions.

    The run's folder keeps it: `stable_baselines3.SAC.load("RUN/agent.zip")`, or the class that `algorithm` names.
    """

    algorithm: Literal["PPO", "SAC", "TD3"] = "SAC"
    """Which agent."""
    learning_rate: Positive = 1e-3
    """Of its networks."""
    discount: Decay = 0.9
    """Gamma: how much the next step's reward counts."""
    policy_width: Annotated[int, AtLeast(1), AtMost(4096)] = 64
    """Width of the two hidden layers of its networks."""
    warmup: Natural | None = None
    """SAC, TD3: environment steps with actions from the whole box before learning begins; None: 20."""
    noise: Annotated[float, AtLeast(0), MOST] | None = None
    """TD3: standard deviation of the exploration about its action; None: 0.15."""
    rollout: Annotated[int, AtLeast(2), MOST] | None = None
    """PPO: environment steps an update; None: 16."""
    policy_device: str = "cpu"
    """Where its networks are and learn."""

    def __post_init__(self) -> None:
        check(self)
        check_device(self.policy_device)
        owners = {"warmup": ("SAC", "TD3"), "noise": ("TD3",), "rollout": ("PPO",)}
        for name, algorithms in owners.items():
            if getattr(self, name) is not None and self.algorithm not in algorithms:
                raise ValueError(f"{name} has no meaning with {self.algorithm}, got {getattr(self, name)}")

    def agent(self, env: gymnasium.Env, seed: int) -> BaseAlgorithm:
        """The agent, of a network that is not trained yet."""
        import stable_baselines3
        from stable_baselines3.common.noise import NormalActionNoise

        common: dict[str, Any] = {
            "learning_rate": self.learning_rate, "gamma": self.discount, "seed": seed,
            "device": self.policy_device, "policy_kwargs": {"net_arch": [self.policy_width, self.policy_width]},
        }  # fmt: skip
        if self.algorithm == "PPO":
            steps = 16 if self.rollout is None else self.rollout
            rollout: dict[str, Any] = {"n_steps": steps, "batch_size": steps}
            return stable_baselines3.PPO("MlpPolicy", env, n_epochs=4, **rollout, **common)
        warmup = 20 if self.warmup is None else self.warmup
        common |= {"learning_starts": warmup, "buffer_size": 10_000, "batch_size": 64}
        if self.algorithm == "SAC":
            return stable_baselines3.SAC("MlpPolicy", env, **common)
        d = env.action_space.shape[0]  # type: ignore[index]
        noise = NormalActionNoise(np.zeros(d), np.full(d, 0.15 if self.noise is None else self.noise))
        return stable_baselines3.TD3("MlpPolicy", env, action_noise=noise, **common)


class _FiniteRewards(gymnasium.Wrapper):
    """A reward that is not finite would poison the agent for good: it is told the lowest that was, or 0."""

    lowest = np.inf

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        value = float(reward)
        if np.isfinite(value):
            self.lowest = min(self.lowest, value)
        else:
            value = self.lowest if np.isfinite(self.lowest) else 0.0
        return observation, value, terminated, truncated, info


def made(env: DataGenEnv, options: AgentOptions, seed: int) -> BaseAlgorithm:
    """The agent that `play` lets act in the environment."""
    return options.agent(_FiniteRewards(env), seed)


def play(
    env: DataGenEnv,
    agent: BaseAlgorithm,
    budget: Budget,
    sink: Callable[[Row], None],
    report_every: int = 5,
    checkpoint: Checkpoint | None = None,
    max_failed_steps: int = 10,
) -> None:
    """Let an agent act and learn until the budget is spent; sink gets the rows that `hgenv.run.run` would give.

    The committed actions explore; beta.NAME of a row is what the agent would do without exploring. Checkpoints are
    taken where the agent has learned from all it has seen: before every step, PPO's before every rollout.
    Raises as run() does.
    """
    from stable_baselines3.common.callbacks import BaseCallback

    before = {} if checkpoint is None else checkpoint.read()
    if before:
        assert agent.env is not None
        agent.env.reset()
        env.load_state_dict(part(before, "env"))
        load_state(agent, part(before, "player"))
    learning = GpuTime(agent.device)

    def away() -> Seconds:
        there = elsewhere(env)
        return there._replace(gpu=there.gpu + learning.seconds())

    class Rows(BaseCallback):
        def _row(self, seconds: Seconds, info: dict[str, Any], observation: Any, report: bool) -> None:
            found, _ = self.model.predict(observation, deterministic=True)
            sink(make_row(env, seconds, self.num_timesteps, info, np.asarray(found[0], np.float64), report))

        def _on_training_start(self) -> None:
            if not before:
                assert self.model._last_obs is not None
                self._row(Seconds(), env.info(), self.model._last_obs, report=True)
            # What came before is not the agent's time, as in run().
            self._clock = Clock(before.get("seconds"), away)

        def _on_rollout_end(self) -> None:
            learning.begin()

        def _on_rollout_start(self) -> None:
            learning.end()
            if checkpoint is not None:
                with self._clock.pause():
                    checkpoint.hold(self.num_timesteps, self._clock.read(), env, state_of(self.model))

        def _on_step(self) -> bool:
            seconds = self._clock.read()
            over = budget.spent(self.num_timesteps, env.ledger, seconds) >= 1.0
            with self._clock.pause():
                report = self.num_timesteps % report_every == 0 or over
                self._row(seconds, self.locals["infos"][0], self.locals["new_obs"], report)
            check_progress(env, max_failed_steps)
            return not over

    try:
        agent.learn(2**62, callback=Rows(), reset_num_timesteps=not before)
    finally:
        if checkpoint is not None:
            checkpoint.write()
