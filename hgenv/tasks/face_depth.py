"""hgenv/FaceDepth-v0: depth of faces from a morphable model, with mixtures of shapes, looks and poses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hgenv.beta.layout import Layout
from hgenv.beta.mixtures import NormalMixture, VonMisesMixture
from hgenv.beta.noise import Noise
from hgenv.data.face_models import load_face_model
from hgenv.domains.domain import Domain
from hgenv.domains.folder import Folder, check_named
from hgenv.domains.heads import depth_of, head_scans, procedural_heads
from hgenv.fields import OnDisk, Share, Side
from hgenv.learning.networks import HourglassSize, Positive, StackedHourglass
from hgenv.quantities.depth import Depth
from hgenv.registry import register
from hgenv.render.renderer import Camera, Rendered, Scene, Tracing
from hgenv.rotations import turns, unit_vector
from hgenv.scenes.faces import COMPONENTS, DISTANCE, FOCAL, FaceModel, procedural_head
from hgenv.tasks.rendered import Maker, RenderedTask

Array = NDArray[np.float64]
_PARTS = ("geometry", "texture", "expression")


@dataclass(frozen=True)
class FaceBeta(Layout):
    """The 204 coordinates: 183 of what a head is, 21 of where it looks."""

    head: NormalMixture = NormalMixture(
        (-1.5, 1.5), (0.1, 1.5), tuple(f"{part}{i}" for part in _PARTS for i in range(COMPONENTS)), initial=(0.0, 0.4),
        apart=0.4, meaning="coefficients of the first ten components each",
    )  # fmt: skip
    pose: VonMisesMixture = VonMisesMixture(
        (-1.0, 1.0), (0.05, 0.8), ("yaw", "pitch", "roll"), initial=(0.0, 0.2), apart=0.3, meaning="turn of the head"
    )


@register("hgenv/FaceDepth-v0")
@dataclass(frozen=True)
class FaceDepth(RenderedTask):
    """One head a picture, perspective, in white directional light; learn its depth, in half heights of a head.

    The pixels of the head are what counts. Components that beta does not control are uniform: within 1.7 for geometry
    and texture, 0.5 for expressions. Albedo is cut off at 0.02 and 1.
    """

    resolution: Side = 32
    """Side of the images in pixels."""
    model: OnDisk | None = None
    """Folder of a morphable model: the ICT Face Kit, light or whole, or the Basel Face Model; built in: a procedural
    head."""
    target: Literal["head-scans", "folder"] = "head-scans"
    """What `data` holds: james and LeePerrySmith, or scans in the layout of Basel's with views.csv; or your own
    pictures with their depth."""
    data: OnDisk | None = None
    """Folder of the target domain; built in: other heads of the procedural model."""
    ambient: Share = 0.15
    subsurface: Share = 0.0
    """Share of light that scatters below the skin, for blender (the paper's Appendix D)."""
    hourglass: HourglassSize = HourglassSize()
    """Size of the network."""

    layout = FaceBeta()
    quantity = Depth(DISTANCE, 1.2, "half heights")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_named(self.target, self.data)
        self.hourglass.check_side(self.resolution)

    @cached_property
    def face_model(self) -> FaceModel:
        """The morphable model that is sampled."""
        return procedural_head() if self.model is None else load_face_model(self.model)

    @property
    def camera(self) -> Camera:
        """Sees a head's height and a quarter more."""
        return Camera.of_angle(self.resolution, self.resolution, 2.0 * np.arctan(0.5 / FOCAL))

    def makers(self, beta: Array, noise: Noise) -> Iterator[Maker]:
        bound, model = self.layout.bind(beta), self.face_model
        first = noise.draw(bound.head, "head")
        poses = noise.draw(bound.pose, "pose")
        ends = np.cumsum([len(part) - COMPONENTS for part in (model.geometry, model.expression, model.texture)])
        uniform = np.sqrt(3.0) * (2.0 * noise.uniform("other components", (int(ends[-1]),)) - 1.0)
        more_geometry, more_expression, more_texture = np.split(uniform, ends[:-1], axis=1)
        light = unit_vector(np.stack([0.5 + 0.5 * noise.uniform("light"), noise.uniform("light about")], axis=-1))
        rotations, camera = turns(poses), self.camera
        geometry = np.concatenate([first[:, :COMPONENTS], more_geometry], axis=1)
        texture = np.concatenate([first[:, COMPONENTS : 2 * COMPONENTS], more_texture], axis=1)
        expression = np.concatenate([first[:, 2 * COMPONENTS :], 0.3 * more_expression], axis=1)
        for *head, toward in zip(geometry, expression, texture, rotations, light, strict=True):
            yield partial(self._scene, head, camera, toward)

    def _scene(self, head: Sequence[Array], camera: Camera, light: Array) -> Scene:
        return Scene(self.face_model.posed(*head), camera, light, self.ambient)

    def traced(self, scene: Scene) -> Scene:
        return scene._replace(tracing=Tracing(self.samples_per_pixel, self.subsurface))

    def ground_truth(self, picture: Rendered) -> NDArray[np.float32]:
        """Depth (1, h, w)."""
        return depth_of(picture)

    def network(self) -> nn.Module:
        return Positive(StackedHourglass(3, 1, self.hourglass), DISTANCE)

    @cached_property
    def domain(self) -> Domain:
        if self.data is None:
            return procedural_heads(self.camera, self.ambient)
        if self.target == "folder":
            return Folder(self.data, self.quantity, 1, 3, (self.resolution, self.resolution))
        return head_scans(self.data, self.camera, self.ambient)
