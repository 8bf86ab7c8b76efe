"""Quantity: what is learned of an image. Its loss trains the network, its metrics score it, its pictures show it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch


class ErrorMap(NamedTuple):
    """Errors (n, h, w), their unit, and the value where the heat map saturates."""

    values: NDArray[np.float64]
    unit: str
    saturation: float


class Part(NamedTuple):
    """Channels of a target that follow each other, what they mean, and between what they lie, where that is known."""

    name: str
    channels: int
    meaning: str = ""
    low: float = -np.inf
    high: float = np.inf


class Quantity(ABC):
    """A loss with the metrics and pictures that belong to it. `primary` names the metric that picks the snapshot."""

    primary: ClassVar[str] = "loss"

    @abstractmethod
    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Losses of the rows, (n,), of predictions (stacks, n, t, h, w); twice differentiable. The mean is trained."""

    def error_loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """What L is with `validation="error"`: an error of the answer as the literature has it, (n,), where it differs
        from the loss; once differentiable."""
        return self.loss(prediction, batch)

    def metrics(self, prediction: Sequence[NDArray], truth: Sequence[Batch]) -> dict[str, float]:
        """Metrics, the lower the better for `primary`, of predictions (t, h, w) against batches of one row each.

        Pictures may differ in size, as a domain may be scored at the resolution of its photographs.
        """
        pairs = zip(prediction, truth, strict=True)
        rows = [self.loss(torch.from_numpy(np.ascontiguousarray(p))[None, None], one) for p, one in pairs]
        return {"loss": float(torch.cat(rows).mean())}

    def parts(self, channels: int) -> tuple[Part, ...]:
        """What targets of so many channels consist of, for the files of a dataset."""
        return (Part("target", channels),)

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        """Targets (n, t, h, w) as colours (n, h, w, 3) in [0, 1], for figures."""
        grey = (target * mask).mean(1, keepdim=True).clamp(0, 1)
        return grey.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).double().numpy()

    def error(self, prediction: Tensor, batch: Batch) -> ErrorMap:
        """Where predictions (n, t, h, w) are wrong, for figures."""
        off = ((prediction - batch.target).abs() * batch.mask).mean(1)
        return ErrorMap(off.double().numpy(), "absolute error", 1.0)


class SquaredError(Quantity):
    """Any target, by its squared error inside the mask, normalised by a constant."""

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return (batch.mask * (prediction - batch.target) ** 2).mean((0, 2, 3, 4))
