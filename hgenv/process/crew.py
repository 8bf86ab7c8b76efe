"""The processes of one generator: as many as are asked at a time, started when they are needed, and kept."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Any

from hgenv.cache import say_once
from hgenv.process.child import Arrays, Child, GeneratorError, LostError, RefusedError, Request

ATTEMPTS = 3
"""How often a sample may lose the process that makes it; the next time, it counts as one that cannot be made."""


class Crew:
    """Asked by any number of threads. A process that dies or hangs is replaced, and the sample is asked for again: it
    follows from its request, whoever makes it."""

    def __init__(self, start: Callable[[], Child]) -> None:
        self._start, self._idle, self._lock = start, list[Child](), threading.Lock()
        self._lost = False  # whether the last sample was, ATTEMPTS times
        self._works = False  # whether any process has come as far as to be asked
        atexit.register(self.close)

    def ask(self, request: Request) -> Arrays:
        """The parts of a sample. Raises RefusedError for one that cannot be made, GeneratorError if none can."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._asked(request)
            except LostError as error:
                if attempt == ATTEMPTS and self._lost:
                    raise GeneratorError(f"two samples in a row were lost, {ATTEMPTS} times each: {error}") from error
                reason = str(error)
                say_once(f"a generator was lost, and is started again: {reason}")
        self._lost = True
        raise RefusedError(f"a sample was lost {ATTEMPTS} times: {reason}")

    def _asked(self, request: Request) -> Arrays:
        with self._lock:
            child = self._idle.pop() if self._idle else None
        child = child or self._started()
        try:
            found = child.ask(request)
        except RefusedError:
            self._rest(child)
            raise
        self._rest(child)
        return found

    def _started(self) -> Child:
        """A new process; that it dies before it is asked is no sample's fault."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                child = self._start()
                break
            except LostError as error:
                if not self._works or attempt == ATTEMPTS:
                    raise GeneratorError(f"a generator does not start: {error}") from error
        self._works = True
        return child

    def _rest(self, child: Child) -> None:
        with self._lock:
            self._lost = False
            self._idle.append(child)

    def close(self) -> None:
        """End the processes that nobody asks; they start again if they are needed."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.stop(seconds=2.0)


_CREWS: dict[Any, Crew] = {}
_MAKING = threading.Lock()


def crew_of(key: Any, start: Callable[[], Child]) -> Crew:
    """The crew of this process that belongs to a key, a new one if there is none."""
    with _MAKING:
        if key not in _CREWS:
            _CREWS[key] = Crew(start)
        return _CREWS[key]
