"""Depth: distances along the viewing axis, (1, h, w)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch
from hgenv.quantities import metrics
from hgenv.quantities.quantity import ErrorMap, Part, Quantity


@dataclass(frozen=True)
class Depth(Quantity):
    """Learned by the squared error, scored by `hgenv.quantities.metrics.depth_metrics`."""

    middle: float
    """Depth that figures show in grey."""
    half: float
    """How much nearer white is, and how much farther black."""
    unit: str
    """What depths are measured in."""

    primary = "abs_rel"

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean squared error over the pixels of the mask, normalised by a constant."""
        return (batch.mask * (prediction - batch.target) ** 2).mean((0, 2, 3, 4))

    def error_loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean |d - d*| / d* of the last stack over the pixels of the mask."""
        off = (prediction[-1] - batch.target).abs() / batch.target.clamp_min(1e-12)
        return (batch.mask * off).sum((1, 2, 3)) / batch.mask.sum((1, 2, 3)).clamp_min(1e-12)

    def metrics(self, prediction: Sequence[NDArray], truth: Sequence[Batch]) -> dict[str, float]:
        valid = [b.mask[0].numpy() > 0 for b in truth]
        pairs = zip(prediction, truth, valid, strict=True)
        found, wanted = zip(*((p[v], b.target[0].numpy()[v]) for p, b, v in pairs), strict=True)
        return metrics.depth_metrics(np.concatenate(found), np.concatenate(wanted))

    def parts(self, channels: int) -> tuple[Part, ...]:
        return (Part("depth", channels, f"{self.unit} along the viewing axis", 0.0, 2.0 * self.middle),)

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        near = ((self.middle + self.half - target) / (2.0 * self.half)).clamp(0, 1) * mask
        return near.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).double().numpy()

    def error(self, prediction: Tensor, batch: Batch) -> ErrorMap:
        off = ((prediction - batch.target).abs() * batch.mask)[:, 0]
        return ErrorMap(off.double().numpy(), self.unit, 0.5)
