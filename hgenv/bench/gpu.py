"""How busy a GPU is, and how much of its memory is taken, while something runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile


class GpuUse(NamedTuple):
    """The share of the wall time in which a kernel runs, and the most bytes that torch had taken."""

    busy: float
    peak_bytes: int


def gpu_use(call: Callable[[], object], device: torch.device) -> GpuUse:
    """What a call makes of a CUDA device. It is called twice: the profiler is slow when it begins."""
    _profiled(call, device)
    return _profiled(call, device)


def _profiled(call: Callable[[], object], device: torch.device) -> GpuUse:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        begin = time.perf_counter()
        call()
        torch.cuda.synchronize(device)
        wall = time.perf_counter() - begin
    events = [event for event in profiler.events() or () if event.device_type.name == "CUDA"]
    busy = covered((event.time_range.start, event.time_range.end) for event in events) / 1e6  # from microseconds
    return GpuUse(busy / wall, torch.cuda.max_memory_allocated(device))


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of spans: kernels of several streams run at the same time."""
    total, end = 0.0, -float("inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total
