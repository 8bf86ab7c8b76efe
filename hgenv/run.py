"""The one loop: an optimizer plays an environment and yields flat rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hgenv.beta.layout import Layout
from hgenv.checkpoint import Checkpoint, part
from hgenv.clock import Clock, Seconds
from hgenv.domains.domain import SPLITS
from hgenv.env import DataGenEnv, train_members
from hgenv.episode import Failure, Ledger
from hgenv.fields import Many, Positive, check

Array = NDArray[np.float64]
Row = dict[str, float]
COST_AXES = {
    "cpu_seconds": "CPU seconds", "gpu_seconds": "GPU seconds", "train_steps": "training steps, probes included",
    "renders": "renders",
}  # fmt: skip
"""What progress is plotted against: columns of the rows, with their titles."""
COST = tuple(f.name for f in dataclasses.fields(Ledger))


class Player(Protocol):
    """What the loop asks of an optimizer (optimizers.Optimizer)."""

    @property
    def uses_gradient(self) -> bool: ...
    @property
    def spread(self) -> str | None: ...
    @property
    def uses_steps(self) -> bool: ...
    @property
    def origins(self) -> NDArray[np.int64] | None: ...

    def init(self, x0: Array, rng: np.random.Generator) -> None: ...
    def ask(self) -> Array: ...
    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None: ...
    def recommend(self) -> Array: ...
    def found(self) -> Array: ...
    def found_spread(self) -> Array | None: ...
    def state_dict(self) -> dict[str, NDArray]: ...
    def load_state_dict(self, state: dict[str, NDArray]) -> None: ...


@dataclasses.dataclass(frozen=True)
class Budget:
    """When a run ends: at the first limit reached. Scoring and writing rows are free."""

    max_seconds: Positive | None = None
    """CPU seconds."""
    max_wall_seconds: Positive | None = None
    """Seconds on the clock."""
    max_gpu_seconds: Positive | None = None
    """Seconds of the GPU inside the environment's calls, and of an agent's learning there."""
    max_train_steps: Many | None = None
    """Inner training steps, probes included."""
    max_renders: Many | None = None
    """Rendered samples."""
    max_steps: Many | None = None
    """Environment steps."""

    def __post_init__(self) -> None:
        check(self)
        limits = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        if all(limit is None for limit in limits.values()):
            raise ValueError(f"a run needs at least one of {', '.join(limits)}")

    def spent(self, step: int, cost: Ledger, seconds: Seconds) -> float:
        """Share of the budget that is used up; the run ends at 1."""
        used = (
            (seconds.cpu, self.max_seconds), (seconds.wall, self.max_wall_seconds),
            (seconds.gpu, self.max_gpu_seconds), (cost.train_steps, self.max_train_steps),
            (cost.renders, self.max_renders), (step, self.max_steps),
        )  # fmt: skip
        return max(done / limit for done, limit in used if limit is not None)


class DivergedError(FloatingPointError):
    """A step has failed, or too many in a row."""


def run(
    env: DataGenEnv,
    optimizer: Player,
    budget: Budget,
    seed: int = 0,
    report_every: int = 5,
    checkpoint: Checkpoint | None = None,
    max_failed_steps: int = 10,
) -> Generator[Row, None, None]:
    """Play until the budget is spent; one row after reset and one a step.

    A row: step, val_loss, failed (a Failure, 0 for none), the ledger, cpu_seconds, wall_seconds and gpu_seconds, what
    the task reports, the agreement of successive gradients where they are computed, beta.NAME of every coordinate of
    the optimizer's answer so far, spread.NAME, standard deviations in the box, where that is a distribution, and, every
    `report_every` steps, validation.METRIC and test.METRIC of the averaged weights on the whole splits.
    All but the seconds depend on the seed and the options only.

    With a checkpoint whose file is there the run goes on from it, if all is made as it was then: the rows are those
    after the checkpoint's step.
    Raises ValueError if the environment does not give what the optimizer needs, or the checkpoint is another run's;
    DivergedError after `max_failed_steps` failed steps (DataGenEnv.step) in a row.
    """
    check_served(env, optimizer)
    before = {} if checkpoint is None else checkpoint.read()
    _, info = env.reset(seed=seed)
    if before:
        env.load_state_dict(part(before, "env"))
    optimizer.init(env.start, np.random.default_rng([seed, 1]))
    if before:
        optimizer.load_state_dict(part(before, "player"))
    clock, step = Clock(before.get("seconds"), partial(elsewhere, env)), int(before.get("step", 0))
    if not before:
        with clock.pause():  # what becomes of the row is not the optimizer's time
            yield make_row(env, Seconds(), step, info, env.start, True, optimizer.found_spread())
    try:
        while budget.spent(step, env.ledger, clock.read()) < 1.0:
            if checkpoint is not None:
                with clock.pause():
                    checkpoint.hold(step, clock.read(), env, optimizer.state_dict())
            info, step = _stepped(env, optimizer), step + 1
            seconds = clock.read()
            with clock.pause():
                report = step % report_every == 0 or budget.spent(step, env.ledger, seconds) >= 1.0
                yield make_row(env, seconds, step, info, optimizer.found(), report, optimizer.found_spread())
            check_progress(env, max_failed_steps)
    finally:
        if checkpoint is not None:
            checkpoint.write()


def _stepped(env: DataGenEnv, optimizer: Player) -> dict[str, Any]:
    """The info of a step that the optimizer has chosen and learned from."""
    points = optimizer.ask()
    if len(points):
        origins = optimizer.origins
        optimizer.tell(points, env.evaluate(points) if origins is None else train_members(env, points, origins))
    x = optimizer.recommend()
    _, _, _, _, info = env.step(x)
    if optimizer.uses_steps:
        optimizer.tell(x[None], np.array([info["val_loss"]]), info.get("hybrid_gradient"))
    return info


def check_progress(env: DataGenEnv, max_failed_steps: int) -> None:
    """Raise DivergedError if so many steps in a row have failed."""
    now = env.episode
    if now.failures >= max_failed_steps:
        what = Failure(now.failed).name.lower()
        raise DivergedError(f"{now.failures} failed steps in a row; of the last, step {now.steps}, not finite: {what}")


def measured_step(env: DataGenEnv, action: Array) -> dict[str, Any]:
    """The info of a step of which something is measured. DivergedError if it fails."""
    info = env.step(action)[4]
    check_progress(env, 1)
    return info


def check_served(env: DataGenEnv, optimizer: Player) -> None:
    """Raise ValueError if the environment does not give the gradient or the spread that the optimizer needs."""
    if optimizer.uses_gradient and env.options.gradient is None:
        raise ValueError("the optimizer needs the gradient: make the environment with gradient='perturbed' or another")
    if optimizer.spread is not None and env.options.spread != optimizer.spread:
        raise ValueError(f"the optimizer needs spread={optimizer.spread!r}, the environment has {env.options.spread!r}")


def make_row(
    env: DataGenEnv, seconds: Seconds, step: int, info: dict[str, Any], found: Array, report: bool,
    spread: Array | None = None,
) -> Row:  # fmt: skip
    """A row after a committed step, so many seconds into the run, whose answer so far is the action found (d,), or a
    distribution about it with standard deviations (d,)."""
    row: Row = {"step": step, "val_loss": info["val_loss"], "failed": info["failed"]}
    row |= {name: info[name] for name in COST} | {f"{name}_seconds": value for name, value in seconds._asdict().items()}
    row |= env.task.report()
    if env.options.gradient is not None and ("agreement" in info or step == 0):  # the first row has every column
        row["agreement"] = info.get("agreement", np.nan)
    for split in SPLITS if report else ():
        row |= {f"{split}.{name}": value for name, value in env.metrics(split).items()}
    if spread is None and env.options.spread == "found":  # what is trained on is the answer
        spread = env.box.found_spread
    answer = {"beta": env.box.beta(found)} | ({} if spread is None else {"spread": env.box.whole(spread)})
    names = env.task.layout.names
    return row | {f"{what}.{name}": x for what, xs in answer.items() for name, x in zip(names, xs, strict=True)}


def betas_of(layout: Layout, rows: Iterable[Row]) -> Array:
    """Physical beta (rows, d) of rows that make_row has made. KeyError for a row that lacks a coordinate."""
    return np.array([[row[f"beta.{name}"] for name in layout.names] for row in rows])


def spread_of(layout: Layout, row: Row) -> Array | None:
    """The standard deviations (d,), in the box, of a row's answer, if that is a distribution."""
    found = [row.get(f"spread.{name}") for name in layout.names]
    return None if None in found else np.array(found, np.float64)


def elsewhere(env: DataGenEnv) -> Seconds:
    """Seconds so far that no clock of this process counts: those of the environment's workers, and of the GPU."""
    cpu, gpu = np.sum([workers.seconds for workers in (env.workers, *env.helpers)], axis=0)
    return Seconds(cpu=cpu, gpu=gpu + env.gpu_time.seconds())


def seconds_of(row: Row) -> Seconds:
    """The seconds that a row has."""
    return Seconds(*(row.get(f"{name}_seconds", 0.0) for name in Seconds._fields))


def cost_axes(rows: Iterable[Row]) -> dict[str, str]:
    """The COST_AXES along which rows lie: GPU seconds only if a GPU was used."""
    used = any(row.get("gpu_seconds", 0.0) for row in rows)
    return {axis: title for axis, title in COST_AXES.items() if used or axis != "gpu_seconds"}
