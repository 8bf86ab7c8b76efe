"""The generator of an environment, f(beta, r): its samples, drawn when they are asked for, or ahead by threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.beta.box import Box
from hgenv.episode import Ledger
from hgenv.learning.signal import Samples
from hgenv.task import Sampled, Task, sampled
from hgenv.workers import Here, Workers

Array = NDArray[np.float64]
Seeds = NDArray[np.uint64]
_EACH = 2  # batches a thread that are drawn or wait to be used: more would only fill memory
_ROWS = threading.Lock()  # workers are asked by one thread at a time


def _sampled_part(task: Task, part: tuple[Array, Seeds]) -> Sampled:
    return sampled(task, *part)


@dataclass(frozen=True, eq=False)
class TaskGenerator:
    """A task's samples by actions, charged to a ledger. threads: how many draw ahead; with 0 nobody does. rows: where
    the rows of a batch are drawn, in so many parts. helpers: as many workers as threads, which those have draw."""

    task: Task
    box: Box
    device: torch.device
    ledger: Ledger
    threads: int = 0
    rows: Workers = Here()
    helpers: tuple[Workers, ...] = ()

    def __call__(self, actions: Array, seeds: Seeds) -> Samples:
        """f(beta, r) of actions (n, d) and seeds (n,). What cannot be made is drawn anew (`hgenv.task.sampled`)."""
        return self._charged(actions, self._made(actions, seeds))

    def ahead(self, points: Iterable[tuple[Array, Seeds]]) -> Iterator[Samples]:
        """The samples of each (actions, seeds), in their order. While one is used, those that follow are drawn.

        As every draw is keyed this changes no bit; what is drawn and not used in the end is not charged.
        """
        if not self.threads:
            yield from (self(*point) for point in points)
            return
        left, drawn = iter(points), deque[tuple[Array, Future[Sampled]]]()
        free = SimpleQueue[Workers]()
        for helper in self.helpers:
            free.put(helper)
        with ThreadPoolExecutor(self.threads, "hgenv-render") as pool:
            try:
                while True:
                    for actions, seeds in islice(left, _EACH * self.threads - len(drawn)):
                        drawn.append((actions, pool.submit(self._ahead, free, actions, seeds)))
                    if not drawn:
                        return
                    actions, future = drawn.popleft()
                    yield self._charged(actions, future.result())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _ahead(self, free: SimpleQueue[Workers], actions: Array, seeds: Seeds) -> Sampled:
        if not self.helpers:
            return self._made(actions, seeds)
        helper = free.get()
        try:
            return helper.map(_sampled_part, (self.task,), [(self.box.beta(actions), seeds)])[0]
        finally:
            free.put(helper)

    def _made(self, actions: Array, seeds: Seeds) -> Sampled:
        beta, count = self.box.beta(actions), min(self.rows.count, len(seeds))
        if count == 1:
            return sampled(self.task, beta, seeds)
        parts = list(zip(np.array_split(beta, count), np.array_split(seeds, count), strict=True))
        with _ROWS:
            return Sampled.join(self.rows.map(_sampled_part, (self.task,), parts))

    def _charged(self, actions: Array, made: Sampled) -> Samples:
        self.ledger.renders += made.renders
        self.ledger.redrawn += made.redrawn
        score = partial(self.box.score, actions, made.noise.draws)
        return Samples(actions, made.noise.seeds, made.batch.to(self.device), score)
