"""SIGINT and SIGTERM: one is as good as the other, whatever a command is doing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, as systems send it to processes before they take the machine away."""


STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
_CAUGHT: list[int] = []  # an exception that a handler raises can be lost, as in a destructor
_IMPORTING: list[bool] = []


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGINT raises KeyboardInterrupt and SIGTERM TerminatedError, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise) for number in STATUS}
    try:
        yield
    finally:
        _CAUGHT.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def importing() -> Iterator[None]:
    """Inside, a signal ends the process at once: libraries in C that are loaded lose exceptions, or turn them into
    others."""
    _IMPORTING.append(True)
    try:
        yield
    finally:
        _IMPORTING.pop()


def check_interruption() -> None:
    """Raise what a signal has raised that was lost."""
    if _CAUGHT:
        raise _interruption(_CAUGHT[-1])


def interruption_status(interruption: KeyboardInterrupt) -> int:
    """The exit status that says which signal it was."""
    return STATUS[signal.SIGTERM if isinstance(interruption, TerminatedError) else signal.SIGINT]


def _raise(number: int, frame: FrameType | None) -> None:
    if _IMPORTING:
        os.write(2, b"interrupted\n")
        os._exit(STATUS[signal.Signals(number)])
    _CAUGHT.append(number)
    raise _interruption(number)


def _interruption(number: int) -> KeyboardInterrupt:
    return TerminatedError() if number == signal.SIGTERM else KeyboardInterrupt()
