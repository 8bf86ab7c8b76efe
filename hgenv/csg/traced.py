"""Composed shapes as renderers of meshes draw them: from so far away that the picture is orthographic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hgenv.csg.export import to_mesh
from hgenv.csg.shapes import Shapes
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.mesh import plain_mesh
from hgenv.render.renderer import Camera, Scene, Tracing

_FAR = 1000.0
"""Distance of the camera: what is nearer by 1 is larger by a thousandth."""
_ALBEDO = 0.8
"""Of the shapes, whose picture is divided by it: light that bounces off white would never end."""


def traced(
    shapes: Shapes, light: NDArray[np.float64], resolution: int, ambient: float, renderer: Backend, samples: int
) -> NDArray[np.float32]:
    """Pictures (n, resolution, resolution) of what lies between -1 and 1, each under a light (n, 3) of its own, as
    `hgenv.csg.raycast.render` has them but for the light that bounces; 0 of shapes of which nothing is left."""
    focal = 0.5 * resolution * _FAR
    camera = Camera(resolution, resolution, (focal, focal), (0.5 * resolution, 0.5 * resolution))
    found, render = np.zeros((len(shapes.kind), resolution, resolution), np.float32), find_renderer(renderer)
    for row, toward in enumerate(light):
        try:
            mesh = to_mesh(shapes, row)
        except ValueError:  # it is empty
            continue
        colours = np.full((len(mesh.vertices), 3), _ALBEDO)
        placed = plain_mesh(mesh.vertices - [0.0, 0.0, _FAR], mesh.faces, colours, smooth=False)
        scene = Scene(placed, camera, toward, ambient, shadow=1, tracing=Tracing(samples))
        found[row] = render(scene).image.mean(0) / _ALBEDO
    return found
