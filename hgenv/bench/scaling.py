"""What searches for beta would cost on many machines: a model of them, simulated event by event.

A search is rounds of independent tasks, each round followed by what only one machine can do. That machine, worker 0,
hands out the tasks one after another; the weights that they need go to every other worker once a round.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.beta.noise import Noise, keys
from hgenv.fields import AtLeast, Natural, Positive, check

ATTEMPTS = 1000
"""How often a task is tried before the search counts as one that does not end."""
NotNegative = Annotated[float, AtLeast(0)]


@dataclass(frozen=True)
class Cluster:
    """Assumptions on the machines, of which none is measured."""

    bytes_per_second: Positive = 1.25e9
    """Of the network link of a machine: 10 Gbit/s."""
    relayed: bool = True
    """Workers pass on the weights that they have, so that twice as many have them after every transfer; otherwise all
    come from worker 0, one after another."""
    overhead: NotNegative = 1e-3
    """Seconds that handing out a task takes worker 0."""
    straggling: NotNegative = 0.1
    """Mean share by which a task takes longer than its seconds, exponentially distributed; the same when it is tried
    again."""
    failures: NotNegative = 1e-3
    """Failures of a worker an hour."""
    restart: NotNegative = 60.0
    """Seconds until a worker that has failed is back."""

    def __post_init__(self) -> None:
        check(self)


class Search(NamedTuple):
    """Rounds of tasks (seconds each), and of what follows them on worker 0 (seconds).

    shared_bytes go to every other worker once a round, task_bytes with every task of theirs, there or back. A task
    that fails goes on from its last multiple of `checkpoint` seconds.
    """

    name: str
    rounds: int
    tasks: int
    task_seconds: float
    sequential_seconds: float
    shared_bytes: float
    task_bytes: float = 0.0
    checkpoint: float = math.inf


class Outcome(NamedTuple):
    """Of a whole search: wall seconds, seconds in which workers were at work, summed, and bytes over the network."""

    wall: float
    busy: float
    bytes: float


class _Event(NamedTuple):
    """A worker is free (task < 0), or a task is over or has failed; left: its seconds that have still to be done."""

    time: float
    worker: int
    task: int = -1
    attempt: int = 0
    left: float = 0.0


def simulate(search: Search, cluster: Cluster, workers: Natural, rounds: Natural = 8, seed: int = 0) -> Outcome:
    """The outcome of a search, from the mean of so many draws of its round."""
    seeds = keys(seed, "round", rounds)
    found = np.array([_Round(search, cluster, workers, int(key)).played() for key in seeds])
    return Outcome(*(found.mean(axis=0) * search.rounds).tolist())


class _Round:
    """One round: its clock, its queue, what is on the way."""

    def __init__(self, search: Search, cluster: Cluster, workers: int, seed: int) -> None:
        self._search, self._cluster = search, cluster
        self._seeds = keys(seed, "task", search.tasks + 1)  # the last is that of the sequential part
        self._luck: list[NDArray[np.float64]] = []
        self._waiting = deque(_Event(0.0, -1, task, 0, search.task_seconds) for task in range(search.tasks))
        self._idle = deque(range(workers))
        self._events: list[_Event] = []
        self._informed = 0
        self._knows = {0}  # worker 0 has the weights
        self._head = self._link = self.busy = self.bytes = 0.0

    def played(self) -> Outcome:
        """Play it to its end."""
        now, over = 0.0, 0
        self._hand_out(now)
        while over < self._search.tasks:
            now, worker, task, attempt, left = heappop(self._events)
            if task < 0:
                self._idle.append(worker)
            elif left > 0:
                self._waiting.appendleft(_Event(now, -1, task, attempt + 1, left))
            else:
                over += 1
            self._hand_out(now)
        return Outcome(now + self._sequential(), self.busy, self.bytes)

    def _hand_out(self, now: float) -> None:
        while self._waiting and self._idle:
            worker, job = self._idle.popleft(), self._waiting.popleft()
            self._head = max(now, self._head) + self._cluster.overhead
            begin = self._received(worker, self._head)
            self._work(worker, job.task, job.attempt, job.left, begin)

    def _received(self, worker: int, begin: float) -> float:
        """When a worker has what its task needs."""
        search, c = self._search, self._cluster
        if worker == 0:
            return begin
        if search.task_bytes:
            self._link = max(self._link, begin) + search.task_bytes / c.bytes_per_second
            begin, self.bytes = self._link, self.bytes + search.task_bytes
        if worker not in self._knows:
            self._knows.add(worker)
            self.bytes += search.shared_bytes
            self._informed += 1
            transfers = math.floor(math.log2(self._informed)) + 1 if c.relayed else self._informed
            begin = max(begin, transfers * search.shared_bytes / c.bytes_per_second)
        return begin

    def _work(self, worker: int, task: int, attempt: int, seconds: float, begin: float) -> None:
        """Put down what becomes of a task that a worker begins."""
        needed, alive, done = self._fate(task, attempt, seconds)
        self.busy += min(needed, alive)
        if alive >= needed:
            heappush(self._events, _Event(begin + needed, worker, task, attempt))
            heappush(self._events, _Event(begin + needed, worker))
        else:
            heappush(self._events, _Event(begin + alive, worker, task, attempt, seconds - done))
            heappush(self._events, _Event(begin + alive + self._cluster.restart, worker))

    def _fate(self, task: int, attempt: int, seconds: float) -> tuple[float, float, float]:
        """The seconds that a task needs, those until its worker fails, and how many of its own it then has kept."""
        c, every = self._cluster, self._search.checkpoint
        if attempt >= ATTEMPTS:
            raise ValueError(f"{seconds:.3g} seconds without a failure did not come in {ATTEMPTS} attempts")
        while len(self._luck) <= attempt:
            self._luck.append(-np.log(Noise(self._seeds).uniform(f"attempt {len(self._luck)}", (2,))))
        slow, fails = float(self._luck[0][task, 0]), float(self._luck[attempt][task, 1])
        stretch = 1.0 + c.straggling * slow
        if not c.failures:
            return seconds * stretch, math.inf, 0.0
        alive = fails * 3600.0 / c.failures
        return seconds * stretch, alive, 0.0 if every == math.inf else alive / stretch // every * every

    def _sequential(self) -> float:
        """Seconds of what worker 0 does alone: it may fail and begin again, but nobody waits for a straggler."""
        needed, wall = self._search.sequential_seconds, 0.0
        for attempt in itertools.count():
            _, alive, _ = self._fate(self._search.tasks, attempt, needed)
            self.busy += min(needed, alive)
            if alive >= needed:
                break
            wall += alive + self._cluster.restart
        return wall + needed
