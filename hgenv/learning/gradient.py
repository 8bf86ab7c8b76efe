"""The estimators of the hybrid gradient: from what L feels of the training data to dL/dbeta.

dL/dbeta = sum over samples of (how L depends on what was trained on) x (how that depends on beta). A `Signal` is the
first half of one env step; an estimator adds the second. Each is one class, registered under the
name that the option `gradient` takes; its fields are the options `gradient_...`.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from hgenv.batch import Batch
from hgenv.beta.box import Spread, Spreading, spread_about
from hgenv.beta.noise import Noise
from hgenv.devices import on_host
from hgenv.fields import MOST, AtLeast, Length, Natural, check
from hgenv.learning.natural import natural_gradient
from hgenv.learning.signal import Generator as Generator
from hgenv.learning.signal import Samples as Samples
from hgenv.learning.signal import Seeds
from hgenv.learning.signal import Signal as Signal
from hgenv.learning.training import ReversedStep

Array = NDArray[np.float64]
Keyed = Callable[[int, int], Seeds]
"""(counter, count) -> fresh seeds (count,) of a training step."""


@dataclass(frozen=True, kw_only=True)
class Estimator(ABC):
    """A way to estimate dL/d(action)."""

    steps: Natural | Literal["all"] | None = None
    """Training steps that the estimate goes through, the last ones of an environment step; None: 4 with curvature, all
    without."""
    curvature: bool = False
    """Differentiate the training gradients of later steps too; without it the estimate is of first order, and cheap."""
    weights: Literal["averaged", "last"] = "averaged"
    """The weights at which the validation loss is differentiated: their running average, as if it had been reached by
    the last step, or the last. At the last weights a batch is also blamed for the noise of its own step, which rewards
    small and simple samples."""
    horizon: Natural | None = None
    """Further training steps after which the loss is to be low, by the response of a long training; None: it is to be
    low at once."""
    until: Natural | None = None
    """Training steps after which a run ends: the horizon is what remains of them, and with the last step none."""

    needs_density: ClassVar[bool] = False
    """Whether it needs d log p(draws) / d beta."""

    def __post_init__(self) -> None:
        check(self)
        if self.horizon is not None and self.until is not None:
            raise ValueError(f"the horizon is fixed or what remains, not both: got {self.horizon} and {self.until}")

    @property
    def looks_ahead(self) -> bool:
        """Whether it has a horizon."""
        return self.horizon is not None or self.until is not None

    def horizon_after(self, taken: int) -> int:
        """The horizon after so many training steps; 0: the loss is to be low at once."""
        return self.horizon or max(0, (self.until or 0) - taken)

    def window(self, train_steps: int) -> int:
        """How many training steps, the last ones of an environment step, the estimate goes through."""
        if self.steps is None:
            return min(4, train_steps) if self.curvature else train_steps
        return train_steps if self.steps == "all" else self.steps

    def check(self, train_steps: int, batch_size: int, spread: Spread) -> None:
        """Raise ValueError unless a training like this can be differentiated."""
        if not 1 <= self.window(train_steps) <= train_steps:
            raise ValueError(f"gradient_steps must be in 1..{train_steps}, the training steps, got {self.steps}")
        if spread in ("uniform", "several"):
            raise ValueError(f"with spread={spread!r} the samples do not depend on the action: there is no gradient")

    def points(self, action: Array, counter: int, count: int, keyed: Keyed, spread: Spreading) -> tuple[Array, Seeds]:
        """Actions (count, d) and seeds (count,) that training step `counter` trains on."""
        return plain_points(action, counter, count, keyed, spread)

    @abstractmethod
    def estimate(self, signal: Signal, generator: Generator, rng: np.random.Generator) -> Array:
        """The estimate, (d,), in units of the action box [-1, 1]^d."""


def plain_points(action: Array, counter: int, count: int, keyed: Keyed, spread: Spreading) -> tuple[Array, Seeds]:
    """Samples at the action, or spread about it, on seeds of their own."""
    seeds = keyed(counter, count)
    return spread_about(action, seeds, spread), seeds


E = TypeVar("E", bound=type[Estimator])
ESTIMATORS: dict[str, type[Estimator]] = {}


def register_estimator(name: str) -> Callable[[E], E]:
    """Class decorator: makes an Estimator, a frozen dataclass, a choice of the option `gradient`.

    A name that is taken goes to the new class, with a warning if that is another one.
    """

    def add(estimator: E) -> E:
        new, old = f"{estimator.__module__}.{estimator.__qualname__}", ESTIMATORS.get(name)
        if old is not None and (before := f"{old.__module__}.{old.__qualname__}") != new:
            warnings.warn(f"{name} was {before} and is now {new}", stacklevel=2)
        ESTIMATORS[name] = estimator
        return estimator

    return add


class Differences(NamedTuple):
    """Of every direction of every step: D_i (n,), on the device; the direction (n or 1, d); whether both ends of a
    sample were made of its own key (n,)."""

    changes: list[Tensor]
    directions: list[Array]
    whole: list[NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Difference(Estimator):
    """Central differences with common random numbers along m random directions d_j ~ sigma N(0, I).

    With D_ij the change of L, to first order, when sample i is f(a_i + d_j, r_i) instead of f(a_i - d_j, r_i), the
    estimate is mean_j sum_i D_ij d_j / (2 |d_j|^2) (Yang & Deng 2020, Eqs 10-11). Both ends are clipped to the box as
    in the paper, which shortens differences at its walls. A sample of which an end could not be made of its own key
    has no difference, and D_ij = 0.

    As E[d d^T / |d|^2] = I / d for d coordinates, Eq. 10 as printed estimates the gradient over d ("paper");
    "unbiased" multiplies by d.
    """

    curvature: bool = True
    directions: Natural = 4
    """Directions an estimate (the paper's m)."""
    sigma: Length = 0.04
    """Length of the differences a coordinate, where each coordinate of the box is 2 long."""
    shared: bool = True
    """The same directions for all samples of an estimate; otherwise each sample has its own."""
    scaling: Literal["unbiased", "paper"] = "unbiased"
    """Eq. 10 as printed estimates the gradient divided by d ("paper")."""

    linear: ClassVar[bool] = False
    """Whether D_i is linear in the image, and needs its sensitivity."""

    @abstractmethod
    def change(self, signal: Signal, step: ReversedStep, plus: Batch, minus: Batch) -> Tensor:
        """D_i, (n,) float64 on the device."""

    def estimate(self, signal: Signal, generator: Generator, rng: np.random.Generator) -> Array:
        moved = np.ones(len(signal.centre), bool)
        found = self.along(moved, signal, signal.reversed(self.linear), generator, rng)
        return self.mean(moved, found, on_host(found.changes))

    def along(
        self,
        moved: NDArray[np.bool_],
        signal: Signal,
        steps: Iterable[ReversedStep],
        generator: Generator,
        rng: np.random.Generator,
    ) -> Differences:
        """Differences along directions in the `moved` coordinates (d,) only."""
        found, directions = Differences([], [], []), self._drawn(moved, signal, rng)
        drawn = generator.ahead(_ends(signal, directions))
        for step in steps:
            seeds = signal.samples[step.k].seeds
            for direction in directions[step.k]:
                plus, minus = next(drawn), next(drawn)
                found.changes.append(self.change(signal, step, plus.batch, minus.batch))
                found.directions.append(direction)
                found.whole.append((plus.seeds == seeds) & (minus.seeds == seeds))
        return found

    def _drawn(self, moved: NDArray[np.bool_], signal: Signal, rng: np.random.Generator) -> dict[int, Array]:
        """Directions (m, n or 1, d) of every step, in the order of the reverse."""
        m, d = self.directions, len(moved)
        common = self.sigma * rng.standard_normal((m, 1, d)) * moved
        sizes = {k: len(samples.seeds) for k, samples in reversed(list(enumerate(signal.samples)))}
        if self.shared:
            return dict.fromkeys(sizes, common)
        return {k: self.sigma * rng.standard_normal((m, size, d)) * moved for k, size in sizes.items()}

    def mean(self, moved: NDArray[np.bool_], found: Differences, changes: list[Array]) -> Array:
        """The estimate from differences along the `moved` coordinates, and their changes on the host."""
        total = np.zeros(len(moved))
        for direction, whole, change in zip(found.directions, found.whole, changes, strict=True):
            slopes = np.where(whole, change, 0.0) / (2.0 * np.sum(direction**2, axis=1))
            total += np.sum(slopes[:, None] * direction, axis=0)
        return total / self.directions * (np.sum(moved) if self.scaling == "unbiased" else 1)


def _ends(signal: Signal, directions: dict[int, Array]) -> Iterator[tuple[Array, Seeds]]:
    """Both ends of every difference, plus first."""
    for k, along in directions.items():
        actions, seeds = signal.samples[k].actions, signal.samples[k].seeds
        for direction in along:
            yield np.clip(actions + direction, -1.0, 1.0), seeds
            yield np.clip(actions - direction, -1.0, 1.0), seeds


@register_estimator("image")
@dataclass(frozen=True, kw_only=True)
class ImageDifference(Difference):
    """The paper's estimator: D_i = <dL/dX_i, X+ - X->, linear in the change of the image, target and mask."""

    linear = True

    def change(self, signal: Signal, step: ReversedStep, plus: Batch, minus: Batch) -> Tensor:
        assert step.sensitivity is not None
        parts = zip(step.sensitivity, plus, minus, strict=True)
        slopes = [torch.sum(s * (p - m), dim=(1, 2, 3), dtype=torch.float64) for s, p, m in parts]
        return sum(slopes[1:], slopes[0])


@register_estimator("influence")
@dataclass(frozen=True, kw_only=True)
class InfluenceDifference(Difference):
    """D_i = I_k(X+) - I_k(X-): the same chain rule without linearising in the image, which may change by much."""

    sigma: Length = 0.2
    exact: bool = False
    """Influence in forward mode; otherwise by a difference of two forward passes, at half the cost."""

    def change(self, signal: Signal, step: ReversedStep, plus: Batch, minus: Batch) -> Tensor:
        ends = signal.influence(step, Batch.join([plus, minus]), self.exact).chunk(2)
        return ends[0] - ends[1]


@register_estimator("score")
@dataclass(frozen=True, kw_only=True)
class Score(Estimator):
    """Influence times the score of what was drawn: sum_i I(X_i) grad log p(draws_i) (Williams 1992; Behl et al. 2020).

    It needs no render beyond the training's, and no derivative of an image. The samples trained on have moved the
    weights that their own influence is taken at, which biases it a little; fresh samples have not.
    """

    needs_density: ClassVar[bool] = True

    baseline: bool = True
    """Subtract from each influence the mean of all others (leave one out)."""
    natural: bool = False
    """The natural gradient, of length 1: a step of s along it changes what is drawn by s^2 / 2 nats a sample, however
    far beta moves. `--rule average` takes such steps."""
    samples: Annotated[int, AtLeast(0), MOST] = 0
    """Fresh samples a differentiated step; 0 takes those trained on, at half the cost."""
    exact: bool = False
    """Influence in forward mode; otherwise by a difference of forward passes, at a fraction of the cost."""

    def estimate(self, signal: Signal, generator: Generator, rng: np.random.Generator) -> Array:
        influences, scores = self.over(signal, signal.reversed(), generator, rng)
        return self.weighed(on_host(influences), scores)

    def over(
        self, signal: Signal, steps: Iterable[ReversedStep], generator: Generator, rng: np.random.Generator
    ) -> tuple[list[Tensor], list[Array]]:
        """Of every step: the influence of its samples (n,), on the device, and their scores (n, d)."""
        influences, scores = [], []
        fresh = generator.ahead(self._fresh(signal, rng))
        for step in steps:
            trained = signal.samples[step.k]
            samples = next(fresh) if self.samples else trained
            weight = len(trained.seeds) / len(samples.seeds)  # however many stand for those that a step trains on
            influences.append(weight * signal.influence(step, samples.batch, self.exact))
            scores.append(samples.score())
        return influences, scores

    def _fresh(self, signal: Signal, rng: np.random.Generator) -> Iterator[tuple[Array, Seeds]]:
        """Where fresh samples of every step lie, in the order of the reverse: at actions of those trained on."""
        for trained in reversed(signal.samples):
            chosen = rng.integers(len(trained.seeds), size=self.samples)
            yield trained.actions[chosen], rng.integers(2**63, size=self.samples).astype(np.uint64)

    def weighed(self, influences: list[Array], scores: list[Array]) -> Array:
        """The estimate from both."""
        values, gradients = np.concatenate(influences), np.concatenate(scores)
        if self.baseline:
            others = (values.sum() - values) / max(len(values) - 1, 1)
            values = values - others
        gradient: Array = values @ gradients
        return natural_gradient(gradient, gradients) if self.natural else gradient


@register_estimator("mixed")
@dataclass(frozen=True, kw_only=True)
class Mixed(Estimator):
    """The score function for the coordinates of discrete distributions, differences for the continuous ones."""

    needs_density: ClassVar[bool] = True

    curvature: bool = True
    half: Literal["influence", "image"] = "influence"
    """What the continuous coordinates difference."""
    directions: Natural = 4
    """Directions an estimate (the paper's m)."""
    sigma: Length | None = None
    """Length of the differences a coordinate; None: 0.2 of influence, 0.04 of images."""
    baseline: bool = True
    """Subtract from each influence the mean of all others (leave one out)."""

    def estimate(self, signal: Signal, generator: Generator, rng: np.random.Generator) -> Array:
        family = InfluenceDifference if self.half == "influence" else ImageDifference
        sigma = family.sigma if self.sigma is None else self.sigma
        difference = family(directions=self.directions, sigma=sigma)
        score, discrete = Score(baseline=self.baseline), signal.discrete
        steps, total = list(signal.reversed(family.linear)), np.zeros(len(discrete))
        influences, scores = score.over(signal, steps, generator, rng) if discrete.any() else ([], [])
        found = Differences([], [], [])
        if not discrete.all():
            found = difference.along(~discrete, signal, steps, generator, rng)
        there = on_host([*influences, *found.changes])
        if discrete.any():
            total[discrete] = score.weighed(there[: len(influences)], scores)[discrete]
        if not discrete.all():
            total += difference.mean(~discrete, found, there[len(influences) :])
        return total


@register_estimator("perturbed")
@dataclass(frozen=True, kw_only=True)
class Perturbed(Estimator):
    """Influence times the perturbation that the samples trained on were drawn with: sum_i I(X_i) e_i / sigma^2.

    Training draws its samples at action + e, e ~ sigma N(0, I), in antithetic pairs of common r. The estimate is of the
    gradient of the loss smoothed over e (evolution strategies: Salimans et al. 2017), and needs no further render and
    no density: a black-box generator will do. "batch" perturbs a whole batch and trains on its antithesis next; the
    batch's influence <v(k), grad_w l_train> is then known from training, and costs nothing. "pair" has an e for every
    second sample, and needs the influence of every sample.
    """

    sigma: Length = 0.15
    """Standard deviation of the perturbation, where each coordinate of the box is 2 long."""
    group: Literal["batch", "pair"] = "batch"
    """Which samples share a perturbation."""
    exact: bool = False
    """For pairs: influence in forward mode instead of a difference of forward passes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exact and self.group == "batch":
            raise ValueError("gradient_exact has no meaning for batches, whose influence is exact; see gradient_group")

    def check(self, train_steps: int, batch_size: int, spread: Spread) -> None:
        """Antithetic partners must meet in one estimate."""
        super().check(train_steps, batch_size, spread)
        window = self.window(train_steps)
        if spread is not None:
            raise ValueError("gradient='perturbed' spreads the samples itself, by gradient_sigma: leave spread out")
        if self.group == "pair" and batch_size % 2:
            raise ValueError(f"gradient_group='pair' needs an even batch_size, got {batch_size}")
        if self.group == "batch" and (train_steps % 2 or window % 2):
            raise ValueError(
                "gradient='perturbed' trains on a batch and its antithesis in turn: train_steps and gradient_steps "
                f"must be even, got {train_steps} and {window}"
            )

    def points(self, action: Array, counter: int, count: int, keyed: Keyed, spread: Spreading) -> tuple[Array, Seeds]:
        d = len(action)
        if self.group == "batch":
            key = keyed(counter // 2, count)
            offset = (1 - 2 * (counter % 2)) * self.sigma * ndtri(Noise(key[0]).uniform("perturbation", (d,)))
            return np.tile(action + offset, (count, 1)), key
        half = keyed(counter, count // 2)
        offsets = self.sigma * ndtri(Noise(half).uniform("perturbation", (d,)))
        return action + np.stack([offsets, -offsets], axis=1).reshape(-1, d), np.repeat(half, 2)

    def estimate(self, signal: Signal, generator: Generator, rng: np.random.Generator) -> Array:
        influences, offsets = [], []
        for step in signal.reversed():
            samples = signal.samples[step.k]
            around = samples.actions - signal.centre
            if self.group == "batch":
                whole = torch.dot(step.by_gradient.double(), signal.tape.gradients[step.k].double())
                influences.append(whole[None])
                offsets.append(around[:1])
            else:
                influences.append(signal.influence(step, samples.batch, self.exact))
                offsets.append(around)
        total = np.zeros(len(signal.centre))
        for influence, offset in zip(on_host(influences), offsets, strict=True):
            total += influence @ offset
        return total / self.sigma**2
