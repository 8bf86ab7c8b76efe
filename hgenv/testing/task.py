"""The contract of a task: options, layout, samples, memory; that of what it learns is in `learning`."""

from __future__ import annotations

import inspect
import math
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise, keys
from hgenv.env import DataGenEnv, own_torch
from hgenv.fields import check
from hgenv.learning.gradient import Estimator, ImageDifference, Score
from hgenv.options import EnvOptions, flat
from hgenv.run import COST
from hgenv.task import Task
from hgenv.testing.contract import ContractError, about, attempt, check_options, demand
from hgenv.testing.learning import check_batch, check_domain, check_network, check_quantity, same_pictures

Array = NDArray[np.float64]
_ROWS = 4


@own_torch()
def check_task(task: Task) -> None:
    """Raise ContractError, an AssertionError, that says in words the first thing which is wrong with a task.

    It renders a few dozen samples and trains a few steps: take small images and a small network.
    """
    with about(task.__name__ if isinstance(task, type) else type(task).__name__):
        _check_dataclass(task)
        check_options(task)
        _check_pickles(task, "as it is")
        _check_layout(task)
        samples = _check_samples(task)
        check_domain(task, samples)
        attempt("prepare()", task.prepare)
        check_quantity(task, check_network(task, samples), samples)
        _check_memory(task)
        _check_play(task)
        _check_pickles(task, "once it has been used")


def _check_dataclass(task: Task) -> None:
    cls: type[Any] = type(task)
    demand(not isinstance(task, type), "check_task takes a task, not its class: put () behind it")
    demand(isinstance(task, Task), "a task inherits from hgenv.Task")
    frozen = getattr(cls, "__dataclass_params__", None)
    demand(frozen is not None and frozen.frozen, "it is not a frozen dataclass: put @dataclass(frozen=True) above it")
    declared = [] if "__dataclass_params__" in vars(cls) else list(inspect.get_annotations(cls))
    demand(
        not declared,
        f"{', '.join(declared)} is no field, as @dataclass(frozen=True) stands above its base only: repeat it",
    )
    attempt("checking its fields against their annotations", lambda: check(task))


def _check_pickles(task: Task, when: str) -> None:
    """Processes that are spawned get what they need as a pickle."""
    try:
        again = pickle.loads(pickle.dumps(task))
    except Exception as error:  # pickle raises whatever a part of the task does
        raise ContractError(
            f"{when}, it cannot be pickled, which processes that are spawned need: {error}; nothing that it keeps may "
            "be a lambda, a generator or an open file"
        ) from error
    demand(flat(again) == flat(task), f"{when}, its pickle has other options")


def _check_layout(task: Task) -> None:
    layout = attempt("layout", lambda: task.layout)
    demand(not isinstance(layout, type), "layout is a class, not an instance: put () behind it")
    demand(isinstance(layout, Layout), f"layout must be a hgenv.beta.Layout, got {type(layout).__name__}")
    parameters = attempt("the declaration of beta", lambda: layout.parameters)
    demand(len(parameters) > 0, "layout declares no distribution: is @dataclass(frozen=True) above its class?")
    for p in parameters:
        demand(
            math.isfinite(p.low) and math.isfinite(p.high) and p.low < p.high,
            f"{p.name} needs a finite range, got [{p.low:g}, {p.high:g}]",
        )
        demand(
            p.low <= p.initial <= p.high,
            f"{p.name} starts at {p.initial:g}, outside its range [{p.low:g}, {p.high:g}]",
        )
    demand(len(set(layout.names)) == len(parameters), "two coordinates of beta have one name")
    demand(task.layout.names == layout.names, "layout is another one every time that it is looked up")


def _check_samples(task: Task) -> Batch:
    """n samples at the start and at points drawn from anywhere, which are a function of beta and noise, row by row."""
    layout = task.layout
    anywhere = np.random.default_rng(0).uniform(layout.low, layout.high, (_ROWS - 1, len(layout.low)))
    beta, seeds = np.concatenate([layout.initial[None], anywhere]), keys(0, "check_task", _ROWS)
    batch = _sampled(task, beta, seeds)
    again = _sampled(task, beta, seeds)
    demand(
        same_pictures(batch, again, exact=True),
        "sample() gives other pictures when it is called again with the same beta and seeds: its randomness is not "
        "keyed, or a call changes the task; draw all of it from noise",
    )
    for row in range(_ROWS):
        alone = _sampled(task, beta[row : row + 1], seeds[row : row + 1])
        demand(
            same_pictures(alone, batch.rows(slice(row, row + 1))),
            f"row {row} of sample() is another picture when it is sampled alone: a row must not depend on other rows",
        )
    _sampled(task, np.stack([layout.low, layout.high]), seeds[:2])
    for wrong in (layout.high + 0.1 * (layout.high - layout.low), np.full(len(layout.low), np.nan)):
        try:
            task.sample(wrong[None], Noise(seeds[:1]))
        except ValueError:
            continue
        except Exception as error:  # whatever an author's code raises
            raise ContractError(
                f"sample() must raise ValueError for beta outside its range, and raised {type(error).__name__}: {error}"
            ) from error
        raise ContractError("sample() takes beta outside its range: begin with bound = self.layout.bind(beta)")
    return batch


def _sampled(task: Task, beta: Array, seeds: NDArray[np.uint64]) -> Batch:
    given, noise = beta.copy(), Noise(seeds.copy())
    batch = attempt(f"sample() of {len(beta)} rows", lambda: task.sample(given, noise))
    check_batch(batch, "sample()", len(beta))
    demand(np.array_equal(given, beta), "sample() changes the beta that it is given")
    demand(np.array_equal(noise.seeds, seeds), "sample() changes the noise that it is given")
    return batch


def _check_memory(task: Task) -> None:
    """Committing leaves self as it is, and what it leaves behind can be recalled."""
    rng, layout = np.random.default_rng(1), task.layout
    before, memory = _pictures(task), _memory(task)
    after = task
    for _ in range(3):
        beta, now = rng.uniform(layout.low, layout.high), after
        after = attempt("commit()", lambda now=now, beta=beta: now.commit(beta))  # type: ignore[misc]
        demand(type(after) is type(task), f"commit() must give a {type(task).__name__}, got {type(after).__name__}")
    demand(
        same_pictures(_pictures(task), before, exact=True) and _equal(_memory(task), memory),
        "commit() changes the task itself: give another one, and leave self as it is",
    )
    left = _memory(after)
    if left is None:
        same = same_pictures(_pictures(after), before, exact=True)
        demand(same, "samples change with what is committed, and memory is None: a continued run would forget it")
    else:
        recalled = attempt("recall() of what memory gave", lambda: task.recall(left))
        demand(
            same_pictures(_pictures(recalled), _pictures(after), exact=True) and _equal(_memory(recalled), left),
            "recall(memory) gives a task with other samples, or another memory, than the one whose memory it was",
        )
        try:
            task.recall(np.full((1, left.shape[1] + 1), np.nan))
            raise ContractError("recall() takes a memory of a wrong width, of NaN: it must raise ValueError")
        except ValueError:
            pass
    _check_report(task, after)


def _check_report(task: Task, after: Task) -> None:
    reports = [attempt("report()", one.report) for one in (task, after)]
    demand(reports[0].keys() == reports[1].keys(), "report() has other names after a step: rows of a run have columns")
    for name, value in reports[1].items():
        demand(isinstance(value, float | int), f"report() must have numbers, and {name} is {value!r}")
        taken = name in (*COST, "step", "val_loss", "beta", "cpu_seconds", "wall_seconds") or "." in name
        demand(not taken, f"report() uses the name {name}, which rows of a run have already")


def _memory(task: Task) -> Array | None:
    memory = attempt("memory", lambda: task.memory)
    if memory is None:
        return None
    demand(isinstance(memory, np.ndarray) and memory.ndim == 2, "memory must be None or an array of (k, w)")
    return memory.copy()


def _equal(a: Array | None, b: Array | None) -> bool:
    return (a is None) == (b is None) and (a is None or b is None or np.array_equal(a, b))


def _pictures(task: Task) -> Batch:
    seeds = keys(1, "check_task", 2 * _ROWS)
    return _sampled(task, np.tile(task.layout.initial, (len(seeds), 1)), seeds)


def _check_play(task: Task) -> None:
    """An environment steps, differentiates and continues."""
    estimators: list[Estimator] = [ImageDifference(directions=1)]
    if task.layout.has_density:
        estimators.append(Score())
    for estimator in estimators:
        options = EnvOptions(gradient=estimator, train_steps=2, batch_size=2, validation_images=4)
        envs = [attempt("an environment of it", lambda: DataGenEnv(task, options)) for _ in range(2)]  # noqa: B023
        losses = [attempt("reset()", lambda env=env: env.reset(seed=0)[1]["val_loss"]) for env in envs]  # type: ignore[misc]
        demand(losses[0] == losses[1], f"two resets with one seed have the losses {losses[0]} and {losses[1]}")
        info = attempt("a step", lambda: envs[0].step(envs[0].start)[4])  # noqa: B023
        what = f"a step with gradient={type(estimator).__name__} has a"
        demand(math.isfinite(info["val_loss"]), f"{what} validation loss of {info['val_loss']}")
        demand(bool(np.isfinite(info["hybrid_gradient"]).all()), f"{what} gradient that is not finite")
        attempt("continuing an episode", lambda: envs[1].load_state_dict(envs[0].state_dict()))  # noqa: B023
        ends = [attempt("a step", lambda env=env: env.step(env.start)[4]["val_loss"]) for env in envs]  # type: ignore[misc]
        demand(ends[0] == ends[1], "an episode that is continued has another loss than one that was not interrupted")
