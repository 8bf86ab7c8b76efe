"""Where the seconds of an environment go: training, its reverse, rendering, probes, whole steps, in one run.

Every repetition plays every piece once, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hgenv.batch import Batch
from hgenv.bench import speed_report
from hgenv.bench.gpu import gpu_use
from hgenv.bench.speed_report import Row, label
from hgenv.beta.noise import keys
from hgenv.env import DataGenEnv
from hgenv.episode import Ledger
from hgenv.fields import Natural, OnDisk, Threads, check
from hgenv.generator import Array, Seeds, TaskGenerator
from hgenv.learning.gradient import Samples
from hgenv.learning.learner import Learner
from hgenv.learning.training import SGD, Adam, FlatNetwork, InnerOptimizer, Tape, reverse
from hgenv.options import EnvOptions, in_place
from hgenv.probe import validation_rows
from hgenv.task import Task, sampled
from hgenv.workers import check as check_workers


@dataclasses.dataclass(frozen=True)
class SpeedOptions:
    """Seconds of the pieces of an environment's work, at the start beta."""

    sizes: tuple[str, ...] = ("small",)
    """Sizes of the task that are measured: small, medium, paper, or what the task has."""
    workers: tuple[str, ...] = ("1", "2")
    """What --workers of the environment is where probes are measured; the first is what the others are compared to."""
    render_workers: tuple[Threads, ...] = (0, 1, 2)
    """What --render-workers is where environment steps are measured, likewise."""
    points: Natural = 4
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
        for workers in self.workers:
            check_workers(workers)


class Piece(NamedTuple):
    """What is timed: `call` does so many units of so many samples each.

    to: the label of the piece that its ratio is to. env: whose workers and threads take part, so that the ratio is of
    wall seconds.
    """

    name: str
    call: Callable[[], object]
    units: int
    samples: int
    to: str = ""
    env: Watched | None = None
    workers: str = ""
    render_workers: str = ""

    @property
    def label(self) -> str:
        """Its name in the table."""
        return label(self.name, self.workers, self.render_workers)


class Seconds(NamedTuple):
    """Of one unit of a piece; waited: those in which the training of an environment step waits for its pictures."""

    wall: float
    cpu: float
    waited: float


@dataclasses.dataclass(frozen=True, eq=False)
class _Watch(TaskGenerator):
    """A generator that notes the seconds which whoever trains waits for each batch."""

    waited: list[float] = dataclasses.field(default_factory=list)

    def ahead(self, points: Iterable[tuple[Array, Seeds]]) -> Iterator[Samples]:
        drawn = super().ahead(points)
        while True:
            begin = time.perf_counter()
            samples = next(drawn, None)
            self.waited.append(time.perf_counter() - begin)
            if samples is None:
                return
            yield samples


class Watched(DataGenEnv):
    """An environment that notes how long its steps wait for their pictures."""

    def __init__(self, task: Task, options: EnvOptions) -> None:
        super().__init__(task, options)
        self.waited: list[float] = []
        self.reset(seed=0)

    @property
    def generate(self) -> TaskGenerator:
        made = super().generate
        return _Watch(made.task, made.box, made.device, made.ledger, made.threads, made.rows, made.helpers, self.waited)


def measure(
    env: str, tasks: Mapping[str, Task], options: EnvOptions, o: SpeedOptions
) -> Iterator[tuple[int, int, str]]:
    """Measure a task of every size, and write the report of those that are done; yields (done, in all, what is next).

    env: its id, for the report. options: of the training; those of workers are `o`'s.
    """
    rows: list[Row] = []
    for number, (size, task) in enumerate(tasks.items()):
        subject, rounds = Subject.of(task, options), o.repeats + 1
        with ExitStack() as stack:
            pieces = list(_pieces(subject, options, o, stack))
            times: dict[str, list[Seconds]] = {piece.label: [] for piece in pieces}
            for done, (k, piece) in enumerate(itertools.product(range(rounds), pieces), number * rounds * len(pieces)):
                yield done, len(tasks) * rounds * len(pieces), f"{size}, {piece.label}"
                seconds = timed(piece, subject.device)
                times[piece.label] += [seconds] if k else []
            rows += rows_of(env, size, subject, pieces, times)
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

    def flops(self) -> int:
        """Floating-point operations of a training step a sample, of convolutions and matrix products."""
        with FlopCounterMode(display=False) as counter:
            self.learner.gradient(self.learner.model.initial, self.batch.rows(slice(1)))
        return int(counter.get_total_flops())


def timed(piece: Piece, device: torch.device) -> Seconds:
    """Seconds of a unit of a piece; CPU seconds are those of this process and of the workers'."""
    _wait(device)
    waited: list[float] = [] if piece.env is None else piece.env.waited
    waited.clear()
    wall, cpu = time.perf_counter(), _cpu(piece)
    piece.call()
    _wait(device)
    found = (time.perf_counter() - wall, _cpu(piece) - cpu, sum(waited))
    return Seconds(*(seconds / piece.units for seconds in found))


def _cpu(piece: Piece) -> float:
    return time.process_time() + (0.0 if piece.env is None else float(piece.env.workers.seconds[0]))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _rendered(task: Task, count: int, seed: int) -> Batch:
    return sampled(task, np.tile(task.layout.initial, (count, 1)), keys(seed, "speed", count)).batch


def _pieces(subject: Subject, options: EnvOptions, o: SpeedOptions, stack: ExitStack) -> Iterator[Piece]:
    task, size, counters = subject.task, options.batch_size, itertools.count(1)
    yield Piece("training step", plain(subject, o.steps), o.steps, size)
    model = subject.learner.model
    bare = bare_loop(subject, model.network(model.initial), o.steps)
    if bare is not None:
        yield Piece("bare PyTorch step", bare, o.steps, size, "training step")
    yield Piece("differentiated step", partial(differentiated, subject, o.steps), o.steps, size, "training step")
    yield Piece("rendering a batch", lambda: _rendered(task, size, next(counters)), 1, size, "training step")
    images = len(_validation(task, options, 0).image)
    yield Piece("validation", lambda: _validate(subject, options, next(counters)), 1, images, "training step")
    yield from _of_environments(task, options, o, stack)


def _validation(task: Task, options: EnvOptions, counter: int) -> Batch:
    return validation_rows(task, options, Ledger(), 0, "validation", counter)


def _validate(subject: Subject, options: EnvOptions, counter: int) -> float:
    learner = subject.learner
    return learner.validate(learner.model.initial, _validation(subject.task, options, counter))


def plain(subject: Subject, steps: int) -> Callable[[], object]:
    """Training steps as an environment makes them."""
    learner, state = subject.learner, subject.learner.start()

    def play() -> None:
        nonlocal state
        state = learner.trained(state, itertools.repeat(subject.batch, steps))

    return play


def bare_loop(subject: Subject, network: nn.Module, steps: int) -> Callable[[], object] | None:
    """The same of an nn.Module, which changes, by torch.optim; None if that has not the rule."""
    quantity, batch = subject.learner.quantity, subject.batch
    rule = _torch_rule(subject.learner.rule, [p for p in network.parameters() if p.requires_grad])
    if rule is None:
        return None

    def play() -> None:
        for _ in range(steps):
            rule.zero_grad()
            quantity.loss(network(batch.image), batch).mean().backward()  # type: ignore[no-untyped-call]
            rule.step()

    return play


def _torch_rule(rule: InnerOptimizer, weights: list[nn.Parameter]) -> torch.optim.Optimizer | None:
    match rule:
        case Adam():
            return torch.optim.Adam(weights, rule.learning_rate, (rule.beta1, rule.beta2), rule.epsilon)
        case SGD():
            return torch.optim.SGD(weights, rule.learning_rate, rule.momentum)
    return None


def differentiated(subject: Subject, steps: int) -> None:
    """Training steps there and back, with the sensitivities of the images, as the paper's scalar needs."""
    learner, batch = subject.learner, subject.batch
    state, tape = learner.start(), Tape(learner.rule)
    for _ in range(steps):
        gradient = learner.gradient(state.weights, batch)
        tape.append(state, gradient, batch)
        state = learner.rule.update(state, gradient)
    for _ in reverse(learner.loss, tape, state.weights):
        pass


def _of_environments(task: Task, options: EnvOptions, o: SpeedOptions, stack: ExitStack) -> Iterator[Piece]:
    """Probes and whole steps; who does the work changes no bit, so that only seconds differ."""
    trained, first = options.train_steps * options.batch_size, ("probes", "environment step")

    def made(**own: Any) -> Watched:
        return stack.enter_context(closing(Watched(task, dataclasses.replace(options.without_gradient(), **own))))

    for workers in o.workers:
        env = made(workers=workers, render_workers=0)
        probes, to = partial(env.evaluate, np.tile(env.start, (o.points, 1))), label(first[0], o.workers[0], "")
        yield Piece("probes", probes, o.points, trained, to, env, workers=workers)
    to = label(first[1], "", str(o.render_workers[0]))
    for threads in o.render_workers:
        env = made(workers="1", render_workers=threads)
        yield Piece("environment step", partial(env.step, env.start), 1, trained, to, env, render_workers=str(threads))
    if options.gradient is not None:
        chosen = in_place(options)
        env = made(**{name: getattr(chosen, name) for name in ("gradient", "workers", "render_workers")})
        yield Piece("environment step with its gradient", partial(env.step, env.start), 1, trained, to, env)


def rows_of(
    env: str, size: str, subject: Subject, pieces: Sequence[Piece], times: Mapping[str, Sequence[Seconds]]
) -> Iterator[Row]:
    """The report's rows of a size; every ratio is of medians of these times."""
    on_gpu = subject.device.type == "cuda"
    flops = subject.flops()
    median = {name: Seconds(*np.median(seconds, axis=0).tolist()) for name, seconds in times.items()}
    for piece in pieces:
        own, other = median[piece.label], median[piece.to or piece.label]
        low, high = np.percentile([seconds.wall for seconds in times[piece.label]], [25, 75])
        use = gpu_use(piece.call, subject.device) if on_gpu else None
        yield Row(
            env=env, size=size, weights=len(subject.learner.model.initial),
            picture_bytes=sum(part[0].nbytes for part in subject.batch), flops=flops,
            piece=piece.name, workers=piece.workers, render_workers=piece.render_workers,
            wall_seconds=own.wall, wall_low=float(low), wall_high=float(high), cpu_seconds=own.cpu,
            samples=piece.samples, ratio_to=piece.to,
            ratio=own.wall / other.wall if on_gpu or piece.env else own.cpu / other.cpu,
            waiting=own.waited / own.wall if piece.render_workers else None,
            gpu_busy=None if use is None else use.busy, gpu_peak_bytes=None if use is None else use.peak_bytes,
            device=torch.cuda.get_device_name(subject.device) if on_gpu else "cpu",
        )  # fmt: skip
