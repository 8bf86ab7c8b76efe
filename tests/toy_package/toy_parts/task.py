"""Pictures that brighten to the right; learn how much."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from hgenv import Batch, Task, register
from hgenv.beta import Layout, Noise, Normal
from hgenv.domains import Domain, Pictures


@dataclass(frozen=True)
class RampBeta(Layout):
    slope: Normal = Normal((-1.0, 1.0), (0.05, 1.0), initial=(0.0, 0.2), meaning="how much it brightens")


@register("toy/Ramps-v0")
@dataclass(frozen=True)
class Ramps(Task):
    """Pictures that brighten to the right; learn how much."""

    side: int = 4
    """Side of the images in pixels."""

    layout = RampBeta()

    def sample(self, beta: np.ndarray, noise: Noise) -> Batch:
        slope = noise.draw(self.layout.bind(beta).slope, "slope")[:, None, None, None]
        image = slope * np.linspace(-1, 1, self.side) + 0.1 * noise.uniform("grain", (1, self.side, self.side))
        parts = (image, np.broadcast_to(slope, image.shape), np.ones(image.shape))
        return Batch(*(torch.from_numpy(part.astype(np.float32)) for part in parts))

    def network(self) -> torch.nn.Module:
        layer = torch.nn.Conv2d(1, 1, 2 * self.side - 1, padding=self.side - 1)
        return torch.nn.Sequential(layer, torch.nn.Unflatten(0, (1, -1)))

    @cached_property
    def domain(self) -> Domain:
        beta = np.tile([0.6, 0.1], (32, 1))
        return Pictures(self.sample(beta, Noise(np.arange(32))), self.sample(beta, Noise(np.arange(32, 64))))
