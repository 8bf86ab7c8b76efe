"""Task: what is generated and learned. The only thing that the author of a new task writes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv.batch import Batch, SampleError
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise, joined, keys
from hgenv.domains.domain import Domain
from hgenv.quantities.quantity import Quantity, SquaredError


class Task(ABC):
    """A frozen dataclass; its fields are its knobs and become options of the command line.

    A field that is a dataclass itself, as the size of a network, brings its own fields as knobs.
    """

    quantity: Quantity = SquaredError()
    """What is learned: loss, metrics, pictures."""
    sizes: ClassVar[Mapping[str, Mapping[str, Any]] | None] = None
    """Other defaults of its options by the name of a size, as {"paper": {"resolution": 128}}; small is what its fields
    say. None: those of `hgenv.sizes`, where it has a resolution and an HourglassSize."""

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
        """n samples f(beta[i], r[i]): physical beta (n, d), keyed noise of n seeds. Row i depends on row i only.

        Raises ValueError for beta outside its range; SampleError for rows that it cannot make of their keys. Those, and
        rows with numbers that are not finite, are drawn anew with other keys (`sampled`).
        """

    @property
    def slow(self) -> bool:
        """Whether samples take so long that the rows of a batch are worth sending to other processes."""
        return False

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
        sampled(self, self.layout.initial[None], keys(0, "prepare", 1))

    # What a task adds whose generator remembers the steps that were committed, as a growing dataset does.

    @property
    def memory(self) -> NDArray[np.float64] | None:
        """What committed steps have left, an array of (k, w); None if the generator remembers nothing."""
        return None

    def commit(self, beta: NDArray[np.float64]) -> Task:
        """The task after a step at physical beta (d,) has been committed. self does not change."""
        return self

    def trivial(self, beta: NDArray[np.float64]) -> bool:
        """Whether a step at physical beta (d,) would add nothing to what is remembered.

        No probe is spent on that; its loss is infinite.
        """
        return False

    def recall(self, memory: NDArray[np.float64]) -> Task:
        """The task that remembers this. Raises ValueError if it cannot be."""
        raise ValueError(f"{type(self).__name__} has no memory")

    def report(self) -> dict[str, float]:
        """Numbers of its own for info and the rows of a run."""
        return {}


REDRAWS = 8
"""How often a row that cannot be made is drawn anew."""


class Sampled(NamedTuple):
    """A batch, the noise that it was made of, how many samples that took, and how many of them were drawn anew."""

    batch: Batch
    noise: Noise
    renders: int
    redrawn: int

    @staticmethod
    def join(parts: list[Sampled]) -> Sampled:
        """All rows of several batches of one task."""
        noise = Noise(np.concatenate([part.noise.seeds for part in parts]))
        noise.draws = [joined(draws) for draws in zip(*(part.noise.draws for part in parts), strict=True)]
        batch = Batch.join([part.batch for part in parts])
        return Sampled(batch, noise, sum(part.renders for part in parts), sum(part.redrawn for part in parts))


def fresh_network(task: Task, seed: int, device: torch.device) -> nn.Module:
    """The network with which an episode of a seed begins, pretrained if the task does so."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = task.network()
        task.pretrain(network, device)
    return network.to(device)


def sampled(task: Task, beta: NDArray[np.float64], seeds: NDArray[np.uint64]) -> Sampled:
    """Samples of physical beta (n, d) and seeds (n,); a row that cannot be made is drawn anew, REDRAWS times at most.

    Its next key follows from its key, so that what becomes of a row depends on that row only. In the end SampleError
    is raised again, and what is not finite stays so. Raises ValueError for what is not n rows of real numbers.
    """
    redraws, renders = np.zeros(len(seeds), np.int64), 0
    while True:
        noise, renders = Noise(seeds), renders + len(seeds)
        refusal: SampleError | None = None
        try:
            batch = task.sample(beta, noise)
            _check(batch, len(seeds), f"{type(task).__name__}.sample")
            failed = _not_finite(batch)
        except SampleError as error:
            refusal, failed = error, [row for row in error.rows if 0 <= row < len(seeds)]
        again = [row for row in failed if redraws[row] < REDRAWS]
        if refusal is not None and (not again or len(again) < len(failed)):
            raise refusal
        if not again:
            return Sampled(batch, noise, renders, int(redraws.sum()))
        redraws[again] += 1
        seeds = seeds.copy()
        seeds[again] = keys(seeds[again], "drawn anew", 1)[:, 0]


def _check(batch: Any, count: int, what: str) -> None:
    """Raise ValueError unless these are `count` rows of floating-point tensors."""
    if not isinstance(batch, Batch) or not all(isinstance(part, Tensor) for part in batch):
        raise ValueError(f"{what} gives {type(batch).__name__}, expected a Batch of three tensors")
    for name, part in zip(Batch._fields, batch, strict=True):
        if part.shape[:1] != (count,) or not part.is_floating_point():
            given = f"{name} {tuple(part.shape)} of {part.dtype}"
            raise ValueError(f"{what} gives {given}, expected {count} rows of a floating-point type")


def _not_finite(batch: Batch) -> list[int]:
    """The rows with a number that is not finite."""
    if all(math.isfinite(part.sum().item()) for part in batch):  # cheap, and true of nearly all batches
        return []
    finite = torch.stack([part.isfinite().flatten(1).all(1) for part in batch]).all(0)
    return torch.nonzero(~finite)[:, 0].tolist()
