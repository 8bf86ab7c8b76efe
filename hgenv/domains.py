"""Target domains for surface normals: what one is, procedural smooth objects, the MIT-Berkeley photographs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv import metrics
from hgenv.blobs import render_blobs
from hgenv.crop import crop, square_about, uncrop
from hgenv.data import mit_berkeley
from hgenv.normals import NormalTask, score, unit_where
from hgenv.task import Batch, Split


class NormalDomain(Protocol):
    """Images with normals, in two disjoint splits."""

    def batch(self, split: Split) -> Batch:
        """The split at the network's resolution."""

    def metrics(self, normals: Tensor, split: Split) -> dict[str, float]:
        """Scores of predicted normals (n, 3, h, w) of any length, at the network's resolution, for a whole split."""

    def baselines(self, split: Split) -> dict[str, dict[str, float]]:
        """Scores that need no learning: "constant normal" toward the viewer; of objects, "dome" over the silhouette."""


class OnDomain(NormalTask):
    """A task that is validated, tested and scored on a domain."""

    @property
    @abstractmethod
    def domain(self) -> NormalDomain:
        """The target domain."""

    def validation(self) -> Batch:
        return self.domain.batch("validation")

    def test(self) -> Batch:
        return self.domain.batch("test")

    def metrics(self, prediction: Tensor, split: Split) -> dict[str, float]:
        """Those of `hgenv.metrics.normal_metrics`; photographs are scored at their own resolution."""
        return self.domain.metrics(prediction[-1], split)

    def baselines(self, split: Split) -> dict[str, dict[str, float]]:
        return self.domain.baselines(split)


Answer = Callable[[NDArray[np.bool_]], NDArray]
"""A silhouette (h, w) -> normals (3, h, w), without looking at the image."""


def constant(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Everything faces the viewer."""
    return np.broadcast_to(np.array([0.0, 0.0, 1.0])[:, None, None], (3, *mask.shape))


_LADDER: dict[str, Answer] = {"constant normal": constant, "dome": metrics.dome}


class Made(ABC):
    """Pictures that are made, scored at the network's resolution."""

    ladder: ClassVar[dict[str, Answer]]

    @property
    @abstractmethod
    def batches(self) -> dict[Split, Batch]:
        """Both splits."""

    def batch(self, split: Split) -> Batch:
        return self.batches[split]

    def metrics(self, normals: Tensor, split: Split) -> dict[str, float]:
        return score(normals.detach().cpu().numpy(), self.batch(split))

    def baselines(self, split: Split) -> dict[str, dict[str, float]]:
        batch = self.batch(split)
        masks = [m[0] > 0 for m in batch.mask.numpy()]
        return {name: score([make(m) for m in masks], batch) for name, make in self.ladder.items()}


@dataclass(frozen=True)
class Blobs(Made):
    """Built in: superquadrics and blended balls."""

    resolution: int
    validation_size: int
    test_size: int

    ladder = _LADDER

    @cached_property
    def batches(self) -> dict[Split, Batch]:
        image, normal, mask = render_blobs(np.arange(self.validation_size + self.test_size), self.resolution)
        whole = Batch(torch.from_numpy(image)[:, None], torch.from_numpy(normal), torch.from_numpy(mask)[:, None])
        cut = self.validation_size
        return {"validation": whole.rows(slice(0, cut)), "test": whole.rows(slice(cut, None))}


@dataclass(frozen=True)
class Photographs:
    """MIT-Berkeley: ten photographs a split, cut to a square about the object, scored at their full resolution.

    The network sees the textureless shading image, divided by its 99th percentile inside the mask.
    """

    folder: str
    resolution: int
    margin: float = 0.05
    """Border about the object, as a share of the square's side."""

    def batch(self, split: Split) -> Batch:
        return self._batches[split]

    def metrics(self, normals: Tensor, split: Split) -> dict[str, float]:
        maps = np.moveaxis(normals.detach().cpu().double().numpy(), 1, -1)
        pairs = zip(maps, self.photographs[split], strict=True)
        return self._score([uncrop(m, square_about(p.mask, self.margin), p.mask.shape) for m, p in pairs], split)

    def baselines(self, split: Split) -> dict[str, dict[str, float]]:
        masks = [p.mask for p in self.photographs[split]]
        return {name: self._score([make(m) for m in masks], split) for name, make in _LADDER.items()}

    def _score(self, normals: list[NDArray], split: Split) -> dict[str, float]:
        pairs = zip(normals, self.photographs[split], strict=True)
        return metrics.normal_metrics([metrics.angular_error(n, p.normal, p.valid) for n, p in pairs])

    @cached_property
    def photographs(self) -> dict[Split, list[mit_berkeley.Photograph]]:
        """Both splits at full resolution."""
        return {
            "validation": mit_berkeley.load(self.folder, mit_berkeley.VALIDATION),
            "test": mit_berkeley.load(self.folder, mit_berkeley.TEST),
        }

    @cached_property
    def _batches(self) -> dict[Split, Batch]:
        return {split: self._prepare(photographs) for split, photographs in self.photographs.items()}

    def _prepare(self, photographs: list[mit_berkeley.Photograph]) -> Batch:
        image, target, mask = [], [], []
        for p in photographs:
            cut = partial(crop, square=square_about(p.mask, self.margin), resolution=self.resolution)
            image.append(cut(p.shading * p.mask / np.percentile(p.shading[p.mask], 99.0)).clip(0.0, 1.0))
            share = cut(p.valid.astype(np.float64))
            normal, inside = unit_where(np.stack([cut(channel) for channel in p.normal]), share > 0.5)
            target.append(normal)
            mask.append(inside)
        stacked = (np.stack(image)[:, None], np.stack(target), np.stack(mask)[:, None])
        return Batch(*(torch.from_numpy(part.astype(np.float32)) for part in stacked))
