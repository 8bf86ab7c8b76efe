"""The generator of an environment, f(beta, r): its samples, drawn when they are asked for, or ahead by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.beta.box import Box
from hgenv.episode import Ledger
from hgenv.learning.gradient import Samples
from hgenv.task import Sampled, Task, sampled

Array = NDArray[np.float64]
Seeds = NDArray[np.uint64]
_EACH = 2  # batches a thread that are drawn or wait to be used: more would only fill memory


@dataclass(frozen=True, eq=False)
class TaskGenerator:
    """A task's samples by actions, charged to a ledger. threads: how many draw ahead; with 0 nobody does."""

    task: Task
    box: Box
    device: torch.device
    ledger: Ledger
    threads: int = 0

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
        with ThreadPoolExecutor(self.threads, "hgenv-render") as pool:
            try:
                while True:
                    for actions, seeds in islice(left, _EACH * self.threads - len(drawn)):
                        drawn.append((actions, pool.submit(self._made, actions, seeds)))
                    if not drawn:
                        return
                    actions, future = drawn.popleft()
                    yield self._charged(actions, future.result())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _made(self, actions: Array, seeds: Seeds) -> Sampled:
        return sampled(self.task, self.box.beta(actions), seeds)

    def _charged(self, actions: Array, made: Sampled) -> Samples:
        self.ledger.renders += made.renders
        self.ledger.redrawn += made.redrawn
        score = partial(self.box.score, actions, made.noise.draws)
        return Samples(actions, made.noise.seeds, made.batch.to(self.device), score)
