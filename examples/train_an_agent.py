"""An agent of stable-baselines3 learns to choose beta step by step on ToyShading, and is compared with random actions.

Every episode trains a network from scratch in ten steps; the agent sees its last beta, recent losses and the progress.
"""

from collections.abc import Callable

import gymnasium
import numpy as np
import stable_baselines3
import torch

import hgenv  # noqa: F401  (registers the environments)

torch.set_num_threads(1)
EPISODES = 10
env = gymnasium.make("hgenv/ToyShading-v0", max_episode_steps=10, observed_steps=10, validation_images=64)


def mean_loss(act: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean validation loss at the end of an episode, over common seeds."""
    losses = []
    for seed in range(1000, 1000 + EPISODES):
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            observation, reward, _, over, _ = env.step(act(observation))
        losses.append(-float(reward))
    return float(np.mean(losses))


env.action_space.seed(0)
by_chance = mean_loss(lambda _: env.action_space.sample())
size = {"net_arch": [64, 64]}
agent = stable_baselines3.SAC("MlpPolicy", env, 1e-3, learning_starts=100, gamma=0.9, policy_kwargs=size, seed=0)
agent.learn(600)
by_agent = mean_loss(lambda observation: agent.predict(observation, deterministic=True)[0])
print(f"validation loss after an episode: random actions {by_chance:.4f}, agent {by_agent:.4f}")
