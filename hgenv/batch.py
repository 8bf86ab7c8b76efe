"""Batches: images with their ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hgenv.devices import sent

Split = Literal["validation", "test"]


class Batch(NamedTuple):
    """image (n, c, h, w), target (n, t, h, w), mask (n, 1, h, w) in [0, 1]; floating-point tensors of one dtype."""

    image: Tensor
    target: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device, itself if it is there. To a GPU it goes by pinned memory: the host does not
        wait for the copy, and what the GPU does next with it comes after it."""
        return Batch(*(sent(part, device) for part in self))

    def rows(self, index: Tensor | slice) -> Batch:
        """Some of the rows."""
        return Batch(*(part[index] for part in self))

    @staticmethod
    def stack(batches: Sequence[Batch]) -> Batch:
        """k batches of n rows each as one, image (k, n, c, h, w), ..., for k trainings that go on together."""
        return Batch(*(torch.stack(parts) for parts in zip(*batches, strict=True)))

    @staticmethod
    def join(batches: list[Batch]) -> Batch:
        """All rows of several batches."""
        return Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


class SampleError(ValueError):
    """Raised by Task.sample for rows that it cannot make of their keys; they are drawn anew with the next ones."""

    def __init__(self, rows: Iterable[int], reason: str) -> None:
        self.rows = sorted({int(row) for row in rows})
        super().__init__(f"no sample could be made of the rows {self.rows}: {reason}")
