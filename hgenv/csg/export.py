"""Export of composed shapes as triangle meshes, through manifold3d."""

from __future__ import annotations

import manifold3d
import numpy as np
import trimesh
from numpy.typing import NDArray

from hgenv.csg.shapes import ABSENT, CONE, CUBE, SPHERE, Shapes


def to_mesh(shapes: Shapes, row: int = 0, segments: int = 64) -> trimesh.Trimesh:
    """The shape in row `row` as a watertight mesh in world units; curved primitives get `segments` sides a circle.

    Raises ValueError if nothing is left of the shape, as after a full subtraction.
    """
    parts: dict[int, manifold3d.Manifold] = {
        slot: _primitive(int(kind), shapes.size[row, slot], segments).transform(shapes.to_world[row, slot])
        for slot, kind in enumerate(shapes.kind[row])
        if kind != ABSENT
    }
    for left, right, subtract in shapes.operations[row, : shapes.used[row]]:
        parts[left] = parts[left] - parts[right] if subtract else parts[left] + parts[right]
    if parts[0].is_empty():
        raise ValueError(f"shape {row} is empty: everything was subtracted")
    mesh = parts[0].to_mesh()
    return trimesh.Trimesh(np.asarray(mesh.vert_properties)[:, :3], np.asarray(mesh.tri_verts), process=False)


def _primitive(kind: int, size: NDArray[np.float64], segments: int) -> manifold3d.Manifold:
    if kind == SPHERE:
        return manifold3d.Manifold.sphere(size[0], segments)
    if kind == CUBE:
        return manifold3d.Manifold.cube([2 * size[0]] * 3, True)
    if kind == CONE:
        return manifold3d.Manifold.cylinder(2 * size[2], size[0], size[1], segments, True)
    return manifold3d.Manifold.tetrahedron().scale([size[0] / np.sqrt(3.0)] * 3)
