"""How far does linearising in the image carry? The paper's scalar against the exact difference of influence.

For one sample and one direction d, <dL/dX, X+ - X-> (Yang & Deng 2020, Eq. 11) stands for I(X+) - I(X-), where
X+- = f(beta +- d, r); so does the difference of influences that are taken by two forward passes each.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hgenv.devices import on_host
from hgenv.env import DataGenEnv
from hgenv.fields import Length, Natural, Seed, check
from hgenv.learning.gradient import ImageDifference, InfluenceDifference, Score
from hgenv.options import EnvOptions
from hgenv.run import measured_step
from hgenv.task import Task

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class LinearityOptions:
    """Scalars that stand for a difference of influence."""

    sigmas: tuple[Length, ...] = (0.02, 0.05, 0.1, 0.2)
    """Standard deviations of the directions, where each coordinate of the box is 2 long."""
    age: Natural = 400
    """Training steps at the start beta before the first measurement."""
    repeats: Natural = 16
    """Environment steps that are measured; all their differentiated samples count."""
    seed: Seed = 0
    """Seed of everything."""

    def __post_init__(self) -> None:
        check(self)
        if not self.sigmas:
            raise ValueError("name at least one sigma")


def measure(task: Task, options: EnvOptions, o: LinearityOptions) -> Iterator[str]:
    """Lines of a Markdown table: correlations over samples whose picture the direction changes."""
    if o.age % options.train_steps:
        raise ValueError(f"age must be a multiple of train_steps ({options.train_steps}), got {o.age}")
    # Any estimator will do: it is the signal that is wanted.
    env = DataGenEnv(task, dataclasses.replace(options, gradient=Score(curvature=True), gradient_every=1))
    env.reset(seed=o.seed)
    for _ in range(o.age // options.train_steps):
        measured_step(env, env.start)
    rng, scalars = np.random.default_rng(o.seed), defaultdict(list)
    for _ in range(o.repeats):
        measured_step(env, env.start)
        for key, found in _scalars(env, o.sigmas, rng):
            scalars[key].append(found)
    yield (
        "| coordinates | sigma | samples that change | image and exact: correlation | noise of image over exact | "
        "two forwards and exact: correlation |\n" + "|---" * 6 + "|"
    )
    for (name, sigma), parts in scalars.items():
        image, exact, forwards = np.concatenate(parts, axis=1)
        changed = exact != 0
        yield f"| {name} | {sigma} | {np.sum(changed)} of {len(exact)} | " + (
            _against(image[changed], exact[changed], forwards[changed]) if np.sum(changed) > 2 else "- | - | - |"
        )


def _against(image: Array, exact: Array, forwards: Array) -> str:
    with np.errstate(invalid="ignore", divide="ignore"):  # what does not vary has no correlation: nan
        image_correlation, forwards_correlation = (np.corrcoef(part, exact)[0, 1] for part in (image, forwards))
        noise = np.std(image) / np.std(exact)
    return f"{image_correlation:.2f} | {noise:.1f} | {forwards_correlation:.4f} |"


def _scalars(
    env: DataGenEnv, sigmas: tuple[float, ...], rng: np.random.Generator
) -> Iterator[tuple[tuple[str, float], Array]]:
    """For all samples of a differentiated step: the image's, the exact and the two forwards' scalar, (3, n)."""
    signal, discrete = env.signal, env.signal.discrete
    families = (ImageDifference(), InfluenceDifference(exact=True), InfluenceDifference(exact=False))
    for step in signal.reversed(sensitivity=True):
        actions, seeds = signal.samples[step.k].actions, signal.samples[step.k].seeds
        for name, moved in (("continuous", ~discrete), ("discrete", discrete)):
            if not moved.any():
                continue
            for sigma in sigmas:
                direction = sigma * rng.standard_normal(actions.shape) * moved
                plus, minus = (env.generate(np.clip(actions + s * direction, -1, 1), seeds).batch for s in (1, -1))
                changes = on_host([f.change(signal, step, plus, minus) for f in families])
                yield (name, sigma), np.stack(changes)
