"""Networks of some age: an environment after a while at its start, from which something is measured."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.beta.noise import stream_keys
from hgenv.env import DataGenEnv
from hgenv.fields import Seed
from hgenv.learning.gradient import Estimator
from hgenv.learning.response import KEPT
from hgenv.options import EnvOptions
from hgenv.run import measured_step
from hgenv.task import Task

APART = 1000
"""Steps on from its age at which the streams of an environment are its own: other samples, the same network."""


@lru_cache(8)
def aged(task: Task, options: EnvOptions, age: int, seed: Seed) -> tuple[DataGenEnv, dict[str, Any]]:
    """An environment, and its state after `age` training steps at the start beta.

    Raises ValueError unless that is a number of whole environment steps.
    """
    if age % options.train_steps:
        raise ValueError(f"an age must be a multiple of train_steps ({options.train_steps}), got {age}")
    env = DataGenEnv(task, options)
    env.reset(seed=seed)
    for _ in range(age // options.train_steps):
        measured_step(env, env.start)
    return env, env.state_dict()


def aged_for(estimator: Estimator, task: Task, options: EnvOptions, age: int, seed: Seed) -> dict[str, Any]:
    """The state of `aged`, with the gradients of batches that the estimator needs if it has a horizon."""
    state = aged(task, options, age, seed)[1]
    return state if not estimator.looks_ahead else state | {"gradients": _gradients(task, options, age, seed)}


@lru_cache(2)
def _gradients(task: Task, options: EnvOptions, age: int, seed: Seed) -> NDArray[np.floating]:
    """Gradients (KEPT, p) of batches at the start, at the weights of that age."""
    env, state = aged(task, options, age, seed)
    env.load_state_dict(state)
    now, size = env.episode, env.options.batch_size
    found = []
    for k in range(KEPT):
        seeds = stream_keys(now.seed, "spectrum", k, size)
        samples = env.generate(np.tile(env.start, (size, 1)), seeds)
        found.append(env._learner.plain_gradient(now.weights.weights, samples.batch))
    return torch.stack(found).cpu().numpy()


def with_other_samples(state: dict[str, Any], repeat: int) -> dict[str, Any]:
    """The state, whose next step draws the `repeat`th samples, validation images and directions of its own."""
    return state | {"steps": state["steps"] + APART + repeat}
