"""Does the gradient say anything here? Estimates at one and the same beta, while the network trains, compared.

Successive estimates use other samples, other directions and other validation images. Where their cosine is 0 they are
noise, and descent along them a random walk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.env import DataGenEnv
from hgenv.fields import MOST, AtLeast, Seed, check
from hgenv.options import EnvOptions
from hgenv.run import measured_step
from hgenv.task import Task

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SignalOptions:
    """Agreement of successive estimates of the gradient at the start beta."""

    estimates: Annotated[int, AtLeast(4), MOST] = 20
    """Estimates, one an environment step."""
    seed: Seed = 0
    """Seed of everything."""

    def __post_init__(self) -> None:
        check(self)


class Agreement(NamedTuple):
    """Mean cosine of two estimates, and the cosine between the means of their first and second half."""

    pairs: float
    halves: float


def estimates(task: Task, options: EnvOptions, o: SignalOptions) -> Iterator[Array]:
    """The hybrid gradient (d,) at the start beta, step by step."""
    if options.gradient is None:
        raise ValueError("there is no signal without a gradient: name an estimator with --gradient")
    env = DataGenEnv(task, dataclasses.replace(options, gradient_every=1))
    env.reset(seed=o.seed)
    for _ in range(o.estimates):
        yield measured_step(env, env.start)["hybrid_gradient"]


def agreement(vectors: Sequence[Array]) -> Agreement:
    """How far estimates (n, d) agree in direction; one that is 0 agrees with none."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(lengths * vectors), where=lengths > 0)
    pairs = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    first, second = (half.mean(0) for half in np.array_split(unit, 2))
    lengths_of_halves = float(np.linalg.norm(first) * np.linalg.norm(second))
    return Agreement(float(pairs.mean()), float(first @ second) / lengths_of_halves if lengths_of_halves else 0.0)
