"""A new data-generation task in one file: shaded discs of unknown tilt, whose network learns the tilt.

Every command knows it with --import: hgenv run hybrid-gradient --import examples/add_a_task.py
--env examples/TiltedDiscs-v0 --max-seconds 10
"""

from dataclasses import dataclass
from functools import cached_property

import gymnasium
import numpy as np
import torch

from hgenv import Batch, Task, register
from hgenv.beta import Layout, Noise, Normal
from hgenv.domains import Domain, Pictures


@dataclass(frozen=True)
class DiscBeta(Layout):
    tilt: Normal = Normal((-1.0, 1.0), (0.05, 1.0), ("x", "y"), initial=(0.0, 0.2), meaning="slope of the brightness")


@register("examples/TiltedDiscs-v0")
@dataclass(frozen=True)
class TiltedDiscs(Task):
    """Discs whose brightness is tilted; learn the tilt. The target domain is tilted to the right."""

    resolution: int = 16
    """Side of the images in pixels."""

    layout = DiscBeta()

    def sample(self, beta: np.ndarray, noise: Noise) -> Batch:
        y, x = np.mgrid[1 : -1 : self.resolution * 1j, -1 : 1 : self.resolution * 1j]
        tilt = noise.draw(self.layout.bind(beta).tilt, "tilt")[..., None, None]
        mask = np.broadcast_to(x**2 + y**2 < 0.8, tilt[:, 0].shape[:1] + x.shape)
        image = (0.5 + 0.3 * (tilt[:, 0] * x + tilt[:, 1] * y)) * mask
        image = image + 0.05 * noise.uniform("grain", x.shape)
        target = np.broadcast_to(tilt, (*tilt.shape[:2], *x.shape))
        return Batch(*(torch.from_numpy(p.astype(np.float32)) for p in (image[:, None], target, mask[:, None])))

    def network(self) -> torch.nn.Module:
        layers = [torch.nn.Conv2d(1, 8, 5, padding=2), torch.nn.SiLU(), torch.nn.Conv2d(8, 2, 5, padding=2)]
        return torch.nn.Sequential(*layers, torch.nn.Unflatten(0, (1, -1)))  # one stack

    @cached_property
    def domain(self) -> Domain:
        beta = np.tile([0.6, 0.0, 0.1, 0.1], (32, 1))
        return Pictures(self.sample(beta, Noise(np.arange(32))), self.sample(beta, Noise(np.arange(100, 132))))


if __name__ == "__main__":
    torch.set_num_threads(1)
    env = gymnasium.make("examples/TiltedDiscs-v0").unwrapped
    for name, tilt in (("start", 0.0), ("tilted to the right", 0.6)):
        env.reset(seed=0)
        for _ in range(20):
            env.step(env.task.layout.to_action([tilt, 0.0, 0.2, 0.2]))
        print(f"{name}: test loss {env.metrics('test')['loss']:.4f}")
