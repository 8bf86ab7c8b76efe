"""Episode: one record of all that a continued run depends on. A step makes a new one; committing is one assignment."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hgenv.learning.learner import Outcome
from hgenv.learning.members import Member, Members
from hgenv.learning.signal import Signal
from hgenv.learning.training import State
from hgenv.options import EnvOptions
from hgenv.task import Task

Array = NDArray[np.float64]
_MASK = 2**64 - 1


@dataclass
class Ledger:
    """Deterministic counts since reset(), probes included: the meter that runs along with an episode.

    A differentiated step is one with its curvature or its images' sensitivities; influences counts samples, a
    validation forward is one image; clipped counts coordinates of actions that were outside the box; failed steps have
    committed nothing, as their loss, weights or gradient were not finite; redrawn counts samples that could not be
    made of their keys, and renders those that were made instead of them, too.
    """

    renders: int = 0
    train_steps: int = 0
    differentiated_steps: int = 0
    influences: int = 0
    validation_forwards: int = 0
    clipped: int = 0
    failed_steps: int = 0
    redrawn: int = 0

    def count(self, differentiated_steps: int, influences: int) -> None:
        """Charge a reverse pass and influences."""
        self.differentiated_steps += differentiated_steps
        self.influences += influences

    def add(self, other: Ledger) -> None:
        """Charge what has been counted apart."""
        for name, number in dataclasses.asdict(other).items():
            setattr(self, name, getattr(self, name) + number)


@contextmanager
def charged(ledger: Ledger) -> Iterator[None]:
    """Takes costs back if what they were for did not finish."""
    before = dataclasses.asdict(ledger)
    try:
        yield
    except BaseException:
        vars(ledger).update(before)
        raise


class Failure(IntEnum):
    """What was not finite in a step, which then has committed nothing."""

    NONE = 0
    LOSS = 1
    WEIGHTS = 2
    """Or their moments: a gradient that is not finite, or too large, leaves its trace in one of them."""
    GRADIENT = 3
    """The hybrid gradient."""


def failure(outcome: Outcome) -> Failure:
    """Whether training has come to something finite, and validation with it."""
    if not outcome.finite:
        return Failure.WEIGHTS
    return Failure.NONE if math.isfinite(outcome.loss) else Failure.LOSS


@dataclass(frozen=True)
class Episode:
    """weights: those being trained, with their moments; average (p,): those scored and kept. start, start_spread
    (d_all,), action (d,): in the box. losses: the last validation losses, newest first. direction (d,): of the last
    hybrid gradient. task, first_task: now and at reset; they differ where the generator remembers. random_state: of
    Gymnasium's generator, as words. failed: the Failure of the last step. failures: failed steps in a row, up to the
    last. members: networks that are trained beside, if there are any. gradients (m, p): of some of the last batches, if
    the estimator wants them. signal: what the last differentiated step knows, which is not kept."""

    seed: int
    steps: int
    evaluations: int
    weights: State
    average: Tensor
    start: Array
    start_spread: Array
    action: Array
    losses: Array
    direction: Array
    ledger: Ledger
    task: Task
    first_task: Task
    random_state: NDArray[np.uint64]
    failed: int = 0
    failures: int = 0
    members: Members | None = None
    gradients: Tensor | None = None
    signal: Signal | None = None

    def at_rest(self) -> Episode:
        """The episode as it is now, whose ledger does not run along."""
        return dataclasses.replace(self, ledger=dataclasses.replace(self.ledger), signal=None)

    def members_at(self, origins: ArrayLike, count: int) -> list[Member]:
        """The members of which so many others begin; ValueError unless origins are as many of their indices."""
        chosen, present = np.asarray(origins), count if self.members is None else len(self.members.rows)
        fits = chosen.shape == (count,) and chosen.dtype.kind in "iu"
        if not fits or not ((chosen >= 0) & (chosen < present)).all():
            raise ValueError(f"origins must be {count} integers from 0 to {present - 1}, got {chosen.tolist()}")
        if self.members is None:
            return [Member(self.weights, self.average)] * count
        return [self.members.member(int(i), len(self.average)) for i in chosen]

    def followed_by(self, members: list[Member], losses: Array) -> Episode:
        """The episode once these have been trained, with losses (k,): the best one's network is the current one."""
        after = dataclasses.replace(self, evaluations=self.evaluations + 1)
        if not np.isfinite(losses).any():
            return dataclasses.replace(after, members=None)
        best = members[int(np.where(np.isfinite(losses), losses, np.inf).argmin())]
        return dataclasses.replace(after, weights=best.state, average=best.average, members=Members.of(members))

    def to_arrays(self) -> dict[str, Any]:
        """The fields as plain arrays and numbers; what has parts of its own is spread out."""
        found: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            found |= _spread_out(field.name, getattr(self, field.name))
        return found

    def from_arrays(self, given: dict[str, Any]) -> Episode:
        """The episode of which to_arrays() gave these, made like this one. ValueError names what does not fit."""
        given = {name: np.array(value) for name, value in given.items()}
        own = Members.of([Member(self.weights, self.average)]) if "members" in given else None
        recent = self.weights.weights[None] if "gradients" in given else None
        like = dataclasses.replace(self, members=own, gradients=recent)
        mine = like.to_arrays()
        if given.keys() != mine.keys():
            raise ValueError(f"state has the entries {sorted(given)}, expected {sorted(mine)}")
        for name, value in mine.items():
            wanted, got = np.asarray(value), given[name]
            if name.endswith(("memory", "members", "gradients")) and got.ndim == wanted.ndim:
                wanted = np.broadcast_to(wanted[:1], (len(got), *wanted.shape[1:]))  # there may be more of it
            if wanted.shape != got.shape or wanted.dtype.kind != got.dtype.kind or wanted.itemsize != got.itemsize:
                raise ValueError(f"{name} is {got.dtype} {got.shape}, expected {wanted.dtype} {wanted.shape}")
        random_state(given["random_state"])
        kept = [f.name for f in dataclasses.fields(self) if f.name != "signal"]
        return Episode(**{name: _gathered(name, getattr(like, name), given) for name in kept})


def observed(now: Episode, options: EnvOptions) -> NDArray[np.float32]:
    """What DataGenEnv shows of an episode."""
    losses = now.losses[: options.observed_losses]
    with np.errstate(invalid="ignore"):
        bounded = np.where(np.isfinite(losses), losses / (1.0 + np.abs(losses)), 1.0)
    done = min(1.0, now.steps / options.observed_steps)
    gradient = now.direction if options.observe_gradient else np.zeros(0)
    return np.concatenate([now.action, bounded, [done], gradient]).astype(np.float32)


def _spread_out(name: str, value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, Signal):
        return {}
    if isinstance(value, Task):
        return {} if value.memory is None else {name.replace("task", "memory"): value.memory.copy()}
    if isinstance(value, State):
        moments = {f"moment{i}": _array(moment) for i, moment in enumerate(value.moments)}
        return {name: _array(value.weights), **moments, "taken": value.taken}
    if isinstance(value, Members):
        return {name: _array(value.rows), f"{name}.taken": value.taken}
    if isinstance(value, Ledger):
        return {f"{name}.{count}": number for count, number in dataclasses.asdict(value).items()}
    return {name: _array(value) if isinstance(value, Tensor | np.ndarray) else value}


def _gathered(name: str, mine: Any, given: dict[str, NDArray]) -> Any:
    """The value of a field from the arrays, of the kind and on the device of mine."""
    if isinstance(mine, State):
        parts = [torch.from_numpy(given[k]).to(mine.weights.device) for k in _spread_out(name, mine) if k != "taken"]
        return State(parts[0], tuple(parts[1:]), int(given["taken"]))
    if isinstance(mine, Members):
        return Members(torch.from_numpy(given[name]).to(mine.rows.device), int(given[f"{name}.taken"]))
    if isinstance(mine, Task):
        memory = given.get(name.replace("task", "memory"))
        return mine if memory is None else mine.recall(memory)
    if isinstance(mine, Ledger):
        return Ledger(**{f.name: int(given[f"{name}.{f.name}"]) for f in dataclasses.fields(Ledger)})
    if isinstance(mine, Tensor):
        return torch.from_numpy(given[name]).to(mine.device)
    if mine is None:
        return None
    return int(given[name]) if isinstance(mine, int) else given[name]


def _array(value: Tensor | NDArray) -> NDArray:
    return value.detach().cpu().numpy().copy() if isinstance(value, Tensor) else value.copy()


def random_words(generator: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a PCG64 generator as words (6,), which need no unpickling."""
    state: Any = generator.bit_generator.state
    pair = (state["state"]["state"], state["state"]["inc"])
    words = [word for number in pair for word in (number >> 64, number & _MASK)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def random_state(words: NDArray[np.uint64]) -> dict[str, Any]:
    """Inverse of `random_words`. Raises ValueError if the words are not a state."""
    a, b, c, d, has, value = (int(word) for word in words)
    state = {
        "bit_generator": "PCG64", "state": {"state": a << 64 | b, "inc": c << 64 | d}, "has_uint32": has,
        "uinteger": value,
    }  # fmt: skip
    scratch: Any = np.random.PCG64()
    try:
        scratch.state = state
    except (OverflowError, ValueError, TypeError) as error:
        raise ValueError(f"random_state is not the state of a random generator: {error}") from error
    return state
