"""What tasks share whose samples are meshes before a camera: a backend that draws them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hgenv.noise import Noise
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.renderer import Drawing, Rendered
from hgenv.task import Batch, Task

Array = NDArray[np.float64]


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

    @abstractmethod
    def as_batch(self, rows: Iterable[Rendered]) -> Batch:
        """Pictures as a batch."""

    def sample(self, beta: Array, noise: Noise) -> Batch:
        draw = find_renderer(self.renderer)
        return self.as_batch(draw(drawing) for drawing in self.drawings(beta, noise))

    def check_drawing(self) -> None:
        """Raise ValueError unless the fields have a meaning here."""
        if not 0 <= self.ambient < 1:
            raise ValueError(f"ambient must be in [0, 1), got {self.ambient}")
        find_renderer(self.renderer)
