"""Where the seconds of an environment go: training, its reverse, rendering, probes, whole steps, in one run.

Every repetition plays every piece once, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch

from hgenv.batch import Batch
from hgenv.bench import speed_report
from hgenv.bench.gpu import GpuUse, gpu_use
from hgenv.bench.speed_report import Row, label
from hgenv.beta.noise import keys
from hgenv.env import DataGenEnv, validation_rows
from hgenv.fields import AtLeast, AtMost, Natural, OnDisk, check
from hgenv.learning.learner import Learner
from hgenv.learning.training import SGD, Adam, FlatNetwork, InnerOptimizer, State, Tape, reverse
from hgenv.options import EnvOptions
from hgenv.task import Task, sampled

Threads = Annotated[int, AtLeast(0), AtMost(1024)]


@dataclasses.dataclass(frozen=True)
class SpeedOptions:
    """Seconds of the pieces of an environment's work, at the start beta."""

    sizes: tuple[str, ...] = ("small",)
    """Sizes of the task that are measured: small, medium, paper, or what the task has."""
    workers: tuple[str, ...] = ("1", "2")
    """What --workers of the environment is where probes are measured; the first is what the others are compared to."""
    render_workers: tuple[Threads, ...] = (0, 1, 2)
    """What --render-workers is where environment steps are measured, likewise."""
    probes: Natural = 4
    """Probes of one call of `evaluate`, where workers are compared."""
    steps: Natural = 4
    """Training steps in a row of a call, plain, bare or differentiated."""
    repeats: Natural = 10
    """Repetitions, after one that is not counted; the median counts."""
    out: OnDisk = "speed"
    """Folder of table.md, speed.csv and speed.png."""

    def __post_init__(self) -> None:
        check(self)
        if not (self.sizes and self.workers and self.render_workers):
            raise ValueError("name at least one of sizes, of workers and of render_workers")


class Piece(NamedTuple):
    """What is timed: `call` does so many units of so many samples each.

    to: the label of the piece that its ratio is to. parallel: other threads or processes work, so that its ratio is of
    wall seconds.
    """

    name: str
    call: Callable[[], object]
    units: int
    samples: int
    to: str = ""
    parallel: bool = False
    workers: str = ""
    render_workers: str = ""

    @property
    def label(self) -> str:
        """Its name in the table."""
        return label(self.name, self.workers, self.render_workers)


class Seconds(NamedTuple):
    """Of one unit of a piece."""

    wall: float
    cpu: float


def measure(
    env: str, tasks: Mapping[str, Task], options: EnvOptions, o: SpeedOptions
) -> Iterator[tuple[int, int, str]]:
    """Measure a task of every size, and write the report of those that are done; yields (done, in all, what is next).

    env: its id, for the report. options: of the training; those of workers are `o`'s.
    """
    rows: list[Row] = []
    for number, (size, task) in enumerate(tasks.items()):
        subject = Subject.of(task, options)
        pieces = list(_pieces(subject, options, o))
        times: dict[str, list[Seconds]] = {piece.label: [] for piece in pieces}
        rounds = o.repeats + 1
        for k, piece in itertools.product(range(rounds), pieces):
            done = (number * rounds + k) * len(pieces) + pieces.index(piece)
            yield done, len(tasks) * rounds * len(pieces), f"{size}, {piece.label}"
            seconds = timed(piece, subject.device)
            times[piece.label] += [seconds] if k else []
        rows += _rows(env, size, subject, pieces, times)
        speed_report.write(Path(o.out), rows, o.repeats)


class Subject(NamedTuple):
    """A task with a network of its own that trains on one batch."""

    task: Task
    learner: Learner
    batch: Batch
    device: torch.device

    @classmethod
    def of(cls, task: Task, options: EnvOptions) -> Subject:
        device = torch.device(options.device)
        model = FlatNetwork(task.network().to(device))
        learner = Learner(model, task.quantity, options.inner, options.weight_average, device)
        return cls(task, learner, _rendered(task, options.batch_size, 0).to(device), device)


def timed(piece: Piece, device: torch.device) -> Seconds:
    """Seconds of a unit of a piece; CPU seconds are those of this process."""
    _wait(device)
    wall, cpu = time.perf_counter(), time.process_time()
    piece.call()
    _wait(device)
    return Seconds((time.perf_counter() - wall) / piece.units, (time.process_time() - cpu) / piece.units)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _rendered(task: Task, count: int, seed: int) -> Batch:
    return sampled(task, np.tile(task.layout.initial, (count, 1)), keys(seed, "speed", count)).batch


def _pieces(subject: Subject, options: EnvOptions, o: SpeedOptions) -> Iterator[Piece]:
    size = options.batch_size
    yield Piece("training step", plain(subject, o.steps), o.steps, size)
    bare = bare_loop(subject, o.steps)
    if bare is not None:
        yield Piece("bare PyTorch step", bare, o.steps, size, "training step")
    yield Piece("differentiated step", partial(differentiated, subject, o.steps), o.steps, size, "training step")
    seeds = itertools.count(1)
    yield Piece("rendering a batch", lambda: _rendered(subject.task, size, next(seeds)), 1, size, "training step")
    yield from _of_environments(subject.task, options, o)


def plain(subject: Subject, steps: int) -> Callable[[], object]:
    """Training steps as an environment makes them."""
    learner, state = subject.learner, subject.learner.start()

    def play() -> None:
        nonlocal state
        state = learner.trained(state, itertools.repeat(subject.batch, steps))

    return play


def bare_loop(subject: Subject, steps: int) -> Callable[[], object] | None:
    """The same by an nn.Module and torch.optim; None if that has not the rule."""
    model, quantity, batch = subject.learner.model, subject.learner.quantity, subject.batch
    network = model.network(model.initial)
    rule = _torch_rule(subject.learner.rule, [p for p in network.parameters() if p.requires_grad])
    if rule is None:
        return None

    def play() -> None:
        for _ in range(steps):
            rule.zero_grad()
            quantity.loss(network(batch.image), batch).mean().backward()  # type: ignore[no-untyped-call]
            rule.step()

    return play


def _torch_rule(rule: InnerOptimizer, weights: list[torch.nn.Parameter]) -> torch.optim.Optimizer | None:
    match rule:
        case Adam():
            return torch.optim.Adam(weights, rule.learning_rate, (rule.beta1, rule.beta2), rule.epsilon)
        case SGD():
            return torch.optim.SGD(weights, rule.learning_rate, rule.momentum)
    return None


def differentiated(subject: Subject, steps: int) -> None:
    """Training steps there and back, with the sensitivities of the images, as the paper's scalar needs."""
    learner, batch = subject.learner, subject.batch
    state: State = learner.start()
    tape = Tape(learner.rule)
    for _ in range(steps):
        gradient = learner.gradient(state.weights, batch)
        tape.append(state, gradient, batch)
        state = learner.rule.update(state, gradient)
    for _ in reverse(learner.loss, tape, state.weights):
        pass


def _of_environments(task: Task, options: EnvOptions, o: SpeedOptions) -> Iterator[Piece]:
    """Validation, probes and whole steps; what workers do changes no bit, so that only seconds differ."""
    plain_options, trained = options.without_gradient(), options.train_steps * options.batch_size
    env = _reset(task, plain_options)
    images = len(validation_rows(env.episode, options, "validation", 0).image)
    yield Piece("validation", partial(_validate, env), 1, images, "training step")
    first = label("probes", o.workers[0], "")
    for workers in o.workers:
        own = _reset(task, dataclasses.replace(plain_options, workers=workers))
        call = partial(own.evaluate, np.tile(own.start, (o.probes, 1)))
        yield Piece("probes", call, o.probes, trained, first, True, workers=workers)
    first = label("environment step", "", str(o.render_workers[0]))
    for ahead in o.render_workers:
        own = _reset(task, dataclasses.replace(plain_options, render_workers=ahead))
        played = partial(own.step, own.start)
        yield Piece("environment step", played, 1, trained, first, True, render_workers=str(ahead))
    if options.gradient is not None:
        own = _reset(task, dataclasses.replace(options, gradient_every=1))
        yield Piece("environment step with its gradient", partial(own.step, own.start), 1, trained, first, True)


def _reset(task: Task, options: EnvOptions) -> DataGenEnv:
    env = DataGenEnv(task, options)
    env.reset(seed=0)
    return env


def _validate(env: DataGenEnv) -> float:
    rows = validation_rows(env.episode, env.options, "validation", 0)
    return env._learner.validate(env.episode.weights.weights, rows)


def _rows(
    env: str, size: str, subject: Subject, pieces: list[Piece], times: Mapping[str, list[Seconds]]
) -> Iterator[Row]:
    on_gpu = subject.device.type == "cuda"
    wall = {name: float(np.median([s.wall for s in seconds])) for name, seconds in times.items()}
    cpu = {name: float(np.median([s.cpu for s in seconds])) for name, seconds in times.items()}
    for piece in pieces:
        of = wall if on_gpu or piece.parallel else cpu
        low, high = np.percentile([s.wall for s in times[piece.label]], [25, 75])
        trains = piece.samples // len(subject.batch.image) * wall["training step"] + wall["validation"]
        steps = piece.name == "environment step"
        use: GpuUse | None = gpu_use(piece.call, subject.device) if on_gpu else None
        yield Row(
            env=env, size=size, weights=len(subject.learner.model.initial),
            picture_bytes=sum(part[0].nbytes for part in subject.batch),
            piece=piece.name, workers=piece.workers, render_workers=piece.render_workers,
            wall_seconds=wall[piece.label], wall_low=float(low), wall_high=float(high),
            # what the processes of workers do is not seen
            cpu_seconds=None if piece.workers not in ("", "1") else cpu[piece.label],
            samples=piece.samples, ratio=of[piece.label] / of[piece.to or piece.label], ratio_to=piece.to,
            waiting=max(0.0, 1.0 - trains / wall[piece.label]) if steps else None,
            gpu_busy=None if use is None else use.busy, gpu_peak_bytes=None if use is None else use.peak_bytes,
            device=torch.cuda.get_device_name(subject.device) if on_gpu else "cpu",
        )  # fmt: skip
