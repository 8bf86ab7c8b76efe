"""Samples that are meshes before a camera: batches of their pictures, and what the tasks share that learn from them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.noise import Noise
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.renderer import Drawing, Rendered
from hgenv.task import Batch, Task

Array = NDArray[np.float64]


def batch_of(pictures: Iterable[Rendered], ground_truth: Callable[[Rendered], NDArray[np.float32]]) -> Batch:
    """Pictures as a batch, with what ground_truth takes of each, (t, h, w), as target. What is drawn is what counts."""
    rows = [(picture.image, ground_truth(picture), picture.mask[None]) for picture in pictures]
    return Batch(*(torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True)))


@dataclass(frozen=True)
class DrawnTask(Task):
    """Samples are drawings, and what is learned of them is up to the task."""

    ambient: float = 0.2
    """Share of light that comes from everywhere."""
    renderer: Backend = "raster"
    """Backend that draws the training images: opengl, which needs pyrender and EGL, makes colours of its own."""

    @abstractmethod
    def drawings(self, beta: Array, noise: Noise) -> Iterator[Drawing]:
        """n drawings of physical beta (n, d) and keyed noise of n seeds."""

    @staticmethod
    @abstractmethod
    def ground_truth(picture: Rendered) -> NDArray[np.float32]:
        """What is learned of a picture, (t, h, w)."""

    def sample(self, beta: Array, noise: Noise) -> Batch:
        return self.drawn(self.drawings(beta, noise))

    def drawn(self, drawings: Iterable[Drawing]) -> Batch:
        """Drawings as a batch, by the task's backend."""
        return batch_of(map(find_renderer(self.renderer), drawings), self.ground_truth)

    def check_drawing(self) -> None:
        """Raise ValueError unless the fields have a meaning here."""
        if not 0 <= self.ambient < 1:
            raise ValueError(f"ambient must be in [0, 1), got {self.ambient}")
        find_renderer(self.renderer)
