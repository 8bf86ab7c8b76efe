"""A small smooth task in float64, for tests of gradients: images, targets and masks are smooth functions of beta."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv.batch import Batch
from hgenv.beta.distributions import Bernoulli, Normal
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise
from hgenv.domains import Pictures
from hgenv.task import Task


@dataclass(frozen=True)
class WaveBeta(Layout):
    phase: Normal = Normal((-1.0, 1.0), (0.1, 1.0), ("x", "y"), meaning="phase of the waves")
    flip: Bernoulli = Bernoulli(meaning="not used by the images: its gradient is 0")


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.SiLU(), nn.Conv2d(3, 2, 1)).double()

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image)[None]


@dataclass(frozen=True)
class Waves(Task):
    """Waves whose phase is normal with mean and std from beta; the target is their slope."""

    layout = WaveBeta()

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        phase = noise.draw(self.layout.bind(beta).phase, "phase")
        y, x = np.meshgrid(np.linspace(0, 2, 5), np.linspace(0, 2, 5), indexing="ij")
        angle = x * (1 + phase[:, 0, None, None]) + y * phase[:, 1, None, None]
        mask = 1.0 / (1.0 + np.exp(-angle))
        grain = 0.1 * noise.uniform("grain", (5, 5))
        parts = (
            np.sin(angle)[:, None] + grain[:, None],
            np.stack([np.cos(angle), np.sin(2 * angle)], 1),
            mask[:, None],
        )
        return Batch(*(torch.from_numpy(part) for part in parts))

    def network(self) -> nn.Module:
        return Small()

    @cached_property
    def domain(self) -> Pictures:
        return Pictures(self._target(0), self._target(100))

    def _target(self, first: int) -> Batch:
        beta = self.layout.clip(self.layout.initial + 0.2)
        return self.sample(np.tile(beta, (6, 1)), Noise(np.arange(first, first + 6)))
