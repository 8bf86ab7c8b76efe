"""One process at a time writes to a folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hgenv.files import not_written

LOCK, WRITER = ".lock", ".writer"
"""Files of a folder: what is locked, and who has it, while he has."""


class BusyError(ValueError):
    """Another process writes to the folder."""


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """While this lasts nobody else is a sole writer of the folder, which exists.

    Raises BusyError that names the process that is, OSError if nothing can be written. The system takes the lock from a
    process that dies.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError(f"{folder} is being written by {_writer(folder)}") from error
    except OSError as error:
        raise not_written(folder / LOCK, error) from error
    try:
        _sign(folder / WRITER)
        yield
    finally:
        (folder / WRITER).unlink(missing_ok=True)
        lock.release()


def check_free(folder: Path) -> None:
    """Raise BusyError that names the process if one writes to the folder now."""
    if (folder / WRITER).is_file():  # its lock is tried only then, as to try takes it for a moment
        with sole_writer(folder):
            pass


def is_written(folder: Path) -> bool:
    """Whether a process writes to the folder now. Nothing is changed, and to look takes no longer than a moment."""
    if not (folder / WRITER).is_file():
        return False
    try:
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass  # there is no lock, or none that we may look at
    return False


def _sign(path: Path) -> None:
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}")
    except OSError as error:
        raise not_written(path, error) from error


def _writer(folder: Path) -> str:
    try:
        return (folder / WRITER).read_text() or "another process"
    except OSError:
        return "another process"
