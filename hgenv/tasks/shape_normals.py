"""hgenv/ShapeNormals-v0: surface normals of single objects, learned from CSG shapes (the paper's first experiment)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.csg.grammar import ShapeBeta, derive
from hgenv.csg.raycast import Images
from hgenv.fields import AtLeast, AtMost
from hgenv.registry import register
from hgenv.tasks.single_object import ObjectNormals, as_batch


@register("hgenv/ShapeNormals-v0")
@dataclass(frozen=True)
class ShapeNormals(ObjectNormals):
    """One shape a picture, orthographic, Lambertian under a random directional light with shadows; learn its normals.

    Axes of normals: x right, y up, z toward the viewer.
    """

    max_depth: Annotated[int, AtLeast(0), AtMost(5)] = 3
    """Depth of the grammar's tree: at most 2^max_depth primitives a shape."""

    layout = ShapeBeta()

    def images(self, beta: NDArray[np.float64], noise: Noise) -> Images:
        """Render n shapes, with depth as well."""
        return self.photograph(derive(self.layout, beta, noise, self.max_depth), noise)

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        return as_batch(self.images(beta, noise))
