"""Whether training is a smooth function of beta: the metasmoothness of Engstrom et al. (2025, arXiv 2503.13751).

Three trainings on common seeds, at beta, beta + h v and beta + 2 h v, end at weights t0, t1 and t2. With d = t2 - t0
the metasmoothness is sum_j |d_j| / |d|_1 sign(t1 - t0)_j sign(t2 - t1)_j: 1 if every weight goes on as it has begun,
and 0 if it goes anywhere. A gradient through the whole training can predict only what is smooth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from hgenv.env import DataGenEnv
from hgenv.fields import MOST, AtLeast, Length, Natural, Seed, check
from hgenv.options import EnvOptions, in_place
from hgenv.run import measured_step
from hgenv.task import Task

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class MetasmoothOptions:
    """Metasmoothness of training from scratch about the start beta."""

    steps: Natural = 300
    """Training steps."""
    length: Length = 0.05
    """How far a coordinate moves, h, where each coordinate of the box is 2 long."""
    directions: Annotated[int, AtLeast(2), MOST] = 4
    """Directions v, of signs drawn at random."""
    seed: Seed = 0
    """Seed of everything."""

    def __post_init__(self) -> None:
        check(self)


def measured(task: Task, options: EnvOptions, o: MetasmoothOptions) -> Iterator[float]:
    """The metasmoothness along each direction."""
    plain = dataclasses.replace(in_place(options).without_gradient(), train_steps=o.steps, probe_steps=None)
    env = DataGenEnv(task, plain)
    rng = np.random.default_rng([o.seed, 3])
    begin = _weights(env, np.zeros(len(env.start)), o.seed)
    for _ in range(o.directions):
        signs = rng.choice([-1.0, 1.0], len(env.start))
        inward = np.where(np.abs(env.start + 2.0 * o.length * signs) > 1.0, -signs, signs)
        ways = [_weights(env, times * o.length * inward, o.seed) for times in (1, 2)]
        yield metasmoothness(begin, *ways)


def _weights(env: DataGenEnv, moved: Array, seed: int) -> Array:
    """The last weights (p,) of a training so far from the start."""
    env.reset(seed=seed)
    measured_step(env, np.clip(env.start + moved, -1.0, 1.0))
    return env.episode.weights.weights.double().cpu().numpy()


def metasmoothness(t0: Array, t1: Array, t2: Array) -> float:
    """Of final weights (p,); 1 if nothing moves."""
    change = np.abs(t2 - t0)
    total = change.sum()
    return float(change @ (np.sign(t1 - t0) * np.sign(t2 - t1)) / total) if total > 0 else 1.0


def told(found: list[float]) -> str:
    """The mean with its 95 % interval of Student's t."""
    half = scipy.stats.t.ppf(0.975, len(found) - 1) * scipy.stats.sem(found)
    return f"metasmoothness {np.mean(found):.2f} ± {half:.2f} over {len(found)} directions"
