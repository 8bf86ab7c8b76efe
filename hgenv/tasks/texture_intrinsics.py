"""hgenv/TextureIntrinsics-v0: albedo and shading of textured objects (the paper's fourth experiment)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv import metrics
from hgenv.data.shapenet import find_models, load_model
from hgenv.furniture import cylinder, furniture
from hgenv.grammar import unit_vector
from hgenv.networks import HourglassSize, StackedHourglass
from hgenv.noise import Noise
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.raster import render
from hgenv.render.renderer import Camera, Rendered, Renderer
from hgenv.scene import Mesh, joined, of_unit_size, pack, placed, turn
from hgenv.task import Batch, Split, Task, register
from hgenv.texture import TextureBeta, paint, pattern

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
DISTANCE = 2.2
"""Of an object's centre from the camera; its bounding box has a diagonal of 1."""
_CANVAS = 48


@register("hgenv/TextureIntrinsics-v0")
@dataclass(frozen=True)
class TextureIntrinsics(HourglassSize, Task):
    """One piece of furniture a picture under a painted texture, in white directional light; learn albedo and shading.

    Targets have four channels: albedo (red, green, blue), then shading; the image is their product.
    """

    resolution: int = 32
    """Side of the images in pixels."""
    data: str | None = None
    """Folder in ShapeNetCore's layout with the models of the target domain; built in: pots in stripes and checks."""
    models: int = 50
    """Models of the folder that are used, evenly over all; every second one is for the test."""
    ambient: float = 0.2
    """Share of light that comes from everywhere."""
    renderer: Backend = "raster"
    """Backend that draws the training images; with opengl, which needs pyrender and EGL, an image is albedo times
    shading only about."""

    primary = "si_rmse"
    layout = TextureBeta()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_side(self.resolution)
        if self.models < 4:
            raise ValueError(f"models must be at least 4, got {self.models}")
        if not 0 <= self.ambient < 1:
            raise ValueError(f"ambient must be in [0, 1), got {self.ambient}")
        find_renderer(self.renderer)

    @property
    def camera(self) -> Camera:
        """Sees a little more than a bounding box's diagonal."""
        return Camera.of_angle(self.resolution, self.resolution, 2.0 * np.arctan(0.55 / DISTANCE))

    def sample(self, beta: Array, noise: Noise) -> Batch:
        canvases, repeats = paint(self.layout.bind(beta), noise, _CANVAS)
        kind, proportions = noise.uniform("furniture"), noise.uniform("proportions", (4,))
        view, light = noise.uniform("view", (2,)), noise.uniform("light", (2,))
        draw = find_renderer(self.renderer)
        return intrinsic_batch([
            self._picture(furniture(kind[i], proportions[i]), repeats[i], [canvases[i]], view[i], light[i], draw)
            for i in range(len(kind))
        ])  # fmt: skip

    def _picture(
        self, mesh: Mesh, repeat: float, textures: list[Pixels], view: Array, light: Array, draw: Renderer = render
    ) -> Rendered:
        """An object seen from any side and a little above, by two uniforms, under a light by two more."""
        seen = placed(mesh, turn(2.0 * np.pi * view[0], 0.1 + 0.5 * view[1]), DISTANCE)
        toward = unit_vector(np.array([0.3 + 0.7 * light[0], light[1]]))
        return draw(seen._replace(uv=seen.uv * repeat), self.camera, toward, self.ambient, pack(textures))

    def network(self) -> nn.Module:
        return StackedHourglass(3, 4, self)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean squared error of albedo and of shading, which weigh the same, normalised by a constant."""
        off = batch.mask * (prediction - batch.target) ** 2
        return 0.5 * (off[:, :, :3].mean((0, 2, 3, 4)) + off[:, :, 3:].mean((0, 2, 3, 4)))

    def validation(self) -> Batch:
        return self._targets["validation"]

    def test(self) -> Batch:
        return self._targets["test"]

    def metrics(self, prediction: Tensor, split: Split) -> dict[str, float]:
        """Those of `hgenv.metrics.intrinsic_metrics`."""
        batch = self._targets[split]
        valid = batch.mask.numpy()[:, 0] > 0
        return metrics.intrinsic_metrics(prediction[-1].detach().cpu().numpy(), batch.target.numpy(), valid)

    def baselines(self, split: Split) -> dict[str, dict[str, float]]:
        """The image as the albedo under even light; and an even albedo."""
        b = self._targets[split]
        even = torch.full_like(b.target[:, :1], 0.7)
        grey = b.image.mean(1, keepdim=True)
        answers = {
            "image is albedo": torch.cat([b.image / 0.7, even], 1),
            "even albedo": torch.cat([torch.full_like(b.image, 0.5), grey / 0.5], 1),
        }
        return {name: self.metrics(answer[None], split) for name, answer in answers.items()}

    def picture(self, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
        """Albedo above shading, (n, 2 h, w, 3)."""
        both = torch.cat([target[:, :3] * mask, (target[:, 3:] * mask).expand(-1, 3, -1, -1)], dim=2)
        return both.clamp(0, 1).permute(0, 2, 3, 1).double().numpy()

    def error(self, prediction: Tensor, batch: Batch) -> tuple[NDArray[np.float64], str, float]:
        return ((prediction - batch.target).abs().mean(1) * batch.mask[:, 0]).double().numpy(), "mean error", 0.4

    @cached_property
    def _targets(self) -> dict[Split, Batch]:
        if self.data is None:
            return {"validation": self._pots(0), "test": self._pots(1)}
        found = find_models(self.data)
        if len(found) < 4:
            raise ValueError(f"{self.data} has {len(found)} models: a target domain needs at least 4")
        found = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, self.models).round().astype(int))]
        return {"validation": self._models(found[::2], 0), "test": self._models(found[1::2], 1)}

    def _models(self, paths: list, which: int) -> Batch:
        rows = []
        for number, path in enumerate(paths):
            model, u = load_model(path), np.random.default_rng([8, which, number]).random((2, 2, 2))
            rows += [self._picture(model.mesh, 1.0, model.textures, view, light) for view, light in u]
        return intrinsic_batch(rows)

    def _pots(self, which: int) -> Batch:
        rows = []
        for number in range(48):
            rng = np.random.default_rng([9, which, number])
            u = rng.random((2, 2))
            rows.append(self._picture(_pot(rng), 1.0 + rng.integers(3), [pattern(rng)], *u))
        return intrinsic_batch(rows)


def intrinsic_batch(rows: list[Rendered]) -> Batch:
    """Pictures with albedo and shading as targets."""
    targets = [np.concatenate([row.albedo, row.shading[None]]) for row in rows]
    parts = (np.stack([row.image for row in rows]), np.stack(targets), np.stack([row.mask for row in rows])[:, None])
    return Batch(*(torch.from_numpy(part) for part in parts))


def _pot(rng: np.random.Generator) -> Mesh:
    """A smooth vase of several truncated cones: no shape of the training's."""
    radii = rng.uniform(0.12, 0.45, 6)
    heights = np.linspace(0.0, 1.0, 6)
    parts = [
        cylinder(np.array([0.0, heights[i], 0.0]), np.array([0.0, heights[i + 1], 0.0]), radii[i], radii[i + 1], 24)
        for i in range(5)
    ]
    return of_unit_size(joined(parts))
