"""hgenv/ToyShading-v0: is it a ball or a bowl? A closed form, milliseconds a step, and the best beta is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hgenv.batch import Batch
from hgenv.beta.distributions import Bernoulli, Normal
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise
from hgenv.domains.domain import Domain, Pictures
from hgenv.fields import Natural, Side, check
from hgenv.quantities.normals import Normals
from hgenv.registry import register
from hgenv.task import Task

RADIUS = 0.9
"""Of the sphere, where the picture is 2 wide."""


@dataclass(frozen=True)
class ToyBeta(Layout):
    """The three coordinates."""

    light: Normal = Normal((-1.0, 1.0), (0.05, 0.8), initial=(-0.1, 0.4), meaning="angle of the light above the viewer")
    convex: Bernoulli = Bernoulli(initial=0.4, meaning="a ball instead of a bowl")


@register("hgenv/ToyShading-v0")
@dataclass(frozen=True)
class ToyShading(Task):
    """The outer or the inner side of a sphere under a light above or below the viewer; learn its normals.

    A ball lit from above looks exactly like a bowl lit from below, so that only the training data's light tells the
    network which it sees. The target domain is the generator itself at `optimum`, which is therefore the best beta for
    training without end; the regret of another is its validation loss less that at `optimum` after equal training.
    """

    resolution: Side = 8
    """Side of the images in pixels."""
    hidden: Natural = 16
    """Width of the network's one hidden layer."""
    validation_size: Natural = 64
    """Number of validation images."""
    test_size: Natural = 256
    """Number of test images."""

    layout = ToyBeta()
    quantity = Normals()
    optimum = np.array([0.4, 0.4, 0.75])

    def __post_init__(self) -> None:
        check(self)

    @cached_property
    def _ball(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Normals (3, h, w) of the ball, 0 around it, and its mask (h, w)."""
        centres = (np.arange(self.resolution) + 0.5) * 2.0 / self.resolution - 1.0
        x, y = centres / RADIUS, -centres[:, None] / RADIUS
        mask = (x**2 + y**2 < 1.0).astype(np.float64)
        z = np.sqrt(np.maximum(0.0, 1.0 - x**2 - y**2))
        return mask * np.stack(np.broadcast_arrays(x, y, z)), mask

    def render(self, light: NDArray[np.float64], convex: NDArray[np.bool_]) -> Batch:
        """Pictures of lights at angles (n,), in radians above the viewer, on balls and bowls (n,). No shadows."""
        ball, mask = self._ball
        side = np.where(convex, 1.0, -1.0)[:, None, None]
        normal = np.stack([side * ball[0], side * ball[1], np.broadcast_to(ball[2], side.shape[:1] + mask.shape)], 1)
        toward = np.sin(light)[:, None, None] * normal[:, 1] + np.cos(light)[:, None, None] * normal[:, 2]
        masks = np.broadcast_to(mask, toward.shape)
        parts = (np.maximum(0.0, toward)[:, None], normal, masks[:, None])
        return Batch(*(torch.from_numpy(part.astype(np.float32)) for part in parts))

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        bound = self.layout.bind(beta)
        return self.render(noise.draw(bound.light, "light"), noise.draw(bound.convex, "convex"))

    def network(self) -> nn.Module:
        pixels, side = self.resolution**2, self.resolution
        return nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, self.hidden), nn.SiLU(), nn.Linear(self.hidden, 3 * pixels),
            nn.Unflatten(1, (3, side, side)), nn.Unflatten(0, (1, -1)),
        )  # fmt: skip

    @cached_property
    def domain(self) -> Domain:
        return Pictures(self._target(0, self.validation_size), self._target(self.validation_size, self.test_size))

    def _target(self, first: int, count: int) -> Batch:
        return self.sample(np.tile(self.optimum, (count, 1)), Noise(first + np.arange(count)))
