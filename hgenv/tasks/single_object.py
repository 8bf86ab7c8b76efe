"""What the tasks share that learn the normals of single objects: network, camera, light and target domain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.csg.framing import framed
from hgenv.csg.raycast import Images, render
from hgenv.csg.shapes import Shapes
from hgenv.csg.traced import traced
from hgenv.domains.blobs import blobs
from hgenv.domains.crop import MARGIN, exposed
from hgenv.domains.domain import Domain
from hgenv.domains.folder import Folder
from hgenv.domains.photographs import Photographs
from hgenv.fields import AtLeast, AtMost, Natural, OnDisk, Processes, Share, Side, check
from hgenv.learning.networks import HourglassSize, StackedHourglass
from hgenv.quantities.normals import Normals
from hgenv.render.choice import find_renderer
from hgenv.rotations import unit_vector
from hgenv.task import Task


@dataclass(frozen=True)
class ObjectNormals(Task):
    """One shape a picture, orthographic, Lambertian under a random directional light with shadows."""

    resolution: Side | None = None
    """Side of the training images in pixels; None: 32, and 64 for photographs."""
    antialias: Annotated[int, AtLeast(1), AtMost(8)] = 1
    """Subpixels a side; 1 keeps the ground truth exact at pixel centres."""
    renderer: Literal["raycast", "blender", "mitsuba"] = "raycast"
    """What draws the training images. Others than raycast trace paths; ground truth is raycast's."""
    samples_per_pixel: Annotated[int, AtLeast(1), AtMost(4096)] = 16
    """Of renderers that trace paths."""
    ambient: Share = 0.1
    """Share of light that comes from everywhere."""
    target: Literal["blobs", "mit-berkeley", "folder"] = "blobs"
    """Target domain: built-in smooth objects, or photographs from `data`, as which the training images then are exposed
    and cut to the object; folder: your own, with their normals."""
    data: OnDisk | None = None
    """Folder of the photographs."""
    validation_size: Natural = 64
    """Number of validation images of the built-in domain."""
    test_size: Natural = 128
    """Number of test images of the built-in domain."""
    threads: Processes = 1
    """Threads that render; they change no bit."""
    hourglass: HourglassSize = HourglassSize()
    """Size of the network."""

    quantity = Normals()

    def __post_init__(self) -> None:
        check(self)
        self.hourglass.check_side(self.side)
        if self.renderer != "raycast":
            find_renderer(self.renderer)
        if (self.target == "blobs") != (self.data is None):
            raise ValueError(f"target={self.target!r} needs data='FOLDER', and target='blobs' reads no data")

    @cached_property
    def domain(self) -> Domain:
        if self.data is None:
            return blobs(self.side, self.validation_size, self.test_size)
        if self.target == "folder":
            return Folder(self.data, self.quantity, 3, 1, (self.side, self.side), objects=True, turn=self.turned)
        return Photographs(self.data, self.side, self.turned)

    @property
    def slow(self) -> bool:
        return self.renderer != "raycast"

    @property
    def side(self) -> int:
        """Of the training images, in pixels."""
        return self.resolution or (32 if self.data is None else 64)

    @property
    def turned(self) -> bool:
        """Whether the validation loss is over turned and mirrored photographs as well."""
        return True

    def photograph(self, shapes: Shapes, light: NDArray[np.float64]) -> Images:
        """Render n shapes, each under a light (n, 3) of its own, as pictures of the target domain are taken."""
        shown = shapes if self.data is None else framed(shapes, MARGIN)
        images = render(shown, light, self.side, self.ambient, antialias=self.antialias, threads=self.threads)
        if self.renderer != "raycast":
            drawn = traced(shown, light, self.side, self.ambient, self.renderer, self.samples_per_pixel)
            images = images._replace(image=drawn * images.mask)
        if self.data is None:
            return images
        taken = [exposed(image, mask > 0) for image, mask in zip(images.image, images.mask, strict=True)]
        return images._replace(image=np.stack(taken))

    def network(self) -> nn.Module:
        return StackedHourglass(1, 3, self.hourglass)


def from_anywhere(noise: Noise) -> NDArray[np.float64]:
    """Lights (n, 3) from the viewer's hemisphere, uniformly."""
    u = noise.uniform("light", (2,))
    return unit_vector(np.stack([0.5 + 0.5 * u[:, 0], u[:, 1]], axis=-1))


def as_batch(images: Images) -> Batch:
    """Images with their normals as a batch."""
    parts: tuple[NDArray[np.float32], ...] = (images.image[:, None], images.normal, images.mask[:, None])
    return Batch(*(torch.from_numpy(part) for part in parts))
