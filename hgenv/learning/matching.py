"""Distribution matching: how far generated images are from those of the target domain, whatever their ground truth.

The distance is the squared maximum mean discrepancy (MMD) of Gretton et al. (2012), which Meta-Sim (Kar et al. 2019)
adds to what it learns from; here in the space of pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch
from hgenv.devices import on_host


@dataclass
class Matching:
    """weight times the MMD between target images (m, c, h, w) and batches of a training: the mean of the batches' own.

    Every batch gives an unbiased estimate, and none is kept. A weight of 0 computes nothing.
    """

    target: Tensor
    weight: float
    _found: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.weight and len(self.target) < 2:
            raise ValueError("distribution_matching takes two validation images at least, the domain has one")

    def see(self, batch: Batch) -> None:
        """A batch of the training, of n rows, or those of k trainings together, (k, n, ...)."""
        if self.weight:
            self._found.append(squared_discrepancy(batch.image, self.target))

    def seen(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Batches as they come, of which each is seen."""
        for batch in batches:
            self.see(batch)
            yield batch

    def term(self) -> NDArray[np.float64]:
        """What is added to a validation loss, () or (k,)."""
        if not self._found:
            return np.zeros(())
        return self.weight * on_host([torch.stack(self._found).mean(0)])[0]


def squared_discrepancy(images: Tensor, target: Tensor) -> Tensor:
    """The squared MMD, (...), between images (..., n, c, h, w) and target images (m, c, h, w), two at least of each.

    An unbiased estimate (Gretton et al. 2012, Eq. 3), which may be below 0, with the kernel
    k(x, y) = exp(-|x - y|^2 / b), b being the mean of |x - y|^2 over pairs of the target images.
    """
    x, y = images.flatten(-3), target.flatten(-3)
    bandwidth = (2.0 * y.var(0).sum()).clamp_min(torch.finfo(y.dtype).tiny)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-(torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") ** 2) / bandwidth)

    return _mean_of_pairs(kernel(x, x)) + _mean_of_pairs(kernel(y, y)) - 2.0 * kernel(x, y).mean((-2, -1))


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """The mean of a kernel's values (..., n, n) of two different images."""
    n = kernel.shape[-1]
    return (kernel.sum((-2, -1)) - kernel.diagonal(dim1=-2, dim2=-1).sum(-1)) / (n * (n - 1))
