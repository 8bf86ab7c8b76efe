"""A learned spread around beta: any task with a normal distribution over its beta instead of one beta."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv.beta import Layout
from hgenv.distributions import Normal
from hgenv.noise import Noise
from hgenv.task import Batch, Split, Task


@dataclass(frozen=True)
class SpreadBeta(Layout):
    """Mean and standard deviation of every coordinate of the inner beta, as an action in [-1, 1]."""

    action: Normal = Normal((-1.0, 1.0), (0.02, 0.6), ("0",))


@dataclass(frozen=True)
class Spread(Task):
    """The inner task, each sample at a beta of its own: normal in the action box, clipped to it."""

    inner: Task
    initial: float = 0.15

    @property
    def primary(self) -> str:  # type: ignore[override]
        return self.inner.primary

    @cached_property
    def layout(self) -> Layout:
        inner = self.inner.layout
        start = inner.to_action(inner.initial)
        return SpreadBeta(_Anywhere(tuple(inner.names), start, self.initial))

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        action = noise.draw(self.layout.bind(beta).action, "action")
        return self.inner.sample(self.inner.layout.from_action(action), Noise(noise.seeds))

    def network(self) -> nn.Module:
        return self.inner.network()

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return self.inner.loss(prediction, batch)

    def validation(self) -> Batch:
        return self.inner.validation()

    def test(self) -> Batch:
        return self.inner.test()

    def metrics(self, prediction: Tensor, split: Split) -> dict[str, float]:
        return self.inner.metrics(prediction, split)

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        return self.inner.picture(target, mask)

    def error(self, prediction: Tensor, batch: Batch) -> tuple[NDArray[np.float64], str, float]:
        return self.inner.error(prediction, batch)


class _Anywhere(Normal):
    """A normal whose axes start at different means."""

    def __init__(self, axes: tuple[str, ...], start: NDArray[np.float64], std: float) -> None:
        super().__init__((-1.0, 1.0), (0.02, 0.6), axes, (0.0, std))
        self._start = start

    def parameters(self) -> tuple[Any, ...]:
        every = super().parameters()
        means = [p._replace(initial=float(s)) for p, s in zip(every, self._start, strict=False)]
        return (*means, *every[len(means) :])
