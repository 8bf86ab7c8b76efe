"""What a run is charged with in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Seconds(NamedTuple):
    """Of the CPU, of the clock on the wall, and of a GPU."""

    cpu: float = 0.0
    wall: float = 0.0
    gpu: float = 0.0


class Clock:
    """Seconds since the start, without the pauses; it may go on from what another has read.

    elsewhere: seconds so far that no clock of this process counts, as a GPU's.
    """

    def __init__(self, before: ArrayLike | None = None, elsewhere: Callable[[], Seconds] = Seconds) -> None:
        self._elsewhere = elsewhere
        self._paused = np.zeros(len(Seconds()))
        self._start = self._now() - np.asarray(Seconds() if before is None else before)

    def _now(self) -> NDArray[np.float64]:
        return np.add(Seconds(time.process_time(), time.perf_counter()), self._elsewhere())

    def read(self) -> Seconds:
        """The seconds until now."""
        return Seconds(*(self._now() - self._start - self._paused).tolist())

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Time inside does not count."""
        begin = self._now()
        try:
            yield
        finally:
            self._paused += self._now() - begin
