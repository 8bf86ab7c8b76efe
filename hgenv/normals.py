"""What tasks that learn surface normals share: loss, metrics, colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv import metrics
from hgenv.task import Batch, Split, Task


def score(normals: Sequence[NDArray] | NDArray, batch: Batch) -> dict[str, float]:
    """`hgenv.metrics.normal_metrics` of normals (n, 3, h, w), of any length, against a batch."""
    rows = zip(normals, batch.target.numpy(), batch.mask.numpy(), strict=True)
    return metrics.normal_metrics([metrics.angular_error(p, t, m[0] > 0) for p, t, m in rows])


def unit_where(normals: NDArray, counts: NDArray[np.bool_]) -> tuple[NDArray, NDArray[np.bool_]]:
    """Averaged normals (3, h, w) of length 1, 0 elsewhere, and where: what counts (h, w) and has a direction."""
    length = np.linalg.norm(normals, axis=0)
    inside = counts & (length > 1e-6)
    return np.where(inside, normals / np.maximum(length, 1e-6), 0.0), inside


class NormalTask(Task):
    """Targets are unit normals (n, 3, h, w): x right, y up, z toward the viewer."""

    primary = "mae"

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean over stacks and all pixels of mask (1 - cosine): linear in the label, normalised by a constant."""
        unit = prediction / (prediction.square().sum(2, keepdim=True) + 1e-6).sqrt()
        cosine = (unit * batch.target).sum(2, keepdim=True)
        return (batch.mask * (1.0 - cosine)).mean((0, 2, 3, 4))

    def metrics(self, prediction: Tensor, split: Split) -> dict[str, float]:
        """Those of `hgenv.metrics.normal_metrics`."""
        batch = self.validation() if split == "validation" else self.test()
        return score(prediction[-1].detach().cpu().numpy(), batch)

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        unit = target / target.norm(dim=1, keepdim=True).clamp_min(1e-6)
        return ((0.5 + 0.5 * unit) * mask).permute(0, 2, 3, 1).double().numpy()

    def error(self, prediction: Tensor, batch: Batch) -> tuple[NDArray[np.float64], str, float]:
        cosine = torch.cosine_similarity(prediction, batch.target, dim=1).clamp(-1, 1)
        return (torch.acos(cosine).rad2deg() * (batch.mask[:, 0] > 0)).double().numpy(), "degrees", 60.0
