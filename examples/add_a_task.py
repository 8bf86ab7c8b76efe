"""A new data-generation task in one file: shaded discs of unknown tilt, whose network learns the tilt."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch

import hgenv
from hgenv.beta.distributions import Normal
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise


@dataclass(frozen=True)
class DiscBeta(Layout):
    tilt: Normal = Normal((-1.0, 1.0), (0.05, 1.0), ("x", "y"), initial=(0.0, 0.2), meaning="slope of the brightness")


@hgenv.register("examples/TiltedDiscs-v0")
@dataclass(frozen=True)
class TiltedDiscs(hgenv.Task):
    """The target domain is tilted to the right; beta should find out."""

    resolution: int = 16
    """Side of the images in pixels."""

    layout = DiscBeta()

    def sample(self, beta: np.ndarray, noise: Noise) -> hgenv.Batch:
        y, x = np.mgrid[1 : -1 : self.resolution * 1j, -1 : 1 : self.resolution * 1j]
        tilt = noise.draw(self.layout.bind(beta).tilt, "tilt")[..., None, None]
        mask = np.broadcast_to(x**2 + y**2 < 0.8, tilt[:, 0].shape[:1] + x.shape)
        image = (0.5 + 0.3 * (tilt[:, 0] * x + tilt[:, 1] * y)) * mask
        image = image + 0.05 * noise.uniform("grain", x.shape)
        target = np.broadcast_to(tilt, (*tilt.shape[:2], *x.shape))
        return hgenv.Batch(*(torch.from_numpy(p.astype(np.float32)) for p in (image[:, None], target, mask[:, None])))

    def network(self) -> torch.nn.Module:
        layers = [torch.nn.Conv2d(1, 8, 5, padding=2), torch.nn.SiLU(), torch.nn.Conv2d(8, 2, 5, padding=2)]
        return torch.nn.Sequential(*layers, torch.nn.Unflatten(0, (1, -1)))  # one stack

    def loss(self, prediction: torch.Tensor, batch: hgenv.Batch) -> torch.Tensor:
        return (batch.mask * (prediction - batch.target) ** 2).mean((0, 2, 3, 4))

    def validation(self) -> hgenv.Batch:
        return self.sample(np.tile([0.6, 0.0, 0.1, 0.1], (32, 1)), Noise(np.arange(32)))

    def test(self) -> hgenv.Batch:
        return self.sample(np.tile([0.6, 0.0, 0.1, 0.1], (32, 1)), Noise(np.arange(100, 132)))


if __name__ == "__main__":
    env = gymnasium.make("examples/TiltedDiscs-v0").unwrapped
    for name, tilt in (("start", 0.0), ("tilted to the right", 0.6)):
        env.reset(seed=0)
        for _ in range(20):
            env.step(env.task.layout.to_action([tilt, 0.0, 0.2, 0.2]))
        print(f"{name}: test loss {env.score('test')['loss']:.4f}")
