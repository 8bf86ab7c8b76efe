"""Batches: images with their ground truth."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Split = Literal["validation", "test"]


class Batch(NamedTuple):
    """image (n, c, h, w), target (n, t, h, w), mask (n, 1, h, w) in [0, 1]; floating-point tensors of one dtype."""

    image: Tensor
    target: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(*(part.to(device) for part in self))

    def rows(self, index: Tensor | slice) -> Batch:
        """Some of the rows."""
        return Batch(*(part[index] for part in self))

    @staticmethod
    def join(batches: list[Batch]) -> Batch:
        """All rows of several batches."""
        return Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
