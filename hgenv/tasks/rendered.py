"""What the tasks share whose samples are meshes before a camera."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.fields import AtLeast, AtMost, Processes, Share, check
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.renderer import Rendered, Scene, Tracing, batch_of
from hgenv.task import Task

Array = NDArray[np.float64]
Maker = Callable[[], Scene]


@dataclass(frozen=True)
class RenderedTask(Task):
    """Samples are scenes, and what is learned of them is up to the task."""

    ambient: Share = 0.2
    """Share of light that comes from everywhere."""
    renderer: Backend = "raster"
    """Backend that draws the training images. Others than raster make colours of their own, with its ground truth:
    opengl, which needs pyrender and EGL; blender, by Cycles, and mitsuba, which trace paths."""
    samples_per_pixel: Annotated[int, AtLeast(1), AtMost(4096)] = 16
    """Of renderers that trace paths."""
    threads: Processes = 1
    """Threads that make and draw the pictures of a batch; they change no bit. OpenGL draws in one."""

    def __post_init__(self) -> None:
        check(self)
        find_renderer(self.renderer)

    @property
    def slow(self) -> bool:
        return self.renderer != "raster"

    @abstractmethod
    def makers(self, beta: Array, noise: Noise) -> Iterable[Maker]:
        """What makes n scenes, of physical beta (n, d) and keyed noise of n seeds: here what is drawn from beta, there
        what takes long."""

    def scenes_of(self, beta: Array, noise: Noise) -> Iterator[Scene]:
        """n scenes of physical beta (n, d) and keyed noise of n seeds."""
        return (make() for make in self.makers(beta, noise))

    def traced(self, scene: Scene) -> Scene:
        """A scene, with what renderers know that trace paths."""
        return scene._replace(tracing=Tracing(self.samples_per_pixel))

    @abstractmethod
    def ground_truth(self, picture: Rendered) -> NDArray[np.float32]:
        """What is learned of a picture, (t, h, w)."""

    def sample(self, beta: Array, noise: Noise) -> Batch:
        return self.drawn(self.makers(beta, noise))

    def drawn(self, makers: Iterable[Maker]) -> Batch:
        """Drawings of scenes as a batch, by the task's backend and threads."""
        render = find_renderer(self.renderer)

        def picture(make: Maker) -> Rendered:
            return render(self.traced(make()))

        if self.threads == 1:
            return batch_of(map(picture, makers), self.ground_truth)
        with ThreadPoolExecutor(self.threads) as pool:  # kernels hold no lock
            return batch_of(pool.map(picture, makers), self.ground_truth)
