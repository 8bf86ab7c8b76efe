"""hgenv/TextureIntrinsics-v0: albedo and shading of textured objects (the paper's fourth experiment)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv import metrics
from hgenv.data.shapes import load_shapes
from hgenv.drawn import DrawnTask
from hgenv.furniture import furniture
from hgenv.intrinsics import ground_truth, objects, photographs, pots, viewed
from hgenv.networks import HourglassSize, StackedHourglass
from hgenv.noise import Noise
from hgenv.render.renderer import Drawing, Rendered
from hgenv.scene import Mesh, pack
from hgenv.task import Batch, Split, register
from hgenv.texture import TextureBeta, paint

Array = NDArray[np.float64]
_CANVAS = 48


@register("hgenv/TextureIntrinsics-v0")
@dataclass(frozen=True)
class TextureIntrinsics(HourglassSize, DrawnTask):
    """One piece of furniture a picture under a painted texture, in white directional light; learn albedo and shading.

    Targets have four channels: albedo (red, green, blue), then shading; the image is their product.
    """

    resolution: int = 32
    """Side of the images in pixels."""
    shapes: str | None = None
    """What is painted: a catalogue .sh3f of Sweet Home 3D, or a folder in SUNCG's or ShapeNetCore's layout; built in:
    tables, chairs, cabinets, lamps and pots."""
    shape_count: int = 64
    """Shapes of `shapes` that are used, evenly over all."""
    target: Literal["objects", "mit-berkeley"] = "objects"
    """What `data` holds: textured models in ShapeNetCore's layout, or the MIT-Berkeley photographs."""
    data: str | None = None
    """Folder of the target domain; built in: pots in stripes and checks."""
    models: int = 50
    """Models in `data` that are used, where it holds models, evenly over all; every second one is for the test."""

    primary = "si_rmse"
    layout = TextureBeta()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_side(self.resolution)
        self.check_drawing()
        if self.models < 4 or self.shape_count < 1:
            raise ValueError(f"models must be at least 4 and shape_count 1, got {self.models} and {self.shape_count}")
        if self.target not in ("objects", "mit-berkeley"):
            raise ValueError(f"target must be 'objects' or 'mit-berkeley', got {self.target!r}")
        if self.target == "mit-berkeley" and self.data is None:
            raise ValueError("target='mit-berkeley' needs data='FOLDER'")

    @cached_property
    def painted(self) -> Sequence[Mesh] | None:
        """The shapes from disk; None if they are built in."""
        return None if self.shapes is None else load_shapes(self.shapes, self.shape_count)

    def drawings(self, beta: Array, noise: Noise) -> Iterator[Drawing]:
        canvases, repeats = paint(self.layout.bind(beta), noise, _CANVAS)
        kind, proportions = noise.uniform("furniture"), noise.uniform("proportions", (4,))
        view, light = noise.uniform("view", (2,)), noise.uniform("light", (2,))
        for i, u in enumerate(kind):
            mesh = furniture(u, proportions[i]) if self.painted is None else self.painted[int(u * len(self.painted))]
            canvas = pack([canvases[i]])
            yield viewed(mesh, canvas, view[i], light[i], self.resolution, self.ambient, float(repeats[i]))

    @staticmethod
    def ground_truth(picture: Rendered) -> NDArray[np.float32]:
        """Albedo, then shading, (4, h, w)."""
        return ground_truth(picture)

    def network(self) -> nn.Module:
        return StackedHourglass(3, 4, self)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean squared error of albedo and of shading, which weigh the same, normalised by a constant."""
        off = batch.mask * (prediction - batch.target) ** 2
        return 0.5 * (off[:, :, :3].mean((0, 2, 3, 4)) + off[:, :, 3:].mean((0, 2, 3, 4)))

    def validation(self) -> Batch:
        _ = self.painted  # a broken folder of shapes shows when the environment is made
        return self._targets["validation"]

    def test(self) -> Batch:
        return self._targets["test"]

    @cached_property
    def _targets(self) -> dict[Split, Batch]:
        if self.data is None:
            return pots(self.resolution, self.ambient)
        if self.target == "mit-berkeley":
            return photographs(self.data, self.resolution)
        return objects(self.data, self.models, self.resolution, self.ambient)

    def metrics(self, prediction: Tensor, split: Split) -> dict[str, float]:
        """Those of `hgenv.metrics.intrinsic_metrics`."""
        batch = self._targets[split]
        valid = batch.mask.numpy()[:, 0] > 0
        truth = (batch.target.numpy(), batch.image.numpy())
        return metrics.intrinsic_metrics(prediction[-1].detach().cpu().numpy(), *truth, valid)

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
