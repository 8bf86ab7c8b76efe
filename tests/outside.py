"""A task as somebody else's module has it: black-box samples, a target domain in a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hgenv import Batch, Task, register
from hgenv.beta.distributions import Value
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise
from hgenv.domains import Pictures
from hgenv.fields import Natural, OnDisk, check

BUILT_IN = np.linspace(0.2, 0.8, 6)


@dataclass(frozen=True)
class GreyBeta(Layout):
    brightness: Value = Value((0.0, 1.0), meaning="mean brightness")


@register("outside/Grey-v0")
@dataclass(frozen=True)
class Grey(Task):
    """Noisy pictures of one brightness; learn it."""

    data: OnDisk | None = None
    """File of brightnesses, .npy; built in: six of them."""
    side: Natural = 4
    """Side of the images in pixels."""

    layout = GreyBeta()

    def __post_init__(self) -> None:
        check(self)

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        return self.pictures(beta[:, 0], noise)

    def pictures(self, brightness: NDArray[np.float64], noise: Noise) -> Batch:
        grain = 0.2 * noise.uniform("grain", (1, self.side, self.side))
        target = np.broadcast_to(brightness[:, None, None, None], grain.shape)
        parts = (0.8 * target + grain, target, np.ones(grain.shape))
        return Batch(*(torch.from_numpy(part.astype(np.float32)) for part in parts))

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 1, 1), nn.Unflatten(0, (1, -1)))

    @cached_property
    def domain(self) -> Pictures:
        brightness = BUILT_IN if self.data is None else np.load(self.data)
        splits = [self.pictures(brightness, Noise(first + np.arange(len(brightness)))) for first in (0, 100)]
        return Pictures(*splits)
