"""What the tasks share whose samples are meshes before a camera."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.fields import Share, check
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.renderer import Rendered, Scene, batch_of
from hgenv.task import Task

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RenderedTask(Task):
    """Samples are scenes, and what is learned of them is up to the task."""

    ambient: Share = 0.2
    """Share of light that comes from everywhere."""
    renderer: Backend = "raster"
    """Backend that draws the training images: opengl, which needs pyrender and EGL, makes colours of its own."""

    def __post_init__(self) -> None:
        check(self)
        find_renderer(self.renderer)

    @abstractmethod
    def scenes_of(self, beta: Array, noise: Noise) -> Iterator[Scene]:
        """n scenes of physical beta (n, d) and keyed noise of n seeds."""

    @abstractmethod
    def ground_truth(self, picture: Rendered) -> NDArray[np.float32]:
        """What is learned of a picture, (t, h, w)."""

    def sample(self, beta: Array, noise: Noise) -> Batch:
        return self.drawn(self.scenes_of(beta, noise))

    def drawn(self, scenes: Iterable[Scene]) -> Batch:
        """Drawings as a batch, by the task's backend."""
        return batch_of(map(find_renderer(self.renderer), scenes), self.ground_truth)
