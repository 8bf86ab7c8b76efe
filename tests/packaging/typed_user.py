"""A user's file: `mypy --strict` sees the types of the installed packages, and a wrong call is an error."""

from typing import Any, assert_type

import gymnasium
import numpy as np
from numpy.typing import NDArray

from hgenv import Batch, DataGenEnv, EnvOptions, ToyShading
from hgenv.beta import Noise
from hgenv.learning.gradient import Perturbed
from hgenv.testing import check_optimizer, check_task
from optimizers import RandomSearch

env = gymnasium.make("hgenv/ToyShading-v0").unwrapped
assert isinstance(env, DataGenEnv)
assert_type(env.evaluate(np.zeros((2, 3))), NDArray[np.float64])
assert_type(env.metrics("test"), dict[str, float])
assert_type(env.reset(seed=0), tuple[Any, dict[str, Any]])
assert_type(ToyShading().sample(np.zeros((2, 5)), Noise(np.arange(2))), Batch)
assert_type(RandomSearch().ask(), NDArray[np.float64])

DataGenEnv(ToyShading(hidden=8), EnvOptions(gradient=Perturbed(sigma=0.1)))
check_task(ToyShading())
check_optimizer(RandomSearch)

# Each of these is an error: a comment that silences none is one itself.
env.evaluate()  # type: ignore[call-arg]
env.metrics("training")  # type: ignore[arg-type]
ToyShading(hiden=8)  # type: ignore[call-arg]
EnvOptions(train_steps="many")  # type: ignore[arg-type]
RandomSearch(pairs="many")  # type: ignore[arg-type]
