"""Pieces of work for tests of workers, which other processes import."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOADED: list[int] = []


class Part:
    """Something that is sent, and says when it arrives."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self.value,)


def _arrived(value: int) -> Part:
    LOADED.append(value)
    return Part(value)


def total(part: Part, array: NDArray[np.float64], item: int) -> float:
    return part.value + float(array.sum()) + item


def arrivals(part: Part, other: Part, item: int) -> list[int]:
    """What has arrived in this process so far."""
    return list(LOADED)


def process(item: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def busy(seconds: float) -> float:
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        pass
    return seconds


def refuse(item: int) -> int:
    if item == 3:
        raise ValueError(f"no {item} here")
    return item


class LocalError(Exception):
    """It cannot be made of its message alone, so it cannot be pickled."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


def refuse_locally(item: int) -> int:
    raise LocalError(item, item)


def die_once(folder: Path, item: int) -> int:
    """The process that does an odd item first is killed, as by the system when memory runs out."""
    mark = folder / str(item)
    if item % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def die(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def sleep(path: Path, item: int) -> int:
    """Write who sleeps, and sleep long."""
    (path / f"{os.getpid()}").touch()
    time.sleep(600.0)
    return item


def give_lambda(item: int) -> Any:
    return lambda: item
