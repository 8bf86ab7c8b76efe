"""Task: what is generated and learned. The only thing that the author of a new task writes."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hgenv.batch import Batch
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise, keys
from hgenv.domains.domain import Domain
from hgenv.quantities.quantity import Quantity, SquaredError


class Task(ABC):
    """A frozen dataclass; its fields are its knobs and become options of the command line.

    A field that is a dataclass itself, as the size of a network, brings its own fields as knobs.
    """

    quantity: Quantity = SquaredError()
    """What is learned: loss, metrics, pictures."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The declaration of beta."""

    @property
    @abstractmethod
    def domain(self) -> Domain:
        """The target domain: validation and test images with their ground truth. Make it once (`cached_property`)."""

    @abstractmethod
    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        """n samples f(beta[i], r[i]): physical beta (n, d), keyed noise of n seeds. Row i depends on row i only."""

    @abstractmethod
    def network(self) -> nn.Module:
        """A fresh network, image (n, c, h, w) -> predictions (stacks, n, t, h, w), the last stack being the answer.

        It must be twice differentiable, without dropout or buffers that change (GroupNorm, not BatchNorm); torch's seed
        is set before. Parameters with requires_grad=False stay as they are.
        """

    def pretrain(self, network: nn.Module, device: torch.device) -> None:  # noqa: B027  (most tasks have nothing to do)
        """Give a fresh network the trained weights that every episode starts with, in place; nothing if there are none.

        The network and its weights are on the CPU; training may run on the device.
        """

    def prepare(self) -> None:
        """Load and compile what samples need, so that what is broken shows and no clock counts it.

        An environment calls it once, when it is made. One sample at the start does it for most tasks.
        """
        self.sample(self.layout.initial[None], Noise(keys(0, "prepare", 1)))

    # What a task adds whose generator remembers the steps that were committed, as a growing dataset does.

    @property
    def memory(self) -> NDArray[np.float64] | None:
        """What committed steps have left, an array of (k, w); None if the generator remembers nothing."""
        return None

    def commit(self, beta: NDArray[np.float64]) -> Task:
        """The task after a step at physical beta (d,) has been committed. self does not change."""
        return self

    def recall(self, memory: NDArray[np.float64]) -> Task:
        """The task that remembers this. Raises ValueError if it cannot be."""
        raise ValueError(f"{type(self).__name__} has no memory")

    def report(self) -> dict[str, float]:
        """Numbers of its own for info and the rows of a run."""
        return {}
