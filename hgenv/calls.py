"""How an environment's methods are called: with torch as training needs it, and by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

from hgenv.devices import tf32

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def own_torch() -> Iterator[None]:
    """Torch as training needs it, whatever the caller has set: gradients, float32 that is not rounded to TF32, tensors
    made on the CPU."""
    dtype = torch.get_default_dtype()
    there = torch.get_default_device().type == "cpu"  # to set one, even the CPU, slows every call of torch
    torch.set_default_dtype(torch.float32)
    try:
        made = nullcontext() if there else torch.device("cpu")
        with torch.inference_mode(False), torch.enable_grad(), tf32(False), made:
            yield
    finally:
        torch.set_default_dtype(dtype)


class Turn:
    """A lock that refuses instead of waiting; a thread may take it again, and a copy has its own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[type[Turn], tuple[()]]:
        return Turn, ()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                "the environment is at work in another thread; which samples a call has follows from the calls before "
                "it, so make one environment a thread, or call it in turn"
            )

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def in_turn(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """A method that raises RuntimeError while another thread is inside one of these, of an object with a `turn`, and
    whose time on a GPU is the object's `gpu_time`."""

    @wraps(method)
    def called(owner: Any, /, *given: P.args, **named: P.kwargs) -> R:
        with owner.turn, own_torch():
            owner.gpu_time.begin()
            try:
                return method(owner, *given, **named)
            finally:
                owner.gpu_time.end()

    return called
