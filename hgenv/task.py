"""Task: what is generated and learned. The only thing that the author of a new task reads and writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv.beta import Layout
from hgenv.noise import Noise

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


class Task(ABC):
    """A frozen dataclass; its fields are its knobs and become options of the command line.

    `primary` names the metric whose lowest validation value picks the snapshot.
    """

    primary: str = "loss"

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The declaration of beta."""

    @abstractmethod
    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        """n samples f(beta[i], r[i]): physical beta (n, d), keyed noise of n seeds. Row i depends on row i only."""

    @abstractmethod
    def network(self) -> nn.Module:
        """A fresh network, image (n, c, h, w) -> predictions (stacks, n, t, h, w), the last stack being the answer.

        It must be twice differentiable and hold no buffers (GroupNorm, not BatchNorm); torch's seed is set before.
        """

    @abstractmethod
    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Losses of the rows, (n,), of predictions (stacks, n, t, h, w); twice differentiable. The mean is trained."""

    @abstractmethod
    def validation(self) -> Batch:
        """Images of the target domain, used for L."""

    @abstractmethod
    def test(self) -> Batch:
        """Images of the target domain, disjoint from the validation's; only ever reported."""

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

    def metrics(self, prediction: Tensor, split: Split) -> dict[str, float]:
        """Metrics of the predictions (stacks, n, t, h, w) for a whole split. A task may score at another resolution."""
        batch = self.validation() if split == "validation" else self.test()
        return {"loss": float(self.loss(prediction.cpu(), batch).mean())}

    def baselines(self, split: Split) -> dict[str, dict[str, float]]:
        """Metrics of predictions that need no learning, by name."""
        return {}

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        """Targets (n, t, h, w) as colours (n, h, w, 3) in [0, 1], for figures."""
        grey = (target * mask).mean(1, keepdim=True).clamp(0, 1)
        return grey.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).double().numpy()

    def error(self, prediction: Tensor, batch: Batch) -> tuple[NDArray[np.float64], str, float]:
        """Error maps (n, h, w) of predictions (n, t, h, w), their unit and the value where the heat map saturates."""
        return ((prediction - batch.target).abs() * batch.mask).mean(1).double().numpy(), "absolute error", 1.0


T = TypeVar("T", bound=type[Task])
TASKS: dict[str, type[Task]] = {}


def register(id: str) -> Callable[[T], T]:
    """Class decorator: makes a Task a `gymnasium.make` id, a choice of the command line and a subject of the tests.

    The command line sees what `hgenv/__init__.py` imports.
    """

    def add(task: T) -> T:
        if id in TASKS:
            raise ValueError(f"{id} is registered already, by {TASKS[id].__qualname__}")
        TASKS[id] = task
        gymnasium.register(id, entry_point="hgenv.env:make", kwargs={"task": id})
        return task

    return add


def find(id: str) -> type[Task]:
    """The registered Task of an id; a KeyError that lists the ids otherwise."""
    if id not in TASKS:
        raise KeyError(f"unknown environment {id!r}; known: {', '.join(sorted(TASKS))}")
    return TASKS[id]
