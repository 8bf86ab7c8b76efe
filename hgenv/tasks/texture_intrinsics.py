"""hgenv/TextureIntrinsics-v0: albedo and shading of textured objects (the paper's fourth experiment)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hgenv.beta.noise import Noise
from hgenv.data.bare_shapes import load_shapes
from hgenv.domains.domain import Domain
from hgenv.domains.folder import Folder, check_named
from hgenv.domains.objects import albedo_and_shading, objects, pots
from hgenv.domains.photographs import intrinsic_photographs
from hgenv.fields import MOST, AtLeast, Natural, OnDisk, Side
from hgenv.learning.networks import HourglassSize, StackedHourglass
from hgenv.quantities.intrinsics import Intrinsics
from hgenv.registry import register
from hgenv.render.mesh import Mesh, pack
from hgenv.render.renderer import Rendered, Scene
from hgenv.scenes.furniture import furniture, viewed
from hgenv.scenes.texture import TextureBeta, paint
from hgenv.tasks.rendered import Maker, RenderedTask

Array = NDArray[np.float64]
_CANVAS = 48


@register("hgenv/TextureIntrinsics-v0")
@dataclass(frozen=True)
class TextureIntrinsics(RenderedTask):
    """One piece of furniture a picture under a painted texture, in white directional light; learn albedo and shading.

    Targets have four channels: albedo (red, green, blue), then shading; the image is their product.
    """

    resolution: Side = 32
    """Side of the images in pixels."""
    shapes: OnDisk | None = None
    """What is painted: a catalogue .sh3f of Sweet Home 3D, or a folder in SUNCG's or ShapeNetCore's layout, or of files
    in GLB, PLY, STL or OBJ; built in: tables, chairs, cabinets, lamps and pots."""
    shape_count: Natural = 64
    """Shapes of `shapes` that are used, evenly over all; of these, broken ones are left out."""
    target: Literal["objects", "mit-berkeley", "folder"] = "objects"
    """What `data` holds: textured models in ShapeNetCore's layout or in files of their own, the MIT-Berkeley
    photographs, or your own pictures of objects with their albedo and shading."""
    data: OnDisk | None = None
    """Folder of the target domain; built in: pots in stripes and checks."""
    models: Annotated[int, AtLeast(4), MOST] = 50
    """Models in `data` that are used, where it holds models, evenly over all; every second one is for the test. Broken
    ones are left out."""
    hourglass: HourglassSize = HourglassSize()
    """Size of the network."""

    layout = TextureBeta()
    quantity = Intrinsics()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hourglass.check_side(self.resolution)
        if self.target == "mit-berkeley" and self.data is None:
            raise ValueError("target='mit-berkeley' needs data='FOLDER'")
        check_named(self.target, self.data)

    @cached_property
    def painted(self) -> Sequence[Mesh] | None:
        """The shapes from disk; None if they are built in."""
        return None if self.shapes is None else load_shapes(self.shapes, self.shape_count)

    def makers(self, beta: Array, noise: Noise) -> Iterator[Maker]:
        canvases, repeats = paint(self.layout.bind(beta), noise, _CANVAS)
        shapes = zip(noise.uniform("furniture"), noise.uniform("proportions", (4,)), strict=True)
        views = zip(noise.uniform("view", (2,)), noise.uniform("light", (2,)), strict=True)
        for shape, canvas, view, repeat in zip(shapes, canvases, views, repeats, strict=True):
            yield partial(self._scene, shape, canvas, view, float(repeat))

    def _scene(
        self, shape: tuple[float, Array], canvas: NDArray[np.uint8], view: tuple[Array, Array], repeat: float
    ) -> Scene:
        u, proportions = shape
        mesh = furniture(u, proportions) if self.painted is None else self.painted[int(u * len(self.painted))]
        return viewed(mesh, pack([canvas]), *view, self.resolution, self.ambient, repeat)

    def ground_truth(self, picture: Rendered) -> NDArray[np.float32]:
        """Albedo, then shading, (4, h, w)."""
        return albedo_and_shading(picture)

    def network(self) -> nn.Module:
        return StackedHourglass(3, 4, self.hourglass)

    @cached_property
    def domain(self) -> Domain:
        if self.data is None:
            return pots(self.resolution, self.ambient)
        if self.target == "folder":
            return Folder(self.data, self.quantity, 4, 3, (self.resolution, self.resolution), objects=True)
        if self.target == "mit-berkeley":
            return intrinsic_photographs(self.data, self.resolution)
        return objects(self.data, self.models, self.resolution, self.ambient)
