"""From the host to a device and back, with as little waiting as can be: each transfer back lets the host wait once.

And what is known of a device: whether it is there, what memory is free, how long it was at work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; itself if it is there. To a GPU it goes by pinned memory, and nobody waits for it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def on_host(tensors: Sequence[Tensor]) -> list[NDArray[np.float64]]:
    """Tensors of one device as arrays of their shapes, each of its own memory, by one transfer for all."""
    if not tensors:
        return []
    whole = torch.cat([tensor.detach().reshape(-1).double() for tensor in tensors]).cpu().numpy()
    parts = np.split(whole, np.cumsum([tensor.numel() for tensor in tensors])[:-1])
    return [part.reshape(tensor.shape).copy() for part, tensor in zip(parts, tensors, strict=True)]


def free_bytes(device: torch.device) -> int:
    """Memory of a GPU that is free, or that torch holds and does not use."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + held


def check_device(device: str) -> None:
    """Raise ValueError unless tensors can be made on the device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} cannot be used: {error}") from error


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether a GPU may round what it multiplies, in matrix products and convolutions, to TF32 while this lasts.

    The flags are torch's own, for all of the process; they are put back. Its convolutions may from the start.
    """
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    parts: tuple[Any, Any] = (cuda, cudnn)
    name: str = "allow_tf32"
    value: bool | str = allowed
    if hasattr(cudnn, "conv"):  # since torch 2.9, which refuses a mixture of both ways
        parts, name, value = (cuda, cudnn.conv), "fp32_precision", "tf32" if allowed else "ieee"
    before = [getattr(part, name) for part in parts]
    try:
        for part in parts:
            setattr(part, name, value)
        yield
    finally:
        for part, was in zip(parts, before, strict=True):
            setattr(part, name, was)


class GpuTime:
    """Seconds of a GPU between begin() and end(), by its own clock, idle ones inside included; 0 for other devices.

    Both only leave a mark in the GPU's queue. seconds() waits until the GPU has come to the last.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._depth, self._seconds = device, 0, 0.0
        self._marks: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    def __reduce__(self) -> tuple[type[GpuTime], tuple[torch.device]]:
        return GpuTime, (self._device,)

    def begin(self) -> None:
        """Begin; inside of another beginning nothing."""
        self._depth += 1
        if self._depth == 1 and self._device.type == "cuda":
            self._begun = self._mark()

    def end(self) -> None:
        """End what began last; nothing if nothing has."""
        if self._depth == 1 and self._device.type == "cuda":
            self._marks.append((self._begun, self._mark()))
            while self._marks and self._marks[0][1].query():  # type: ignore[no-untyped-call]
                self._count()
        self._depth = max(0, self._depth - 1)

    def seconds(self) -> float:
        """All so far."""
        while self._marks:
            self._marks[0][1].synchronize()
            self._count()
        return self._seconds

    def _mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _count(self) -> None:
        begun, ended = self._marks.popleft()
        self._seconds += begun.elapsed_time(ended) / 1000.0
