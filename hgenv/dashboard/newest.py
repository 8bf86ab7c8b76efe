"""One thread that does one thing at a time, and of what waits only what was asked last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")


class OvertakenError(Exception):
    """Something newer was asked before this was begun."""


class Newest:
    """Call it with what is to be done. The thread ends with the process, whatever it is at."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._waiting: tuple[Future, Callable[[], Any]] | None = None
        threading.Thread(target=self._work, name="hgenv-newest", daemon=True).start()

    def __call__(self, work: Callable[[], T]) -> T:
        """What the work gives, or raises. Raises OvertakenError if it was not done."""
        mine: Future[T] = Future()
        with self._change:
            if self._waiting is not None:
                self._waiting[0].cancel()
            self._waiting = mine, work
            self._change.notify()
        try:
            return mine.result()
        except CancelledError as error:
            raise OvertakenError from error

    def _work(self) -> None:
        while True:
            with self._change:
                while self._waiting is None:
                    self._change.wait()
                (future, work), self._waiting = self._waiting, None
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
