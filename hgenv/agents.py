"""stable-baselines3's agents play an environment and give the same rows as an optimizer does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np

from hgenv.env import DataGenEnv
from hgenv.run import Budget, Clock, Row, make_row

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@dataclasses.dataclass(frozen=True)
class AgentOptions:
    """A stable-baselines3 agent with a small network, as a run has hundreds of steps and not millions."""

    algorithm: Literal["PPO", "SAC", "TD3"] = "SAC"
    """Which agent."""
    learning_rate: float = 1e-3
    """Of its networks."""
    discount: float = 0.9
    """Gamma: how much the next step's reward counts."""
    policy_width: int = 64
    """Width of the two hidden layers of its networks."""
    warmup: int = 20
    """SAC, TD3: environment steps with actions from the whole box before learning begins."""
    noise: float = 0.15
    """TD3: standard deviation of the exploration about its action."""
    rollout: int = 16
    """PPO: environment steps an update."""

    def __post_init__(self) -> None:
        if self.algorithm not in ("PPO", "SAC", "TD3"):
            raise ValueError(f"algorithm must be PPO, SAC or TD3, got {self.algorithm!r}")
        if not (self.learning_rate > 0 and 0 <= self.discount < 1 and self.noise >= 0):
            raise ValueError(f"need learning_rate > 0, discount in [0, 1) and noise >= 0, got {self}")
        if not (self.policy_width >= 1 and self.warmup >= 1 and self.rollout >= 2):
            raise ValueError(f"need policy_width >= 1, warmup >= 1 and rollout >= 2, got {self}")

    def agent(self, env: gymnasium.Env, seed: int) -> BaseAlgorithm:
        """The agent, of a network that is not trained yet."""
        import stable_baselines3
        from stable_baselines3.common.noise import NormalActionNoise

        common: dict[str, Any] = {
            "learning_rate": self.learning_rate, "gamma": self.discount, "seed": seed, "device": "cpu",
            "policy_kwargs": {"net_arch": [self.policy_width, self.policy_width]},
        }  # fmt: skip
        if self.algorithm == "PPO":
            rollout: dict[str, Any] = {"n_steps": self.rollout, "batch_size": self.rollout}
            return stable_baselines3.PPO("MlpPolicy", env, n_epochs=4, **rollout, **common)
        common |= {"learning_starts": self.warmup, "buffer_size": 10_000, "batch_size": 64}
        if self.algorithm == "SAC":
            return stable_baselines3.SAC("MlpPolicy", env, **common)
        d = env.action_space.shape[0]  # type: ignore[index]
        noise = NormalActionNoise(np.zeros(d), np.full(d, self.noise))
        return stable_baselines3.TD3("MlpPolicy", env, action_noise=noise, **common)


class _OneEpisode(gymnasium.Wrapper):
    """A run is one episode: the network is not thrown away when the environment's own count of steps is full."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, _, _, info = self.env.step(action)
        return observation, reward, False, False, info


def play(
    env: DataGenEnv, options: AgentOptions, budget: Budget, seed: int, report_every: int, sink: Callable[[Row], None]
) -> None:
    """Let an agent act until the budget is spent; sink gets the rows that `hgenv.run.run` would give.

    The committed actions explore; beta.NAME of a row is what the agent would do without exploring.
    """
    from stable_baselines3.common.callbacks import BaseCallback

    clock = Clock()

    class Rows(BaseCallback):
        def _row(self, info: dict[str, Any], observation: Any, report: bool) -> None:
            with clock.pause():
                found, _ = self.model.predict(observation, deterministic=True)
                sink(make_row(env, clock, self.num_timesteps, info, np.asarray(found[0], np.float64), report))

        def _on_training_start(self) -> None:
            assert self.model._last_obs is not None
            with clock.pause():
                env.contact_sheet(env.start, 1, 1)  # compiles the renderer
            self._row(env.info(), self.model._last_obs, report=True)

        def _on_step(self) -> bool:
            step = self.num_timesteps
            over = budget.spent(step, env.ledger, clock.read()[0]) >= 1.0
            self._row(self.locals["infos"][0], self.locals["new_obs"], report=step % report_every == 0 or over)
            return not over

    options.agent(_OneEpisode(env), seed).learn(2**62, callback=Rows())
