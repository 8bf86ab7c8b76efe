"""Surface normals: unit vectors (3, h, w), x right, y up, z toward the viewer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch
from hgenv.quantities import metrics
from hgenv.quantities.quantity import ErrorMap, Part, Quantity


class Normals(Quantity):
    """Learned by the cosine of the angle, scored by the angle (`hgenv.quantities.metrics.normal_metrics`)."""

    primary = "mae"

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean over stacks and all pixels of mask (1 - cosine): linear in the label, normalised by a constant."""
        unit = prediction / (prediction.square().sum(2, keepdim=True) + 1e-6).sqrt()
        cosine = (unit * batch.target).sum(2, keepdim=True)
        return (batch.mask * (1.0 - cosine)).mean((0, 2, 3, 4))

    def error_loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean angle in radians of the last stack, over the pixels of the mask (Yang & Deng 2020, section 4.1)."""
        last, mask = prediction[-1], batch.mask[:, 0]
        across = torch.linalg.cross(last, batch.target, dim=1).square().sum(1)
        # atan2 has a slope everywhere but at no angle at all, where the root would have none.
        angle = torch.atan2((across + 1e-12).sqrt(), (last * batch.target).sum(1))
        return (angle * mask).sum((1, 2)) / mask.sum((1, 2)).clamp_min(1e-12)

    def metrics(self, prediction: Sequence[NDArray], truth: Sequence[Batch]) -> dict[str, float]:
        pairs = zip(prediction, truth, strict=True)
        return metrics.normal_metrics(
            [metrics.angular_error(p, b.target[0].numpy(), b.mask[0, 0].numpy() > 0) for p, b in pairs]
        )

    def parts(self, channels: int) -> tuple[Part, ...]:
        return (Part("normals", channels, "unit vectors: x right, y up, z toward the viewer", -1.0, 1.0),)

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        unit = target / target.norm(dim=1, keepdim=True).clamp_min(1e-6)
        return ((0.5 + 0.5 * unit) * mask).permute(0, 2, 3, 1).double().numpy()

    def error(self, prediction: Tensor, batch: Batch) -> ErrorMap:
        cosine = torch.cosine_similarity(prediction, batch.target, dim=1).clamp(-1, 1)
        return ErrorMap((torch.acos(cosine).rad2deg() * (batch.mask[:, 0] > 0)).double().numpy(), "degrees", 60.0)


def facing(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Normals (3, h, w) that all face the viewer."""
    return np.broadcast_to(np.array([0.0, 0.0, 1.0])[:, None, None], (3, *mask.shape))


def constant_normal(batch: Batch) -> NDArray[np.float64]:
    """An answer without learning for pictures: everything faces the viewer."""
    return np.stack([facing(mask) for mask in batch.mask[:, 0].numpy() > 0])


def dome_normals(batch: Batch) -> NDArray[np.floating]:
    """An answer without learning for pictures: a dome over the silhouette of each."""
    return np.stack([metrics.dome(mask) for mask in batch.mask[:, 0].numpy() > 0])


def unit_where(normals: NDArray, counts: NDArray[np.bool_]) -> tuple[NDArray, NDArray[np.bool_]]:
    """Averaged normals (3, h, w) of length 1, 0 elsewhere, and where: what counts (h, w) and has a direction."""
    length = np.linalg.norm(normals, axis=0)
    inside = counts & (length > 1e-6)
    return np.where(inside, normals / np.maximum(length, 1e-6), 0.0), inside
