"""Small environments for tests."""

import gymnasium
import numpy as np
from analytic import Waves

from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ImageDifference
from hgenv.options import EnvOptions

SMALL = {"train_steps": 2, "batch_size": 2, "validation_images": 4}
QUICK: dict[str, dict] = {"hgenv/SceneNormals-v0": {"pretrain_steps": 2, "rooms": 4}}


def small(id: str = "hgenv/ShapeNormals-v0", **changes: object) -> DataGenEnv:
    sizes = {"validation_size": 6, "test_size": 3} if "Shape" in id or "Scene" in id else {}
    sizes |= QUICK.get(id, {})
    if changes.get("gradient") not in (None, "perturbed"):
        sizes |= {"gradient_steps": 1}
    env = gymnasium.make(id, disable_env_checker=True, **{**SMALL, **sizes, **changes}).unwrapped
    assert isinstance(env, DataGenEnv)
    return env


def made_waves() -> DataGenEnv:
    env = DataGenEnv(Waves(), EnvOptions(train_steps=3, gradient=ImageDifference(steps=1)))
    env.reset(seed=0)
    return env


def assert_same(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
