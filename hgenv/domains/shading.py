"""Normals from the shading of one picture, without learning: in the spirit of SIRFS (Barron & Malik 2015).

The answer is the surface of least energy among heights over the picture: its shading under some light is the picture,
its mean curvature changes little (their prior of smoothness), it turns away from the viewer along the silhouette (their
prior of the occluding contour), and faces the viewer elsewhere (their prior of isotropy). Lights are spherical
harmonics of a normal distribution, as theirs, which the validation pictures tell with their ground truth. Ours are
robust functions in place of learned mixtures of Gaussians, shading in place of its logarithm, and the weights, which
the ten validation photographs of MIT-Berkeley have chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hgenv.batch import Batch
from hgenv.quantities.metrics import dome_height

_SHADING, _SMOOTHNESS, _CONTOUR, _ISOTROPY, _LIGHT = 4.2, 0.15, 0.2, 0.05, 4e-4
"""Weights of the terms; that of the light's is a precision a pixel."""
_UNLIKE, _BENT = 0.02, 0.066
"""Differences of shading and of curvature below count by their squares, those above as they are."""
_LEVELS, _ITERATIONS = 4, 60
_SOBEL = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]], dtype=torch.float64) / 8.0


@dataclass(frozen=True)
class Lights:
    """Lights of some pictures: mean (9,) and precision (9, 9) of their spherical harmonics up to the second order."""

    mean: Tensor
    precision: Tensor

    @staticmethod
    def of(pictures: Batch) -> Lights:
        """Those of pictures with their normals: least squares of each, whose covariance is regularised by 1e-3."""
        ridge = 1e-3 * torch.eye(9, dtype=torch.float64)
        image, normal, mask = (part.double() for part in pictures)
        found = []
        for row in range(len(image)):
            inside = mask[row, 0] > 0
            basis, seen = harmonics(normal[row : row + 1])[0][:, inside], image[row].mean(0)[inside]
            found.append(torch.linalg.solve(basis @ basis.T + len(seen) * ridge, basis @ seen))
        lights = torch.stack(found)
        spread = torch.cov(lights.T) if len(lights) > 1 else torch.zeros(9, 9, dtype=torch.float64)
        return Lights(lights.mean(0), torch.linalg.inv(spread + ridge))

    def fitted(self, basis: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        """The likeliest light (9,) of a picture (h, w), for the harmonics (9, h, w) of its normals."""
        inside = basis * mask
        prior = _LIGHT * mask.sum() * self.precision
        within = torch.einsum("khw,lhw->kl", inside, basis)
        return torch.linalg.solve(within + prior, torch.einsum("khw,hw->k", inside, image) + prior @ self.mean)


def harmonics(normals: Tensor) -> Tensor:
    """Spherical harmonics up to the second order, each up to a factor, of normals (n, 3, h, w): (n, 9, h, w)."""
    x, y, z = normals.unbind(1)
    return torch.stack([torch.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3.0 * z * z - 1.0], 1)


def from_shading(pictures: Batch, lights: Lights, silhouette: bool = True) -> NDArray[np.float64]:
    """Normals (n, 3, h, w) of pictures, of which image (n, c, h, w) and mask are looked at, each by itself.

    silhouette: whether the edge of the mask is that of an object, and not of what is known of a larger scene.
    """
    rows = zip(pictures.image.double().mean(1), pictures.mask[:, 0] > 0, strict=True)
    return np.stack([_Surface(image, mask, lights, silhouette).solved() for image, mask in rows])


@dataclass(frozen=True)
class ShapeFromShading:
    """`from_shading` of any pictures, with the lights of the validation pictures, which are fitted when it is asked."""

    validation: Batch
    silhouette: bool = True

    def __call__(self, pictures: Batch) -> NDArray[np.float64]:
        return from_shading(pictures, Lights.of(self.validation), self.silhouette)


class _Surface:
    """A picture (h, w), the mask of its object, and the height that is sought, in units of half the picture's width."""

    def __init__(self, image: Tensor, mask: Tensor, lights: Lights, silhouette: bool) -> None:
        self.image, self.mask, self.lights, self._unit = image, mask, lights, 2.0 / image.shape[-1]
        counts = mask.double()
        edge = counts * functional.max_pool2d(functional.pad(1.0 - counts, (1, 1, 1, 1), value=1.0)[None], 3, 1)[0]
        self._inside = counts - edge
        self._start, self._outward = torch.zeros_like(counts), torch.zeros(2, *counts.shape, dtype=counts.dtype)
        if silhouette:
            self._start = torch.from_numpy(self._unit * dome_height(mask.numpy()))
            blurred = functional.avg_pool2d(functional.pad(counts, (3, 3, 3, 3))[None], 7, 1)[0]
            along = -torch.stack(_slopes(blurred))
            self._outward = edge * along / along.norm(dim=0).clamp_min(1e-9)

    def solved(self) -> NDArray[np.float64]:
        """Normals (3, h, w) of the surface that L-BFGS comes to from a dome over the silhouette."""
        # A pyramid of heights, whose sum is sought: what is far apart then moves together, as theirs does.
        sizes = [[max(2, side >> k) for side in self.image.shape] for k in range(_LEVELS)]
        parts = [torch.zeros(1, 1, *size, dtype=torch.float64, requires_grad=True) for size in sizes]
        iterations = min(_ITERATIONS, *self.image.shape)  # more would follow the noise of a small picture
        search = torch.optim.LBFGS(parts, max_iter=iterations, history_size=10, line_search_fn="strong_wolfe")

        def energy() -> Tensor:
            search.zero_grad()
            found = self.energy(self._height(parts))
            found.backward()  # type: ignore[no-untyped-call]
            return found

        search.step(energy)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            return self._normals(self._height(parts)).numpy()

    def _height(self, parts: list[Tensor]) -> Tensor:
        size = self.image.shape
        return self._start + sum(functional.interpolate(p, size, mode="bilinear")[0, 0] for p in parts)

    def _normals(self, height: Tensor) -> Tensor:
        right, up = (slope / self._unit for slope in _slopes(height))
        normal = torch.stack([-right, -up, torch.ones_like(right)])
        return normal / normal.norm(dim=0)

    def energy(self, height: Tensor) -> Tensor:
        """Of a surface, each term a mean over the pixels of the object."""
        normal, pixels = self._normals(height), self.mask.sum()
        basis = harmonics(normal[None])[0]
        light = self.lights.fitted(basis.detach(), self.image, self.mask)
        unlike = torch.einsum("k,khw->hw", light, basis) - self.image
        shading = (_robust(unlike, _UNLIKE) * self.mask).sum()
        bends = sum(_robust(bend, _BENT).sum() for bend in self._bends(normal))
        flat = -(torch.log(normal[2]) * self.mask).sum()
        away = 1.0 - (normal[:2] * self._outward).sum(0)
        edge = self._outward.any(0)
        contour = ((away.clamp_min(0.0) + 1e-3) ** 0.75 * edge).sum() / edge.sum().clamp_min(1)
        return (_SHADING * shading + _SMOOTHNESS * bends + _ISOTROPY * flat) / pixels + _CONTOUR * contour

    def _bends(self, normal: Tensor) -> list[Tensor]:
        """Changes of the mean curvature from a pixel to the next, down and right, where both have all neighbours."""
        curvature = -0.5 * (_slopes(normal[0])[0] + _slopes(normal[1])[1]) / self._unit
        return [
            (curvature.roll(-1, axis) - curvature) * self._inside * self._inside.roll(-1, axis) for axis in (0, 1)
        ]  # fmt: skip


def _slopes(field: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of (h, w) to the right and up, a pixel, as SIRFS has them."""
    padded = functional.pad(field[None, None], (1, 1, 1, 1), mode="replicate")
    found = functional.conv2d(padded, torch.stack([-_SOBEL, _SOBEL.T.contiguous()])[:, None])[0]
    return found[0], found[1]


def _robust(difference: Tensor, rounded: float) -> Tensor:
    return (difference.square() + rounded**2).sqrt() - rounded
