"""hgenv/ShapeNormals-v0: surface normals of single objects, learned from CSG shapes (the paper's first experiment)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.beta.distributions import Normal
from hgenv.beta.noise import Noise
from hgenv.csg.grammar import AXES, ShapeBeta, derive
from hgenv.csg.raycast import Images
from hgenv.fields import AtLeast, AtMost
from hgenv.registry import register
from hgenv.tasks.single_object import ObjectNormals, as_batch, from_anywhere


@dataclass(frozen=True)
class LitShapeBeta(ShapeBeta):
    """The paper's 29 coordinates, and four of the light, whose direction is (x, y, 1) divided by its length."""

    light: Normal = Normal(
        (-2.0, 2.0), (0.05, 2.0), AXES[:2], initial=(0.0, 1.0), meaning="slope of the light's direction"
    )


_SHAPES, _LIT_SHAPES = ShapeBeta(), LitShapeBeta()


@register("hgenv/ShapeNormals-v0")
@dataclass(frozen=True)
class ShapeNormals(ObjectNormals):
    """One shape a picture, orthographic, Lambertian under a random directional light with shadows; learn its normals.

    Axes of normals: x right, y up, z toward the viewer.
    """

    max_depth: Annotated[int, AtLeast(0), AtMost(5)] = 3
    """Depth of the grammar's tree: at most 2^max_depth primitives a shape."""

    light: Literal["anywhere", "learned"] = "anywhere"
    """Where the light comes from: uniformly from the viewer's hemisphere, or as four more coordinates of beta say."""

    @property
    def layout(self) -> ShapeBeta:
        return _SHAPES if self.light == "anywhere" else _LIT_SHAPES

    @property
    def turned(self) -> bool:
        return self.light == "anywhere"  # else beta would learn the light of turned photographs

    def images(self, beta: NDArray[np.float64], noise: Noise) -> Images:
        """Render n shapes, with depth as well."""
        shapes = derive(self.layout, beta, noise, self.max_depth)
        if self.light == "anywhere":
            return self.photograph(shapes, from_anywhere(noise))
        slopes = noise.draw(self.layout.bind(beta).light, "slopes of the light")
        toward = np.concatenate([slopes, np.ones((len(slopes), 1))], axis=1)
        return self.photograph(shapes, toward / np.linalg.norm(toward, axis=1, keepdims=True))

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        return as_batch(self.images(beta, noise))
