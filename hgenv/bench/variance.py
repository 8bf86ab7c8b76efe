"""What an estimate of the gradient varies by: the samples trained on, the validation images, or its own directions.

Estimates of one network at one beta, nested: of every training several draws of validation images, of each of these
several draws of directions. The components of their variance follow by the method of moments (analysis of variance with
random effects: Searle, Casella & McCulloch 1992), and the signal is what is left of the mean's square.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.bench.aged import aged_for, with_other_samples
from hgenv.env import DataGenEnv
from hgenv.fields import MOST, AtLeast, Natural, Seed, check
from hgenv.options import EnvOptions
from hgenv.probe import validation_rows
from hgenv.run import measured_step
from hgenv.step import loss_by_weights
from hgenv.task import Task

Array = NDArray[np.float64]
Repeated = Annotated[int, AtLeast(2), MOST]


@dataclasses.dataclass(frozen=True)
class VarianceOptions:
    """Where the variance of an estimate is from, at the start beta."""

    age: Natural = 400
    """Training steps at the start before the estimates."""
    trainings: Repeated = 8
    """Environment steps, of samples of their own, from the same network."""
    validations: Repeated = 4
    """Draws of validation images of each."""
    directions: Repeated = 4
    """Draws of what the estimator itself draws of each of those."""
    seed: Seed = 0
    """Seed of everything."""

    def __post_init__(self) -> None:
        check(self)


class Components(NamedTuple):
    """Variances of an estimate (d,), summed over coordinates, of each source; signal: the square of what it estimates.

    They are unbiased, so that each may come out below 0.
    """

    training: float
    validation: float
    directions: float
    signal: float


def estimates(task: Task, options: EnvOptions, o: VarianceOptions) -> Iterator[Array]:
    """Of every training the estimates (validations, directions, d)."""
    estimator = options.gradient
    if estimator is None:
        raise ValueError("there is no variance without a gradient: name an estimator with --gradient")
    options = dataclasses.replace(options, gradient_every=1)
    state = aged_for(estimator, task, options.without_gradient(), o.age, o.seed)
    env = DataGenEnv(task, options)
    env.reset(seed=o.seed)
    for training in range(o.trainings):
        env.load_state_dict(with_other_samples(state, training))
        measured_step(env, env.start)
        found = [_of_validation(env, o, training, k) for k in range(o.validations)]
        yield np.array(found)


def _of_validation(env: DataGenEnv, o: VarianceOptions, training: int, draw: int) -> list[Array]:
    """Estimates of one training and one draw of validation images."""
    estimator, now = env.options.gradient, env.episode
    assert estimator is not None
    count = training * o.validations + draw
    rows = validation_rows(now.task, env.options, now.ledger, o.seed, "variance", count)
    by_weights = loss_by_weights(env._learner, env.options, estimator, now, rows)
    signal = dataclasses.replace(env.signal, by_weights=by_weights)
    generators = (np.random.default_rng([o.seed, count, k]) for k in range(o.directions))
    return [estimator.estimate(signal, env.generate, rng) for rng in generators]


def components(found: Sequence[Array]) -> Components:
    """Of nested estimates (trainings, validations, directions, d)."""
    values = np.asarray(found)
    trainings, validations, directions = values.shape[:3]
    by_validation = values.mean(2)
    by_training = by_validation.mean(1)
    of_directions = values.var(2, ddof=1).mean((0, 1)).sum()
    of_validation = by_validation.var(1, ddof=1).mean(0).sum() - of_directions / directions
    between = by_training.var(0, ddof=1).sum()
    of_training = between - of_validation / validations - of_directions / (validations * directions)
    signal = (by_training.mean(0) ** 2).sum() - between / trainings
    return Components(*(float(value) for value in (of_training, of_validation, of_directions, signal)))


def table(found: Components) -> str:
    """Markdown."""
    total = sum(found[:3])
    lines = ["| source | share of the variance | over the squared gradient |", "|---|---|---|"]
    for name, value in found._asdict().items():
        if name != "signal":
            over = f"{value / found.signal:.1f}" if found.signal > 0 else "-"
            lines.append(f"| {name} | {value / total:.3f} | {over} |")
    if found.signal <= 0:
        lines.append("\nThe mean of all estimates is no longer than their variance explains: there is no signal.")
    return "\n".join(lines)
