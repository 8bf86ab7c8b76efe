"""Intrinsic images: albedo (red, green, blue), then shading, (4, h, w); the image is their product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch
from hgenv.quantities import metrics
from hgenv.quantities.quantity import ErrorMap, Part, Quantity


class Intrinsics(Quantity):
    """Learned by the squared error, scored by `hgenv.quantities.metrics.intrinsic_metrics`."""

    primary = "si_rmse"

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean squared error of albedo and of shading, which weigh the same, normalised by a constant."""
        off = batch.mask * (prediction - batch.target) ** 2
        return 0.5 * (off[:, :, :3].mean((0, 2, 3, 4)) + off[:, :, 3:].mean((0, 2, 3, 4)))

    def error_loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """The sum of the mean absolute errors of albedo and of shading, of the last stack, inside the mask."""
        off = (batch.mask * (prediction[-1] - batch.target)).abs()
        inside = batch.mask.mean((1, 2, 3)).clamp_min(1e-12)
        return (off[:, :3].mean((1, 2, 3)) + off[:, 3:].mean((1, 2, 3))) / inside

    def metrics(self, prediction: Sequence[NDArray], truth: Sequence[Batch]) -> dict[str, float]:
        wanted, images = [b.target[0].numpy() for b in truth], [b.image[0].numpy() for b in truth]
        return metrics.intrinsic_metrics(prediction, wanted, images, [b.mask[0, 0].numpy() > 0 for b in truth])

    def parts(self, channels: int) -> tuple[Part, ...]:
        shading = Part("shading", channels - 3, "the image is albedo x shading", 0.0, 1.0)
        return (Part("albedo", 3, "share of light that is reflected", 0.0, 1.0), shading)

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        """Albedo above shading, (n, 2 h, w, 3)."""
        both = torch.cat([target[:, :3] * mask, (target[:, 3:] * mask).expand(-1, 3, -1, -1)], dim=2)
        return both.clamp(0, 1).permute(0, 2, 3, 1).double().numpy()

    def error(self, prediction: Tensor, batch: Batch) -> ErrorMap:
        off = (prediction - batch.target).abs().mean(1) * batch.mask[:, 0]
        return ErrorMap(off.double().numpy(), "mean error", 0.4)
