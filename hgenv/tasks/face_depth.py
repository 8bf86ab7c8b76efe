"""hgenv/FaceDepth-v0: depth of faces from a morphable model, with mixtures of shapes, looks and poses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hgenv import metrics
from hgenv.beta import Layout
from hgenv.data.face_models import load_face_model
from hgenv.data.head_scans import TABLE, HeadView, Scan, find_plys, load_ply, load_scan, load_table
from hgenv.drawn import DrawnTask, batch_of
from hgenv.faces import COMPONENTS, FaceModel, procedural_head
from hgenv.grammar import unit_vector
from hgenv.mixtures import NormalMixture, VonMisesMixture
from hgenv.networks import HourglassSize, StackedHourglass
from hgenv.noise import Noise
from hgenv.render.raster import render
from hgenv.render.renderer import Camera, Drawing, Rendered
from hgenv.scene import NO_TEXTURES, Mesh, pack, placed, plain_mesh, turn
from hgenv.task import Batch, Split, register

Array = NDArray[np.float64]
DISTANCE = 5.0
"""Of the head's centre from the camera; a head is about 2 high."""
FOCAL = 0.4 * DISTANCE
"""Focal length in heights of a picture, which then shows a head's height and a quarter more."""
_PARTS = ("geometry", "texture", "expression")
# Three lights and nine poses of every target head, as many as the paper's scans have; their values are ours.
LIGHTS = np.array([[0.0, 0.3, 1.0], [0.8, 0.3, 0.6], [-0.8, 0.3, 0.6]])
POSES = np.array([[yaw, pitch, 0.0] for pitch in (-0.25, 0.0, 0.25) for yaw in (-0.5, 0.0, 0.5)])


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
class FaceDepth(HourglassSize, DrawnTask):
    """One head a picture, perspective, in white directional light; learn its depth, in half heights of a head.

    The pixels of the head are what counts. Components that beta does not control are uniform: within 1.7 for geometry
    and texture, 0.5 for expressions. Albedo is cut off at 0.02 and 1.
    """

    resolution: int = 32
    """Side of the images in pixels."""
    model: str | None = None
    """Folder of a morphable model: the ICT Face Kit, light or whole, or the Basel Face Model; built in: a procedural
    head."""
    data: str | None = None
    """Folder of the head scans of the target domain: james and LeePerrySmith, or the layout of Basel's with views.csv;
    built in: other heads of the procedural model."""
    ambient: float = 0.15

    primary = "abs_rel"
    layout = FaceBeta()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_side(self.resolution)
        self.check_drawing()

    @cached_property
    def face_model(self) -> FaceModel:
        """The morphable model that is sampled."""
        return procedural_head() if self.model is None else load_face_model(self.model)

    @property
    def camera(self) -> Camera:
        """Sees a head's height and a quarter more."""
        return Camera.of_angle(self.resolution, self.resolution, 2.0 * np.arctan(0.5 / FOCAL))

    def drawings(self, beta: Array, noise: Noise) -> Iterator[Drawing]:
        bound, model = self.layout.bind(beta), self.face_model
        first = noise.draw(bound.head, "head")
        poses = noise.draw(bound.pose, "pose")
        ends = np.cumsum([len(part) - COMPONENTS for part in (model.geometry, model.expression, model.texture)])
        uniform = np.sqrt(3.0) * (2.0 * noise.uniform("other components", (int(ends[-1]),)) - 1.0)
        more_geometry, more_expression, more_texture = np.split(uniform, ends[:-1], axis=1)
        light = unit_vector(np.stack([0.6 + 0.4 * noise.uniform("light"), noise.uniform("light about")], axis=-1))
        for row in range(len(first)):
            geometry, texture, expression = np.split(first[row], 3)
            geometry = np.concatenate([geometry, more_geometry[row]])
            vertices = model.vertices(geometry, np.concatenate([expression, 0.3 * more_expression[row]]))
            seen = vertices @ turn(*poses[row]).T - [0.0, 0.0, DISTANCE]  # as before_camera does, a third of the work
            colours = model.colours(np.concatenate([texture, more_texture[row]]))
            mesh = plain_mesh(seen, model.faces, colours)
            yield Drawing(mesh, self.camera, light[row], self.ambient)

    @staticmethod
    def ground_truth(picture: Rendered) -> NDArray[np.float32]:
        """Depth (1, h, w)."""
        return picture.depth[None]

    def network(self) -> nn.Module:
        return _Depth(StackedHourglass(3, 1, self))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean squared error over the head's pixels, normalised by a constant."""
        return (batch.mask * (prediction - batch.target) ** 2).mean((0, 2, 3, 4))

    def validation(self) -> Batch:
        _ = self.face_model  # a broken model shows when the environment is made
        return self._targets["validation"]

    def test(self) -> Batch:
        return self._targets["test"]

    def metrics(self, prediction: Tensor, split: Split) -> dict[str, float]:
        """Those of `hgenv.metrics.depth_metrics`."""
        batch = self._targets[split]
        valid = batch.mask.numpy() > 0
        return metrics.depth_metrics(prediction[-1].detach().cpu().numpy()[valid], batch.target.numpy()[valid])

    def baselines(self, split: Split) -> dict[str, dict[str, float]]:
        """The distance at which the heads of the training stand, everywhere."""
        batch = self._targets[split]
        return {"constant depth": self.metrics(torch.full_like(batch.target, DISTANCE)[None], split)}

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        near = ((DISTANCE + 1.2 - target) / 2.4).clamp(0, 1) * mask
        return near.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).double().numpy()

    def error(self, prediction: Tensor, batch: Batch) -> tuple[NDArray[np.float64], str, float]:
        return ((prediction - batch.target).abs() * batch.mask)[:, 0].double().numpy(), "half heights", 0.5

    @cached_property
    def _targets(self) -> dict[Split, Batch]:
        if self.data is None:
            return {
                "validation": _procedural(self.camera, self.ambient, 0),
                "test": _procedural(self.camera, self.ambient, 1),
            }
        return {split: self._scans(split) for split in ("validation", "test")}

    def _scans(self, split: Split) -> Batch:
        """Every head of the split in every view."""
        folder = Path(self.data or "")
        if (folder / TABLE).is_file():
            heads, seen_in = [load_ply(path) for path in find_plys(folder)[split]], load_table(folder)
        else:
            heads, seen_in = [load_scan(folder, split)], views()
        return batch_of((render(self._of_scan(scan, view)) for scan in heads for view in seen_in), self.ground_truth)

    def _of_scan(self, scan: Scan, view: HeadView) -> Drawing:
        """A head that is as large in the picture, whatever the focal length."""
        focal = view.focal * self.resolution
        camera = replace(self.camera, focal=(focal, focal))
        mesh = placed(scan.mesh, turn(*view.pose), DISTANCE * view.focal / FOCAL)
        textures = NO_TEXTURES if scan.texture is None else pack([scan.texture])
        return Drawing(mesh, camera, view.light, self.ambient, textures)


class _Depth(nn.Module):
    """Depths are positive: softplus, the paper's ReLU made smooth, about the distance at which heads stand."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        return functional.softplus(self.body(image) + DISTANCE)


def views() -> list[HeadView]:
    """The 27 of a target head."""
    return [HeadView(light / np.linalg.norm(light), pose, FOCAL) for pose in POSES for light in LIGHTS]


def before_camera(head: Mesh, pose: Array) -> Mesh:
    """A head about the origin, turned by (yaw, pitch, roll) and put where heads stand."""
    return placed(head, turn(*pose), DISTANCE)


@lru_cache(8)
def _procedural(camera: Camera, ambient: float, which: int) -> Batch:
    """Two heads a split that no start draws often: broad ones with strong features, in the 27 views."""
    model, rows = procedural_head(), []
    for head in range(2):
        rng = np.random.default_rng([7, which, head])
        geometry = 0.9 + 0.5 * rng.standard_normal(len(model.geometry))
        expression, texture = 0.5 * rng.standard_normal((2, COMPONENTS))
        vertices = model.vertices(geometry, expression)
        mesh = plain_mesh(vertices, model.faces, model.colours(texture - 0.5))
        rows += [render(Drawing(before_camera(mesh, view.pose), camera, view.light, ambient)) for view in views()]
    return batch_of(rows, FaceDepth.ground_truth)
