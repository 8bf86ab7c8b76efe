"""Target domains of depth: other heads of the procedural model, and scans of heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Batch, Split
from hgenv.data.head_scans import TABLE, HeadView, Scan, find_plys, load_ply, load_scan, load_table
from hgenv.domains.domain import Answer, Pictures
from hgenv.render.mesh import NO_TEXTURES, pack, placed, plain_mesh
from hgenv.render.raster import render
from hgenv.render.renderer import Camera, Rendered, Scene, batch_of
from hgenv.rotations import turn
from hgenv.scenes.faces import COMPONENTS, DISTANCE, FOCAL, before_camera, procedural_head

Array = NDArray[np.float64]
# Three lights and nine poses of every target head, as many as the paper's scans have; their values are ours.
LIGHTS = np.array([[0.0, 0.3, 1.0], [0.8, 0.3, 0.6], [-0.8, 0.3, 0.6]])
POSES = np.array([[yaw, pitch, 0.0] for pitch in (-0.25, 0.0, 0.25) for yaw in (-0.5, 0.0, 0.5)])


def depth_of(picture: Rendered) -> NDArray[np.float32]:
    """What is learned of a picture, (1, h, w)."""
    return picture.depth[None]


def _constant_depth(batch: Batch) -> NDArray:
    return np.full_like(batch.target.numpy(), DISTANCE)


_LADDER: dict[str, Answer] = {"constant depth": _constant_depth}  # where the heads of the training stand


def views() -> list[HeadView]:
    """The 27 of a target head."""
    return [HeadView(light / np.linalg.norm(light), pose, FOCAL) for pose in POSES for light in LIGHTS]


def procedural_heads(camera: Camera, ambient: float) -> Pictures:
    """Built in: two heads a split that no start draws often: broad ones with strong features, in the 27 views."""
    return Pictures(_procedural(camera, ambient, 0), _procedural(camera, ambient, 1), _LADDER)


@lru_cache(8)
def _procedural(camera: Camera, ambient: float, which: int) -> Batch:
    model, rows = procedural_head(), []
    for head in range(2):
        rng = np.random.default_rng([7, which, head])
        geometry = 0.9 + 0.5 * rng.standard_normal(len(model.geometry))
        expression, texture = 0.5 * rng.standard_normal((2, COMPONENTS))
        vertices = model.vertices(geometry, expression)
        mesh = plain_mesh(vertices, model.faces, model.colours(texture - 0.5))
        rows += [render(Scene(before_camera(mesh, view.pose), camera, view.light, ambient)) for view in views()]
    return batch_of(rows, depth_of)


@dataclass(frozen=True)
class _Studio:
    """Photographs of scans: every head of a split in every view."""

    folder: Path
    camera: Camera
    ambient: float

    def batch(self, split: Split) -> Batch:
        if (self.folder / TABLE).is_file():
            heads, seen_in = [load_ply(path) for path in find_plys(self.folder)[split]], load_table(self.folder)
        else:
            heads, seen_in = [load_scan(self.folder, split)], views()
        return batch_of((render(self._photograph(scan, view)) for scan in heads for view in seen_in), depth_of)

    def _photograph(self, scan: Scan, view: HeadView) -> Scene:
        """A head that is as large in the picture, whatever the focal length."""
        focal = view.focal * self.camera.height
        camera = replace(self.camera, focal=(focal, focal))
        mesh = placed(scan.mesh, turn(*view.pose), DISTANCE * view.focal / FOCAL)
        textures = NO_TEXTURES if scan.texture is None else pack([scan.texture])
        return Scene(mesh, camera, view.light, self.ambient, textures)


def head_scans(folder: str, camera: Camera, ambient: float) -> Pictures:
    """Scans: james and LeePerrySmith, or the layout of Basel's with views.csv."""
    studio = _Studio(Path(folder), camera, ambient)
    return Pictures(studio.batch("validation"), studio.batch("test"), _LADDER)
