"""Textured models: OBJ meshes with the looks of their materials, for all datasets that come as such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgenv.data.picture import load_picture
from hgenv.data.wavefront import GREY, Material, Shape, read_mtl, read_obj
from hgenv.render.mesh import Mesh

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Look = Array | Path
"""What a material looks like: a colour (3,) in [0, 1], or a picture's file."""


@dataclass(frozen=True, eq=False)
class Model:
    """A mesh, and the textures that it refers to, (h, w, 3) RGB."""

    mesh: Mesh
    textures: list[Pixels]


def load_obj(
    path: Path,
    looks: Mapping[str, Look] | None = None,
    largest: int | None = None,
    materials: bool = True,
    inside: Path | None = None,
) -> Model:
    """One model, flat-shaded: faces without a texture, or without texture coordinates, have their material's diffuse
    colour, those whose material is not defined are grey.

    looks replace those of materials by name. largest: textures are shrunk to this side in pixels. materials=False
    reads the shape only. inside: a folder that no file named by the model may lie outside of.
    Raises FileNotFoundError for a library of materials or a texture that is named but not there, ValueError for what
    is not a mesh or lies outside.
    """
    shape, looks = read_obj(path), looks or {}
    corners = shape.vertices[shape.faces]
    extent = np.ptp(corners.reshape(-1, 3), axis=0)
    if not np.isfinite(extent).all() or not extent.any():
        raise ValueError(f"{path} has vertices that are all the same, or too far apart")
    mesh = Mesh(
        corners, np.zeros_like(corners), np.broadcast_to(GREY, corners.shape).copy(), np.nan_to_num(shape.uv),
        np.full(len(corners), -1),
    )  # fmt: skip
    if not materials:
        return Model(mesh, [])
    found = _materials(path, shape, looks, inside)
    albedo, texture = mesh.albedo.copy(), mesh.texture.copy()
    pictures: dict[Path, int] = {}
    for i, name in enumerate(shape.materials):
        rows = shape.material == i
        material = found.get(name, Material())
        look, albedo[rows] = looks.get(name, material.look), material.colour
        if not isinstance(look, Path):
            albedo[rows] = np.asarray(look)
            continue
        rows &= np.isfinite(shape.uv).all((1, 2))
        if rows.any():
            albedo[rows], texture[rows] = 1.0, pictures.setdefault(look, len(pictures))
    textures = [load_picture(_allowed(picture, inside, path), largest) for picture in pictures]
    return Model(mesh._replace(albedo=albedo, texture=texture), textures)


def _materials(path: Path, shape: Shape, looks: Mapping[str, Look], inside: Path | None) -> dict[str, Material]:
    """All materials of the model's libraries. Textures that looks do not replace must be there."""
    found: dict[str, Material] = {}
    for library in shape.libraries:
        if not library.is_file():
            raise FileNotFoundError(f"no file {library}, which {path} names")
        found |= read_mtl(_allowed(library, inside, path))
    for name, material in found.items():
        if material.picture is not None and name not in looks and not material.picture.is_file():
            raise FileNotFoundError(f"no file {material.picture}, which material {name!r} of {path} names")
    return found


def _allowed(file: Path, inside: Path | None, path: Path) -> Path:
    if inside is not None and not file.resolve().is_relative_to(inside.resolve()):
        raise ValueError(f"{path} names {file}, which lies outside of it")
    return file
